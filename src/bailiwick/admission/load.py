"""How loaded this node is: what it reports as its usage state, and when it refuses.

A request is *under way* from its first write to its answer, and *at work* while it does not wait
for its provider: a slow provider is no overload of ours. New payments are refused above either of
two bounds: the adaptive limit on those at work (``limit``) and the fixed ``capacity`` on those
under way. What finishes payments that were begun has a share of its own above both, so that new
ones are shed first. Refusals by tombstone are bounded too; beyond that the answer is a plain 503,
which writes nothing.
"""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import msgspec

from bailiwick.admission import turns
from bailiwick.admission.limit import Limit
from bailiwick.admission.turns import Turn, Turns
from bailiwick.base.clock import boot_ns
from bailiwick.base.errors import ApiError
from bailiwick.interlink.usage_report import Usage
from bailiwick.store.lanes import Lane

RECENT = 256
RECENT_S = 10.0
"""How far back the share of failed requests looks, and over how many at most. Whoever is closed for
failing gets few requests: without an end in time it would never open again."""
RECENT_MIN = 8
"""Of fewer nothing is said."""
RESERVED = 0.25
"""What finishes begun payments may go above both bounds by this share, and by ``RESERVED_MIN``."""
RESERVED_MIN = 16
SINCE_REPORT = 8
"""What was sent because of a report may go above the bounds by one part in so many."""
WAITING, WAITING_MIN = 4, 32
"""Of one merchant, one part in so many of the limit may wait for a turn, and at least so many."""
REFUSING_MAX = 512
"""Tombstones under way at once."""
OPEN_MORE = 1_024
"""Requests of any kind being answered at once, above ``capacity``."""
AWAY_MS = 100
"""How long, once or twice, the least number of those who wait for their provider is remembered; at
least twice a request's own time, which is how long they may all be away together."""
SHEDDING_S = 0.25
"""How long after a refusal for overload the report says so."""


class Overloaded(ApiError):
    """Not now, and nothing was done or written: the same request may come again."""


def overloaded() -> Overloaded:
    """The answer to what is shed without a tombstone."""
    return Overloaded(
        503,
        "api_error",
        "This node is overloaded. Nothing was done: retry with the same Idempotency-Key.",
        code="overloaded",
        retry=True,
        headers={"Retry-After": "1"},
    )


def _too_many() -> ApiError:
    """The answer to what a merchant sends beyond what may wait of it, while others ask too."""
    return ApiError(
        429,
        "invalid_request_error",
        "Too many of your requests wait at this node. Nothing was done: retry with the same "
        "Idempotency-Key.",
        code="rate_limit",
        retry=True,
        headers={"Retry-After": "1"},
    )


class RequestTimer:
    """One request under way: when it began, and how long it was away at its provider. Around its
    work it counts it; ``new`` payments teach the limit."""

    __slots__ = ("_load", "_new", "_reset", "_turn", "away_ns", "began_ns", "left_ns")

    def __init__(self, load: "Load", *, new: bool) -> None:
        self._load = load
        self._new = new
        self._turn = turns.current()
        self.began_ns = time.monotonic_ns()
        self.away_ns = 0
        self.left_ns = 0

    def __enter__(self) -> None:
        load = self._load
        self._reset = _spell.set(self)
        load.inflight += 1
        load.limit.began(load.at_work)

    def __exit__(self, *_: object) -> None:
        load = self._load
        _spell.reset(self._reset)
        load.inflight -= 1
        if self._new:
            now_ns = time.monotonic_ns()
            own_ns = now_ns - self.began_ns - self.away_ns
            load.limit.ended(own_ns / 1e6, load.commit_ms, load.at_work, now_ns / 1e6)

    def leave(self) -> None:
        """The provider has it now."""
        self.left_ns = time.monotonic_ns()
        self._load.away += 1
        if self._turn is not None:
            self._turn.leave()

    def back(self) -> None:
        """The provider has answered, or will not."""
        self.away_ns += time.monotonic_ns() - self.left_ns
        load = self._load
        load.away -= 1
        if load.away < load.least_away:
            load.least_away = load.away
        if self._turn is not None:
            self._turn.back()


_spell: ContextVar[RequestTimer | None] = ContextVar("spell", default=None)


def current() -> RequestTimer | None:
    """The request on whose behalf this task runs; None in the node's own loops."""
    return _spell.get()


