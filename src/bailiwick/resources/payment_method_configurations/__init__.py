"""Payment method configurations: which types of payment methods a merchant wants to take."""

from bailiwick.interlink.resource import Everywhere, Path, Resource

_ALL = Everywhere()

RESOURCE = Resource(
    object="payment_method_configuration",
    prefix="pmc",
    path="/v1/payment_method_configurations",
    table="configuration",
    paths=(
        Path("/v1/payment_method_configurations", {"POST": _ALL, "GET": _ALL}),
        Path("/v1/payment_method_configurations/{identifier}", {"GET": _ALL, "POST": _ALL}),
    ),
)
