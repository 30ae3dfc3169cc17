"""What is looked at before a charge: lists, limits of how often and how much, an outside scorer."""
