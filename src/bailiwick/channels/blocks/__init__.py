"""What channels are built of: amounts, reading, signatures, words, redaction. Pure."""
