"""The bank's issuer host: the same books, asked over ISO 8583 on connections that are kept open."""
