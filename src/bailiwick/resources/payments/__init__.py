"""Payments: a payer's money, taken once."""

from bailiwick.interlink.resource import ById, Merged, Path, Placed, Resource, Searched

_ITS = ById("pi", "payment_intent")
_ONE = "/v1/payment_intents/{identifier}"

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
    ),
)
