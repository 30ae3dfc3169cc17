"""What requests about test clocks may carry: one struct per route, checked at the edge.

Names and meanings follow https://docs.stripe.com/api/test_clocks; ``location`` is ours.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from bailiwick.jurisdiction.locate import Evidence
from bailiwick.serving.params import Expand, ListQuery

TIME_MOST = 253_402_300_799
"""The end of the year 9999."""
Time = Annotated[int, Meta(ge=0, le=TIME_MOST)]
Name = Annotated[str, Meta(max_length=300)]


class CreateClock(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/test_helpers/test_clocks; ``frozen_time``: Unix time in seconds."""

    frozen_time: Time
    name: Name | None = None
    location: Evidence | None = None
    expand: Expand = []


class AdvanceClock(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/test_helpers/test_clocks/{id}/advance"""

    frozen_time: Time
    expand: Expand = []


class ListClocks(ListQuery, frozen=True):
    """GET /v1/test_helpers/test_clocks"""


UNDONE_CREATE = {
    "customer": "make the customer with test_clock; one that is there already stays as it is",
}
