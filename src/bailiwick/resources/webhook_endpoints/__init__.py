"""Webhook endpoints: where a merchant wants to be told of events."""

from bailiwick.interlink.resource import Everywhere, Path, Resource

_ALL = Everywhere()
_ONE = "/v1/webhook_endpoints/{identifier}"

RESOURCE = Resource(
    object="webhook_endpoint",
    prefix="we",
    path="/v1/webhook_endpoints",
    table="webhook_endpoint",
    paths=(
        Path("/v1/webhook_endpoints", {"POST": _ALL, "GET": _ALL}),
        Path(f"{_ONE}/roll_secret", {"POST": Everywhere("roll_secret")}),
        Path(_ONE, {"GET": _ALL, "POST": _ALL, "DELETE": _ALL}),
    ),
)
