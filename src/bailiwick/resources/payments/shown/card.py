"""What a payment by card shows of the card: nothing is known of it but its token, so the fields are
there and say nothing. Pure; see https://docs.stripe.com/api/charges/object,
``payment_method_details.card``, and https://docs.stripe.com/api/payment_intents/object,
``payment_method_options.card``."""

from bailiwick.base.objects import Object

_NONE = {"status": "unavailable"}
CARD: Object = {
    "amount_authorized": None,
    "authorization_code": None,
    "brand": None,
    "capture_before": None,
    "checks": {
        "address_line1_check": None,
        "address_postal_code_check": None,
        "cvc_check": None,
    },
    "country": None,
    "description": None,
    "electronic_commerce_indicator": None,
    "exp_month": None,
    "exp_year": None,
    "extended_authorization": {"status": "disabled"},
    "fingerprint": None,
    "funding": None,
    "iin": None,
    "incremental_authorization": _NONE,
    "installments": None,
    "issuer": None,
    "last4": None,
    "mandate": None,
    "moto": None,
    "multicapture": _NONE,
    "network": None,
    "network_token": {"used": False},
    "network_transaction_id": None,
    "overcapture": {"maximum_amount_capturable": None, **_NONE},
    "regulated_status": None,
    "setup_credential_usage": None,
    "stored_credential_usage": None,
    "three_d_secure": None,
    "transaction_link_id": None,
    "wallet": None,
}
OPTIONS: Object = {
    "installments": None,
    "mandate_options": None,
    "network": None,
    "request_three_d_secure": "automatic",
}
