"""Charges: attempts to charge, as the API shows them."""

from bailiwick.interlink.resource import ById, Path, Resource

RESOURCE = Resource(
    object="charge",
    prefix="ch",
    path="/v1/charges",
    table="charge",
    paths=(Path("/v1/charges/{identifier}", {"GET": ById("ch", "charge")}),),
)
