"""Search: Stripe's query language over a table of entries, which is filled off the path."""
