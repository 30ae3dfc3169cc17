"""What requests about webhook deliveries may carry."""

from typing import Literal

from bailiwick.serving.params import ListQuery, Text


class ListDeliveries(ListQuery, frozen=True):
    """GET /v1/webhook_deliveries: of one event or one endpoint, or of both."""

    event: Text | None = None
    webhook_endpoint: Text | None = None
    next: Literal["delivered", "retry", "given_up", "endpoint_disabled"] | None = None
