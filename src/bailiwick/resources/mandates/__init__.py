"""Mandates: that a payer has agreed to later payments, and how; kept with the payment method."""

from bailiwick.interlink.resource import ById, Path, Resource

RESOURCE = Resource(
    object="mandate",
    prefix="mandate",
    path="/v1/mandates",
    table="record",
    paths=(Path("/v1/mandates/{identifier}", {"GET": ById("mandate", "mandate")}),),
)
