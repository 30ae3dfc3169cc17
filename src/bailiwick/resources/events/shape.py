"""What an event looks like to clients: https://docs.stripe.com/api/events/object. Pure."""

from typing import Literal

from msgspec import UNSET, UnsetType

from bailiwick.serving.shapes import Count, Open, Second, Shape


class EventData(Shape):
    """The object as it was then, and what of it was otherwise before."""

    object: Open
    previous_attributes: Open | UnsetType = UNSET


class EventRequest(Shape):
    """By which request it happened."""

    id: str | None
    idempotency_key: str | None


class Event(Shape):
    """What has happened; ``node``, ``payment`` and ``sequence`` are ours."""

    id: str
    object: Literal["event"]
    api_version: str | None
    created: Second
    data: EventData
    livemode: bool
    pending_webhooks: Count
    request: EventRequest | None
    type: str
    node: int
    payment: str | None
    sequence: Count


SHAPE = Event
