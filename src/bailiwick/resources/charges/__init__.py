"""Charges: attempts to charge, as the API shows them."""
