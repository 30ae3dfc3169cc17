"""Webhook deliveries: what came of each try to deliver an event. An addition of ours."""

from bailiwick.interlink.resource import ById, Merged, Path, Resource

RESOURCE = Resource(
    object="webhook_delivery",
    prefix="whd",
    path="/v1/webhook_deliveries",
    table="delivery_try",
    paths=(
        Path("/v1/webhook_deliveries", {"GET": Merged({"event": "evt"})}),
        Path("/v1/webhook_deliveries/{identifier}", {"GET": ById("whd", "webhook_delivery")}),
    ),
)
