"""Events: what has happened, as it was told."""
