"""What the access processes of a region tell each other over the broker. Without it each knows
what it has seen itself."""
