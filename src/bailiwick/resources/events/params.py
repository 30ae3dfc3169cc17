"""What requests about events may carry; see https://docs.stripe.com/api/events."""

from typing import Annotated

from msgspec import Meta

from bailiwick.serving.params import ListQuery, Text


class ListEvents(ListQuery, frozen=True):
    """GET /v1/events"""

    type: Text | None = None
    types: Annotated[list[Text], Meta(max_length=20)] | None = None
