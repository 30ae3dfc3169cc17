"""What a bank's code in field 39 means for the payer. Pure data.

Only codes by which a bank says that it has done nothing are here. Any other one decides nothing:
68 (an answer came too late), 94 (sent twice) or 09 (in progress) say that something was done.
Sources: ISO 8583:1987, table of response codes; https://docs.stripe.com/declines/codes.
"""

DECLINES = {
    "01": "call_issuer",
    "02": "call_issuer",
    "03": "service_not_allowed",
    "04": "pickup_card",
    "05": "do_not_honor",
    "07": "pickup_card",
    "12": "transaction_not_allowed",
    "13": "invalid_amount",
    "15": "invalid_account",
    "30": "processing_error",
    "31": "card_not_supported",
    "33": "expired_card",
    "34": "fraudulent",
    "36": "restricted_card",
    "37": "pickup_card",
    "38": "pin_try_exceeded",
    "40": "service_not_allowed",
    "41": "lost_card",
    "43": "stolen_card",
    "51": "insufficient_funds",
    "54": "expired_card",
    "55": "incorrect_pin",
    "56": "invalid_account",
    "57": "transaction_not_allowed",
    "58": "transaction_not_allowed",
    "59": "fraudulent",
    "61": "withdrawal_count_limit_exceeded",
    "62": "restricted_card",
    "63": "security_violation",
    "65": "withdrawal_count_limit_exceeded",
    "75": "pin_try_exceeded",
    "91": "issuer_not_available",
    "92": "issuer_not_available",
    "93": "transaction_not_allowed",
}
"""Decline codes of the format by the bank's."""
NO_SUCH_CARD = "14"
"""The bank knows no such card or account."""
