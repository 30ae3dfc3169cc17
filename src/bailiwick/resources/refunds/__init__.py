"""Refunds: money given back, all or part of what a payment took."""

from bailiwick.interlink.resource import ById, ByParam, Merged, Path, Resource

_ITS = ById("re", "refund")
_ONE = "/v1/refunds/{identifier}"

RESOURCE = Resource(
    object="refund",
    prefix="re",
    path="/v1/refunds",
    table="refund",
    paths=(
        Path(
            "/v1/refunds",
            {
                "POST": ByParam({"payment_intent": "pi", "charge": "ch"}),
                "GET": Merged({"payment_intent": "pi", "charge": "ch"}),
            },
        ),
        Path(_ONE, {"GET": _ITS, "POST": _ITS}),
        Path(f"{_ONE}/cancel", {"POST": _ITS}),
    ),
)
