"""Refunds: money given back, all or part of what a payment took."""
