"""What a webhook endpoint looks like to clients:
https://docs.stripe.com/api/webhook_endpoints/object. Pure."""

from typing import Literal

from msgspec import UNSET, UnsetType

from bailiwick.serving.shapes import Metadata, Second, Shape


class WebhookEndpoint(Shape):
    """Where a merchant is told of events. ``secret`` is shown once, when it is made;
    ``previous_secrets_expire_at`` is ours."""

    id: str
    object: Literal["webhook_endpoint"]
    api_version: str | None
    application: None
    created: Second
    description: str | None
    enabled_events: list[str]
    livemode: bool
    metadata: Metadata
    status: Literal["disabled", "enabled"]
    url: str
    secret: str | UnsetType = UNSET
    previous_secrets_expire_at: list[Second] | UnsetType = UNSET


SHAPE = WebhookEndpoint
