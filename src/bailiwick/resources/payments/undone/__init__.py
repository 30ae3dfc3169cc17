"""Parameters of Stripe's that no request about a payment does, and what to do instead. Pure.

The structs of ``params.py`` have them as ``UNDONE``: whoever sends one is told.
"""

_ACCOUNTS = "there are no connected accounts here: leave it out"
_CUSTOMER = "send customer"
_METADATA = "it goes to no provider: keep it in metadata"
_METHOD = "send payment_method or payment_method_data"
_MANDATE = "mandates are of bank debits, which no channel here offers: leave it out"
_TYPES = "send payment_method_types"

ANY = {
    "amount_details": _METADATA,
    "application_fee_amount": _ACCOUNTS,
    "hooks": "taxes are not computed here: send the amount that is to be paid",
    "payment_details": _METADATA,
    "transfer_data": _ACCOUNTS,
}
_OPEN = {
    **ANY,
    "excluded_payment_method_types": _TYPES,
}
_CONFIRMED = {
    **_OPEN,
    "confirmation_token": _METHOD,
    "mandate": _MANDATE,
    "mandate_data": _MANDATE,
    "radar_options": "risk is the provider's to judge: leave it out",
}
LIST = {"customer_account": _CUSTOMER}
CREATE = {
    **_CONFIRMED,
    **LIST,
    "on_behalf_of": _ACCOUNTS,
    "transfer_group": _ACCOUNTS,
}
UPDATE = {
    **_OPEN,
    **LIST,
    "payment_method_configuration": "it is named when the PaymentIntent is created: create another",
    "capture_method": "it is fixed when the PaymentIntent is created: create another",
    "transfer_group": _ACCOUNTS,
}
CONFIRM = {
    **_CONFIRMED,
    "amount_to_confirm": "the whole amount is confirmed: update amount first",
}
