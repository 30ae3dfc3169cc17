"""Payment methods: a payer's, saved for later payments; they live where their customer lives."""

from bailiwick.interlink.resource import ById, Merged, Path, Placed, Resource

_ITS = ById("pm", "payment_method")
_ONE = "/v1/payment_methods/{identifier}"
_OF_CUSTOMER = ById("cus", "customer")

RESOURCE = Resource(
    object="payment_method",
    prefix="pm",
    path="/v1/payment_methods",
    table="record",
    paths=(
        Path(
            "/v1/payment_methods",
            {"POST": Placed(), "GET": Merged({"customer": "cus"})},
        ),
        Path(_ONE, {"GET": _ITS, "POST": _ITS}),
        Path(f"{_ONE}/attach", {"POST": _ITS}),
        Path(f"{_ONE}/detach", {"POST": _ITS}),
        Path("/v1/customers/{identifier}/payment_methods", {"GET": _OF_CUSTOMER}),
        Path("/v1/customers/{identifier}/payment_methods/{method}", {"GET": _OF_CUSTOMER}),
    ),
)
