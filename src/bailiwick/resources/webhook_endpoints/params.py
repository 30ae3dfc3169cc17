"""What requests about webhook endpoints may carry: one struct per route, checked at the edge.

Names and meanings follow https://docs.stripe.com/api/webhook_endpoints.
"""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from bailiwick.delivery.secrets import OVERLAP_MAX_S, OVERLAP_S
from bailiwick.serving.params import Expand, Metadata, Text


class ListEndpoints(msgspec.Struct, frozen=True):
    """GET /v1/webhook_endpoints: sorted by id, descending."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 10
    starting_after: Text | None = None
    ending_before: Text | None = None
    expand: Expand = []


class CreateEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/webhook_endpoints."""

    url: Annotated[str, Meta(max_length=2000)]
    enabled_events: Annotated[list[Text], Meta(min_length=1, max_length=100)]
    description: Text | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET
    api_version: Text | None = None
    connect: bool | None = None
    expand: Expand = []


class UpdateEndpoint(msgspec.Struct, frozen=True):
    """POST /v1/webhook_endpoints/{id}."""

    url: Annotated[str, Meta(max_length=2000)] | UnsetType = UNSET
    enabled_events: Annotated[list[Text], Meta(min_length=1, max_length=100)] | UnsetType = UNSET
    description: Text | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET
    disabled: bool | None = None
    expand: Expand = []


class RollSecret(msgspec.Struct, frozen=True):
    """POST /v1/webhook_endpoints/{id}/roll_secret: for how many seconds the secret before is still
    valid."""

    expires_in: Annotated[int, Meta(ge=0, le=OVERLAP_MAX_S)] = OVERLAP_S
    expand: Expand = []
