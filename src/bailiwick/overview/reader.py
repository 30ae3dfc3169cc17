"""The reader: a durable consumer of all nodes' events, and of their relays' reports.

Messages are written to the database before they are acknowledged, so that the broker repeats
what a crash has cut off; what is repeated is known by its events' ids.
"""

import contextlib

import asyncpg
import msgspec

from bailiwick.base import events
from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.events import PaymentEvent, RelayReport
from bailiwick.base.ids import node_of
from bailiwick.bus import event_stream
from bailiwick.bus.client import Bus, BusError, Message, Puller
from bailiwick.overview.database import OverviewDatabase
from bailiwick.runtime import telemetry
from bailiwick.runtime.loops import forever

MESSAGES = 20
"""Taken at once, with all their events in one transaction."""
WAIT_S = 2.0
PAUSE_S = 1.0
NODES_MAX = 65_535

log = telemetry.logger()


class Heard(msgspec.Struct, frozen=True):
    """The last report of a relay, and when it came."""

    report: RelayReport
    at_ms: int


class Reader:
    """Reads for ever; counts what it did since the start of the process."""

    def __init__(self, bus: Bus, database: OverviewDatabase) -> None:
        self._bus = bus
        self._database = database
        self._puller: Puller | None = None
        self._stream_made = False
        self.taken = 0
        self.repeated = 0
        self.rejected = 0
        self.pending = 0
        self.heard: dict[int, Heard] = {}

    async def run(self) -> None:
        """Listen and read until cancelled."""
        await self._bus.listen(events.REPORT_SUBJECTS, self.hear)
        await forever("overview reader", self.step)

    async def step(self) -> float:
        """Take what there is; seconds until the next look.

        Raises:
            asyncpg.PostgresError, OSError, TimeoutError: nothing was acknowledged: it comes again.
        """
        if self._puller is None:
            self._puller = self._bus.pull(
                events.STREAM,
                self._database.durable,
                subject=events.SUBJECTS,
                max_unacked=4 * MESSAGES,
            )
        try:
            if not self._stream_made:
                await event_stream.ensure(self._bus)
                self._stream_made = True
            messages = await self._puller.fetch(MESSAGES, wait_s=WAIT_S)
        except BusError:
            self._stream_made = False  # or wiped with the broker
            return PAUSE_S  # said by the bus itself, once
        if not messages:
            self.pending = 0
            return 0.0
        await self.take(messages)
        self.pending = messages[-1].pending
        return 0.0

    async def take(self, messages: list[Message]) -> None:
        """Write what is in messages, then acknowledge them."""
        good: list[PaymentEvent] = []
        answered: list[Message] = []
        for message in messages:
            try:
                found, wrong = read(message.subject, message.data)
            except (ValueError, RecursionError):
                # It will not get better: never deliver it again, and say so.
                self._reject("not a message of events")
                await message.term()
                continue
            if wrong:
                self._reject("not an event of that node", wrong)
            good += found
            answered.append(message)
        rejected = self.rejected
        taken = await self._take(good)
        for message in answered:
            await message.ack()
        self.taken += taken
        self.repeated += len(good) - taken - (self.rejected - rejected)

    def _reject(self, reason: str, count: int = 1) -> None:
        self.rejected += count
        log.error("event_rejected", reason=reason, count=count)

    async def _take(self, good: list[PaymentEvent]) -> int:
        try:
            done = await self._database.take(good)
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError):
            if len(good) == 1:
                self.rejected += 1
                log.error("event_rejected", event_id=good[0].event, payment=good[0].payment)
                return 0
            # One of them does not fit: it fails alone.
            half = len(good) // 2
            return await self._take(good[:half]) + await self._take(good[half:])
        if done.duplicates:
            log.error("key_used_at_two_nodes", count=done.duplicates)
        if done.forks:
            log.error("two_events_at_one_place", count=done.forks)
        return done.fresh

    async def hear(self, message: Message) -> None:
        """Take a relay's report."""
        try:
            report = events.decode_report(message.data)
        except ValueError:
            return
        if message.subject == events.report_subject(report.node) and report.node <= NODES_MAX:
            self.heard[report.node] = Heard(report, now_ms())


def read(subject: str, data: bytes) -> tuple[list[PaymentEvent], int]:
    """The events of a message that its sender may send, and the number of those it may not.

    Raises:
        ValueError, RecursionError: it is no message of events.
    """
    good = []
    parts = events.split(data)
    for part in parts:
        with contextlib.suppress(ValueError, RecursionError):
            good.append(_read_one(subject, part))
    return good, len(parts) - len(good)


def _read_one(subject: str, data: msgspec.Raw) -> PaymentEvent:
    """An event of the sender's own. Raises ValueError."""
    event = events.decode(data)
    try:
        home = node_of(event.payment)
    except ApiError:
        raise ValueError("the payment's id is none of ours") from None
    if home != event.node or subject != events.subject(home):
        raise ValueError("a node may only tell of its own payments")
    return event