class Load:
    """Counts what is under way and how it ends.

    Args:
        capacity: requests under way at once, whatever they wait for.
        begins, ends: the lanes that write a payment's first and last row.
        target_ms: how long new payments may queue in this process.
    """

    def __init__(
        self, node: int, capacity: int, begins: Lane[Any], ends: Lane[Any], target_ms: int = 100
    ) -> None:
        self._node = node
        self._begins, self._ends = begins, ends
        self.capacity = capacity
        self.limit = Limit(capacity, target_ms, time.monotonic_ns() / 1e6)
        self.turns = Turns()
        self.inflight = 0
        self.away = 0
        self.least_away = 0
        self._least_before = 0
        self._least_since_ns = 0
        self.refusing = 0
        self.open = 0
        self.shed = 0
        self.draining = False
        self.fenced = False
        self.superseded = False
        self.database_answers = True
        self._recent: deque[tuple[float, bool]] = deque()
        self._failed = 0
        self._shed_ns = 0
        self._header = ("", 0)

    @property
    def at_work(self) -> int:
        """Requests under way that do not wait for a provider."""
        return self.inflight - self.away

    def ended(self, failed: bool) -> None:
        """A request was answered; ``failed`` by our own fault, which a fence is not."""
        if failed and (self.fenced or self.superseded):
            return
        self._recent.append((time.monotonic(), failed))
        self._failed += failed
        if len(self._recent) > RECENT:
            self._failed -= self._recent.popleft()[1]

    @property
    def error_rate(self) -> float:
        """Share (0 to 1) of recent requests that failed by our own fault."""
        oldest = time.monotonic() - RECENT_S
        while self._recent and self._recent[0][0] < oldest:
            self._failed -= self._recent.popleft()[1]
        return self._failed / len(self._recent) if len(self._recent) >= RECENT_MIN else 0.0

    @property
    def database_lag_ms(self) -> int:
        """How long the slower lane's oldest batch under way, or else its last one, took."""
        return max(self._begins.lag_ms, self._ends.lag_ms)

    def refusal(self, *, seen_room: bool = False) -> str | None:
        """Why a new payment is not taken now, or None. ``seen_room``: it was sent because of what
        this node reported. What has gone since is taken of it: to refuse it costs more."""
        if self.draining:
            return "draining"
        turn = turns.current()
        if turn is not None and turn.full:
            return "overloaded"  # with the work of this merchant alone: the report does not say so
        if self.room() + (self.limit.now // SINCE_REPORT if seen_room else 0) > 0:
            return None
        self.sheds()
        return "overloaded"

    def sheds(self) -> None:
        """New payments are turned away because of the load: the report says so for a while."""
        self._shed_ns = time.monotonic_ns()

    def room(self) -> int:
        """How many new payments may begin now."""
        return min(self.limit.now - self.at_work, self.capacity - self.inflight)

    def spare(self) -> int:
        """How many more new payments others may send here. Whoever is away for a moment will be
        back before they come: only as many count as away as were at any time lately."""
        now = time.monotonic_ns()
        if now - self._least_since_ns > 1e6 * max(AWAY_MS, 2 * self.limit.own_ms):
            self._least_since_ns = now
            self._least_before, self.least_away = self.least_away, self.away
        away = min(self._least_before, self.least_away)
        return min(self.limit.now + away, self.capacity) - self.inflight

    def check_reserve(self) -> None:
        """Shed what finishes begun payments, where even its own share is used up.

        Raises:
            ApiError: nothing was done: Overloaded, or 429 where it is its merchant's share.
        """
        self.check_turn()
        limit, capacity = self.limit.now, self.capacity
        if self.at_work >= limit + max(RESERVED_MIN, int(limit * RESERVED)) or (
            self.inflight >= capacity + max(RESERVED_MIN, int(capacity * RESERVED))
        ):
            self.shed += 1
            raise overloaded()

    def check_open(self) -> None:
        """Shed before anything is read, where too many requests are being answered.

        Raises:
            Overloaded: nothing was done.
        """
        if self.open > self.capacity + OPEN_MORE:
            self.sheds()
            self.shed += 1
            raise overloaded()

    async def turn(self, merchant: str) -> Turn:
        """Wait for the turn of a request of this merchant, in this task; ``Turn.end`` ends it."""
        turn = self.turns.begin(merchant, time.monotonic_ns())
        try:
            await turn.come(max(WAITING_MIN, self.limit.now // WAITING))
        except BaseException:
            turn.end()
            raise
        turns.holds(turn)
        return turn

    def check_turn(self) -> None:
        """Shed what of this merchant would wait too long.

        Raises:
            ApiError: 429; nothing was done.
        """
        turn = turns.current()
        if turn is not None and turn.full:
            self.shed += 1
            raise _too_many()

    def working(self, *, new: bool) -> RequestTimer:
        """Around the work of a request that is carried out; ``new`` payments teach the limit."""
        return RequestTimer(self, new=new)

    @property
    def commit_ms(self) -> int:
        """How long the latest commit took that ended a payment."""
        return self._ends.lag_ms

    @contextmanager
    def tombstone(self, count: int = 1) -> Iterator[None]:
        """Count refusals that are being committed.

        Raises:
            Overloaded: too many are; nothing was written.
        """
        if self.refusing + count > REFUSING_MAX:
            self.shed += count
            raise overloaded()
        self.refusing += count
        try:
            yield
        finally:
            self.refusing -= count

    def usage(self, epoch: int) -> Usage:
        """The report of this moment."""
        counted, bound = self.inflight, self.capacity
        if self.at_work * self.capacity > self.inflight * self.limit.now:
            counted, bound = self.at_work, self.limit.now
        shed_ago_ns = time.monotonic_ns() - self._shed_ns
        return Usage(
            self._node,
            counted,
            bound,
            round(self.error_rate, 3),
            self.database_lag_ms,
            self.draining or self.fenced or self.superseded,
            epoch,
            self.fenced,
            round(self.limit.own_ms),
            bool(self._shed_ns) and shed_ago_ns < SHEDDING_S * 1e9,
            max(0, self.spare()),
            self.inflight,
        )

    def header(self, epoch: int) -> str:
        """The report as a header, at most 10 ms old: it rides on every answer."""
        text, made = self._header
        now = boot_ns()
        if now - made > 10_000_000:
            text = msgspec.json.encode(self.usage(epoch)).decode()
            self._header = (text, now)
        return text
