"""Routing rules at work: which rule a payment meets, and in which order that puts the gateways."""
