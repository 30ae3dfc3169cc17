"""How a usage state came to be what it is: a bounded list of its changes. Pure."""

from collections import Counter, deque
from typing import Any

import msgspec

CHANGES_MAX = 100
"""Changes kept of one node or gateway."""


class Change(msgspec.Struct, frozen=True):
    """One change of a usage state.

    Attributes:
        at_ms: wall clock, for people; order is that of the list.
        before, after: words such as "open" and "closed".
        why: the reason of the later state, in words.
        figures: what was measured when it changed, if anything.
    """

    at_ms: int
    before: str
    after: str
    why: str
    figures: Any = None


class History:
    """The state of one thing and the last ``CHANGES_MAX`` changes of it."""

    def __init__(self, state: str, at_ms: int) -> None:
        self.state = state
        self.since_ms = at_ms
        self.why = ""
        self.counts: Counter[str] = Counter()
        self._changes: deque[Change] = deque(maxlen=CHANGES_MAX)

    def note(self, state: str, why: str, at_ms: int, figures: Any = None) -> bool:
        """The state now; true when that is a change. A new reason alone is none."""
        self.why = why
        if state == self.state:
            return False
        self._changes.append(Change(at_ms, self.state, state, why, figures))
        self.counts[state] += 1
        self.state = state
        self.since_ms = at_ms
        return True

    @property
    def changes(self) -> list[Change]:
        """The changes kept, the latest first."""
        return list(reversed(self._changes))
