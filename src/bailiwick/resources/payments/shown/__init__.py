"""What a payment shows beside itself: its charge, and the parts of both. Pure."""
