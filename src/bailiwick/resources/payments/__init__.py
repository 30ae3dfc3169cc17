"""Payments: a payer's money, taken once."""
