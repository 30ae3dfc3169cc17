"""The types of payment methods that a payer can use at a place. An addition of ours."""

from bailiwick.interlink.resource import Located, Path, Resource

RESOURCE = Resource(
    object="available_payment_method",
    path="/v1/available_payment_methods",
    paths=(Path("/v1/available_payment_methods", {"GET": Located()}, public=("GET",)),),
)
