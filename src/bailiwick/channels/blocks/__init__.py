"""What channels are built of: amounts, reading, refusals, requests, signatures, redaction. Pure."""
