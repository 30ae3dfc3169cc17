"""Charges: attempts to charge, as the API shows them."""

from bailiwick.interlink.resource import ById, Merged, Path, Refused, Resource, Searched

_ITS = ById("ch", "charge")
_ONE = "/v1/charges/{identifier}"
_NOT_MADE = Refused(
    "Charges are not made by themselves here: create a PaymentIntent with confirm=true "
    "(POST /v1/payment_intents); its latest_charge is the charge."
)
_NOT_CAPTURED = Refused(
    "A charge is captured by its payment: POST /v1/payment_intents/{id}/capture, with the id that "
    "the charge has as payment_intent."
)

RESOURCE = Resource(
    object="charge",
    prefix="ch",
    path="/v1/charges",
    table="charge",
    paths=(
        Path("/v1/charges", {"GET": Merged({"payment_intent": "pi"}), "POST": _NOT_MADE}),
        Path(f"{_ONE}/capture", {"POST": _NOT_CAPTURED}),
        Path("/v1/charges/search", {"GET": Searched()}),
        Path(_ONE, {"GET": _ITS, "POST": _ITS}),
    ),
)
