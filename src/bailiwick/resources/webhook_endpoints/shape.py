"""What a webhook endpoint looks like to clients:
https://docs.stripe.com/api/webhook_endpoints/object. Pure."""

from typing import Literal

from msgspec import UNSET, UnsetType

from bailiwick.serving.shapes import Metadata, Second, Shape


class WebhookEndpoint(Shape):
    """Where a merchant is told of events. ``secret`` is shown once, when it is made;
    ``previous_secrets_expire_at`` is ours, and so is ``lagging_nodes``: they do not have this
    change yet."""

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
    lagging_nodes: list[str] | UnsetType = UNSET


class DeletedEndpoint(Shape):
    """What is left of a webhook endpoint. ``lagging_nodes``: they still have it, for now."""

    id: str
    object: Literal["webhook_endpoint"]
    deleted: bool
    lagging_nodes: list[str] | UnsetType = UNSET


SHAPE = WebhookEndpoint
ANSWERS = {"DELETE /v1/webhook_endpoints/{id}": DeletedEndpoint}
