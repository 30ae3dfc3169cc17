"""Payments: a payer's money, taken once."""

from bailiwick.interlink.resource import ById, Merged, Path, Placed, Refused, Resource, Searched

_ITS = ById("pi", "payment_intent")
_ONE = "/v1/payment_intents/{identifier}"
_NO_BALANCE = Refused(
    "Customers have no cash balance here: bank transfers are a payment method of their own "
    "(payment_method_types[]=bank_transfer)."
)
_NO_DEPOSITS = Refused(
    "No payment method here is verified by micro-deposits: they are of US bank debits, which no "
    "channel offers."
)

RESOURCE = Resource(
    object="payment_intent",
    prefix="pi",
    path="/v1/payment_intents",
    table="payment",
    paths=(
        Path("/v1/payment_intents", {"POST": Placed(moves=True), "GET": Merged()}),
        Path("/v1/payment_intents/search", {"GET": Searched()}),
        Path(_ONE, {"GET": _ITS, "POST": _ITS}, public=("GET",)),
        Path(f"{_ONE}/confirm", {"POST": _ITS}, public=("POST",)),
        Path(f"{_ONE}/capture", {"POST": _ITS}),
        Path(f"{_ONE}/increment_authorization", {"POST": _ITS}),
        Path(f"{_ONE}/cancel", {"POST": _ITS}),
        Path(f"{_ONE}/apply_customer_balance", {"POST": _NO_BALANCE}),
        Path(f"{_ONE}/verify_microdeposits", {"POST": _NO_DEPOSITS}),
    ),
)
