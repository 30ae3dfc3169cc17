"""The broker's stream of all nodes' events: made by whoever needs it first and may make it.

Who makes a stream also says where its messages go. Where the broker's accounts are kept apart, only
the overview, which reads all events anyway, may make it; a node's relay waits until then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bailiwick.base import events

if TYPE_CHECKING:
    from bailiwick.bus.client import Bus

BYTES_MAX: Final = 512 << 20
AGE_S: Final = 7 * 86_400.0
MESSAGE_BYTES_MAX: Final = 256 << 10
"""Of a message with its headers; more than BATCH_MAX of the longest events that readers take."""


async def ensure(bus: Bus) -> None:
    """Make the stream unless it is there. Raises BusError."""
    await bus.ensure_stream(
        events.STREAM,
        [events.SUBJECTS],
        max_bytes=BYTES_MAX,
        max_age_s=AGE_S,
        max_message_bytes=MESSAGE_BYTES_MAX,
    )
