"""Payments by what is kept of a payer: its customer, and its saved payment methods."""
