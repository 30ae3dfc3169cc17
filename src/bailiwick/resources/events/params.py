"""What requests about events may carry; see https://docs.stripe.com/api/events."""

from typing import Annotated

import msgspec
from msgspec import Meta

from bailiwick.serving.params import Expand, ListQuery, Text


class ListEvents(ListQuery, frozen=True):
    """GET /v1/events"""

    type: Text | None = None
    types: Annotated[list[Text], Meta(max_length=20)] | None = None
    delivery_success: bool | None = None


class StreamEvents(msgspec.Struct, frozen=True):
    """The stream of events: GET /v1/events with ``Accept: text/event-stream``."""

    type: Text | None = None
    types: Annotated[list[Text], Meta(max_length=20)] | None = None


class RetryEvent(msgspec.Struct, frozen=True):
    """POST /v1/events/{id}/retry: see https://docs.stripe.com/cli/events/resend."""

    webhook_endpoint: Text | None = None
    expand: Expand = []
