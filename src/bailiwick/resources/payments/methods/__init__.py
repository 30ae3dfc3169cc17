"""What a payment is paid by, and how that goes on."""
