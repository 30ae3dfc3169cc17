"""A gateway rests when its provider says that requests are too many. Pure but for the clocks that
are handed in.

A rest is no decline and no failure: what was turned away was not looked at, and goes to another
gateway; nothing new comes here until the rest is over. RFC 9110, section 10.2.3 (``Retry-After``).
"""

from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

FIRST_S = 1.0
LONGEST_S = 60.0
"""Of rests whose length nobody has said: each in a row is twice as long as the one before."""
TOLD_LONGEST_S = 300.0
WHY = "its provider turns requests away for their rate, and asks for a rest"
_NS = 1_000_000_000
_DIGITS_MAX = 9


class Rest:
    """The rests of one gateway.

    Args:
        clock_ns: the clock since boot, in nanoseconds.
        wall_ms: Unix time in milliseconds, for providers that name a date.

    Attributes:
        until_ns: when the last rest ends or ended; 0: there was none.
    """

    def __init__(self, clock_ns: Callable[[], int], wall_ms: Callable[[], int]) -> None:
        self._clock_ns = clock_ns
        self._wall_ms = wall_ms
        self.until_ns = 0
        self._pause_s = 0.0

    def told(self, begun_ns: int, retry_after: str | None) -> None:
        """A request that was begun then was turned away; ``retry_after``: the header, if any.

        What was begun before the rest lengthens it only where the provider says so.
        """
        now_ns = self._clock_ns()
        given_s = _seconds(retry_after, self._wall_ms())
        if given_s is not None:
            until_ns = now_ns + int(min(max(given_s, FIRST_S), TOLD_LONGEST_S) * _NS)
            self.until_ns = max(self.until_ns, until_ns)
        elif begun_ns >= self.until_ns:
            self._pause_s = min(2 * self._pause_s, LONGEST_S) or FIRST_S
            self.until_ns = now_ns + int(self._pause_s * _NS)

    def well(self, begun_ns: int) -> None:
        """A request that was begun then was looked at."""
        if self._pause_s and begun_ns >= self.until_ns:
            self._pause_s = 0.0

    def why(self) -> str | None:
        """Why nothing new may come now; None: it may."""
        return WHY if self.until_ns and self._clock_ns() < self.until_ns else None


def _seconds(header: str | None, wall_ms: int) -> float | None:
    """What a ``Retry-After`` says, in seconds from now; None where it says nothing."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:_DIGITS_MAX])
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return at.timestamp() - wall_ms / 1000
