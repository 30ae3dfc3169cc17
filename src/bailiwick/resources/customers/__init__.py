"""Customers: a merchant's payers, kept at the node with jurisdiction over where they are."""

from bailiwick.interlink.resource import ById, Merged, Path, Placed, Resource, Searched

_ITS = ById("cus", "customer")

RESOURCE = Resource(
    object="customer",
    prefix="cus",
    path="/v1/customers",
    table="record",
    paths=(
        Path("/v1/customers", {"POST": Placed(), "GET": Merged()}),
        Path("/v1/customers/search", {"GET": Searched()}),
        Path("/v1/customers/{identifier}", {"GET": _ITS, "POST": _ITS, "DELETE": _ITS}),
    ),
)
