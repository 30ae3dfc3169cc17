"""A node's gateways as their operators change them while it runs."""
