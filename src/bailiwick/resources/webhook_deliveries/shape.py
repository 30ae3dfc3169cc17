"""What a try to deliver an event looks like to clients: ours. Pure."""

from typing import Literal

from bailiwick.serving.shapes import Count, Second, Shape


class DeliveryRequest(Shape):
    """What was asked; signatures are not kept, the body is the event."""

    method: str
    url: str
    headers: dict[str, str]


class DeliveryResponse(Shape):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: str | None
    body_truncated: bool


class WebhookDelivery(Shape):
    """One try."""

    id: str
    object: Literal["webhook_delivery"]
    created: Second
    created_ms: Count
    duration_ms: Count
    event: str
    webhook_endpoint: str
    livemode: bool
    node: int
    number: Count
    resend: Count
    request: DeliveryRequest
    response: DeliveryResponse | None
    failure: str | None
    next: Literal["delivered", "retry", "given_up", "endpoint_disabled"]
    next_attempt: Second | None


SHAPE = WebhookDelivery
