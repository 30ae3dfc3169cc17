"""Disputes: a payer's bank takes back what a charge took, and the merchant may answer."""

from bailiwick.interlink.resource import ById, Merged, Path, Resource

_ITS = ById("du", "dispute")
FILES = frozenset(
    {
        "cancellation_policy",
        "customer_communication",
        "customer_signature",
        "duplicate_charge_documentation",
        "receipt",
        "refund_policy",
        "service_documentation",
        "shipping_documentation",
        "uncategorized_file",
    }
)
"""Fields of evidence that name a file."""

RESOURCE = Resource(
    object="dispute",
    prefix="du",
    older=("dp",),
    path="/v1/disputes",
    table="dispute",
    paths=(
        Path("/v1/disputes", {"GET": Merged({"payment_intent": "pi", "charge": "ch"})}),
        Path("/v1/disputes/{identifier}", {"GET": _ITS, "POST": _ITS}),
        Path("/v1/disputes/{identifier}/close", {"POST": _ITS}),
    ),
    expands=dict.fromkeys(FILES, "file"),
)
