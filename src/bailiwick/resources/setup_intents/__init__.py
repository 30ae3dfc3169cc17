"""Setup intents: a payment method set up for later payments; no money moves."""

from bailiwick.interlink.resource import ById, Merged, Path, Placed, Refused, Resource

_ITS = ById("seti", "setup_intent")
_ONE = "/v1/setup_intents/{identifier}"
_NO_DEPOSITS = Refused(
    "No bank account is set up here, so there are no microdeposits to verify: set up a card "
    "(POST /v1/setup_intents/{id}/confirm, payment_method)."
)

RESOURCE = Resource(
    object="setup_intent",
    prefix="seti",
    path="/v1/setup_intents",
    table="setup",
    paths=(
        Path(
            "/v1/setup_intents",
            {"POST": Placed(), "GET": Merged({"customer": "cus", "payment_method": "pm"})},
        ),
        Path(_ONE, {"GET": _ITS, "POST": _ITS}, public=("GET",)),
        Path(f"{_ONE}/confirm", {"POST": _ITS}, public=("POST",)),
        Path(f"{_ONE}/cancel", {"POST": _ITS}),
        Path(f"{_ONE}/verify_microdeposits", {"POST": _NO_DEPOSITS}),
    ),
)
