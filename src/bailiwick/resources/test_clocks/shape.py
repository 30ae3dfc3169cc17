"""What a test clock looks like to clients: https://docs.stripe.com/api/test_clocks/object. Pure."""

from typing import Literal

from msgspec import UNSET, UnsetType

from bailiwick.serving.shapes import Deleted, KeptPlace, Second, Shape


class Advance(Shape):
    """Where a clock that advances is going."""

    target_frozen_time: Second


class StatusDetails(Shape):
    """Of a clock that advances."""

    advancing: Advance | UnsetType = UNSET


class TestClock(Shape):
    """Time that a test moves; ``location`` and ``node`` are ours."""

    id: str
    object: Literal["test_helpers.test_clock"]
    created: Second
    deletes_after: Second
    frozen_time: Second
    livemode: bool
    name: str | None
    status: Literal["advancing", "ready"]
    status_details: StatusDetails
    location: KeptPlace | None
    node: str | None


SHAPE = TestClock
GONE = Deleted
"""What is retrieved of one that was deleted."""
