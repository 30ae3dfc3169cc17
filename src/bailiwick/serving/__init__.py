"""What the routes of all resources share at a node: who asks, what for, and how it is answered."""
