"""The relay: from the outbox to the broker, at least once, each payment's events in order.

The outbox is the truth and the broker carries. A pass claims the outbox, reads what is below
the horizon, publishes it, waits until the broker has it on disk, and only then advances. Many
events make one message: a message costs the process about as much as half a payment. What was
published twice has the same ids, and readers keep ids for ever. When the broker is away the
relay waits; payments do not notice. When its stream is another than the one that took the last
event (wiped, restored), or the database is another cluster (a dump restored elsewhere), all
events are sent again.

A copy of the cluster itself (a promoted standby, point-in-time recovery) needs nothing of that:
the relay's place comes from the same log as its events.
"""

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from bailiwick.base import events
from bailiwick.base.clock import now_ms
from bailiwick.base.events import PaymentEvent, RelayReport
from bailiwick.bus import event_stream
from bailiwick.bus.base import BusError, BusRefused
from bailiwick.bus.event_stream import MESSAGE_BYTES_MAX
from bailiwick.delivery.outbox import Backlog, Claim, Outbox, OutboxRow, Position
from bailiwick.delivery.reading import Left, Reading, place_of
from bailiwick.runtime import telemetry
from bailiwick.runtime.crash import crash_point
from bailiwick.runtime.database_errors import DATABASE_ERRORS
from bailiwick.runtime.loops import forever

CONSUMER = "events"
PAGE = 4 * events.BATCH_MAX
TRIES_MAX = 5
_HEADER_BYTES = 1_024
IDLE_S = 0.1
LOOK_S = 2.0
"""Without a write of our own, the outbox is looked at so often (another process may write)."""
REPORT_S = 2.0
SUMMARIZE_S = 5.0
PAUSE_MAX_S = 5.0

if TYPE_CHECKING:
    from bailiwick.bus.client import Bus

log = telemetry.logger()


class Leaving(msgspec.Struct, frozen=True):
    """An event on its way: its row, and its bytes."""

    row: OutboxRow
    data: bytes


class Sent(msgspec.Struct):
    """What became of one page: rows done with from its start, and what the broker said."""

    done: int = 0
    published: int = 0
    last_sequence: int = 0
    trouble: BusError | None = None


class Relay:
    """Relays one node's outbox.

    Args:
        number: the node's.
        secret: what nodes share; keys leave hashed with it.
        epoch: the one in force; a fence above it stops the relay, as it stops all writing.
        written: rows that this process has written so far; while it stands still, there is
            little reason to look.
    """

    def __init__(
        self,
        number: int,
        outbox: Outbox,
        bus: "Bus",
        secret: bytes,
        epoch: Callable[[], int],
        written: Callable[[], int],
    ) -> None:
        self._number = number
        self._outbox = outbox
        self._bus = bus
        self._secret = secret
        self._epoch = epoch
        self._written = written
        self._reading = Reading(outbox)
        self._seen = -1
        self._looked_at = self._reported_at = self._summarized_at = 0.0
        self._summarized = 0
        self._failures = 0
        self._position = Position()
        self.published = 0
        self.backlog = Backlog()

    @property
    def lag_s(self) -> float:
        """Age of the oldest event that has not been sent; 0 when there is none."""
        oldest = self.backlog.oldest_ms
        return 0.0 if oldest is None else max(0.0, (now_ms() - oldest) / 1000)

    async def run(self) -> None:
        """Relay for ever; only cancellation ends it."""
        try:
            await forever("relay", self._careful)
        finally:
            await self._outbox.close()

    async def _careful(self) -> float:
        """One step; whatever fails is tried again, ever more slowly."""
        try:
            async with asyncio.timeout(30):
                pause = await self.step()
            self._failures = 0
        except BusError as error:
            pause = self._backoff()
            if self._failures == 1:
                log.warning("relay_waits", reason=str(error))
        except DATABASE_ERRORS as error:
            await self._outbox.close()
            pause = self._backoff()
            log.warning("relay_step_failed", error=error)
        except Exception as error:
            await self._outbox.close()
            pause = self._backoff()
            log.error("relay_step_failed", error=error)
        return pause

    def _backoff(self) -> float:
        self._failures += 1
        return float(min(IDLE_S * 2 ** min(self._failures, 8), PAUSE_MAX_S))

    async def step(self) -> float:
        """One pass, if there may be something to send; seconds until the next.

        Raises:
            BusError: the broker is away or refuses; nothing is lost, all of it waits.
            DATABASE_ERRORS: the database is away; nothing is lost.
        """
        now = time.monotonic()
        await self._look_after(now)
        written = self._written()
        if written == self._seen and now - self._looked_at < LOOK_S:
            return IDLE_S
        left = await self._pass(*await self._stream())
        if left is Left.MORE:
            return 0.0
        self._looked_at = now
        if left is Left.NOTHING:
            self._seen = written
        return IDLE_S

    async def _stream(self) -> tuple[str, int]:
        """Which stream takes our events, and its last number."""
        state = await self._bus.state(events.STREAM)
        if state is None:
            await event_stream.ensure(self._bus)
            state = await self._bus.state(events.STREAM)
        if state is None:
            raise BusError(f"the stream {events.STREAM} was deleted as soon as it was made")
        return state.created, state.last

    # --- one pass ---------------------------------------------------------------------------

    async def _pass(self, stream: str, last: int) -> Left:
        """Send one page."""
        async with self._outbox.claimed(self._epoch()) as claim:
            if claim is None:
                return Left.NOTHING
            position, reason = _begin(claim, stream, last)
            if reason is not None:
                log.info("relay_begins_again", reason=reason)
            rows, after, left = await self._reading.page(position, claim, PAGE)
            sent = await self._send(rows)
            if sent.done == len(rows):
                position = after
            elif sent.done:
                position = place_of(rows[sent.done - 1], position)
            if sent.published:
                crash_point("relay.acked")
            # Nothing but the passing of transactions is not worth a commit.
            if rows or left is Left.MORE or reason is not None:
                known = 0 if reason is not None else claim.stream_seq
                sequence = max(known, sent.last_sequence)
                await self._outbox.advance(claim.here, position, stream, sequence, sent.published)
        self._position = position
        self.published += sent.published
        if sent.trouble is not None:
            raise sent.trouble
        return left

    async def _send(self, rows: Sequence[OutboxRow]) -> Sent:
        """Publish rows, one message after another: each only when the one before is on the
        broker's disk."""
        sent = Sent()
        if not rows:
            return sent
        parked = await self._outbox.parked([row.id for row in rows])
        settled = {row.id for row in rows if row.id in parked}
        stuck: set[str] = set()
        waiting = deque(batches([self._leaving(row) for row in rows if row.id not in settled]))
        while waiting:
            batch = [each for each in waiting.popleft() if each.row.subject not in stuck]
            if not batch:
                continue
            try:
                sequence = await self._publish(batch)
            except BusRefused as error:
                if len(batch) > 1:
                    # Whatever is wrong with one of them, it fails alone.
                    half = len(batch) // 2
                    waiting.extendleft((batch[half:], batch[:half]))
                elif await self._refused(batch[0].row, error):
                    settled.add(batch[0].row.id)
                else:
                    stuck.add(batch[0].row.subject)
                    sent.trouble = error
                continue
            except BusError as error:
                sent.trouble = error  # the broker is away: no use in asking it for the rest
                break
            settled.update(each.row.id for each in batch)
            sent.published += len(batch)
            sent.last_sequence = max(sent.last_sequence, sequence)
        sent.done = next((n for n, row in enumerate(rows) if row.id not in settled), len(rows))
        return sent

    def _leaving(self, row: OutboxRow) -> Leaving:
        return Leaving(row, events.encode(message(row, self._number, self._secret)))

    async def _publish(self, batch: Sequence[Leaving]) -> int:
        """The sequence in the stream. Raises BusError."""
        receipt = await self._bus.publish(
            events.subject(self._number),
            events.join([each.data for each in batch]),
            stream=events.STREAM,
            message_id=message_id([each.row.id for each in batch]),
        )
        return receipt.sequence

    async def _refused(self, row: OutboxRow, error: BusRefused) -> bool:
        if not await self._outbox.refused(row, str(error)[:200], TRIES_MAX):
            return False
        log.error("event_parked", event_id=row.id, payment=row.subject, tries=TRIES_MAX)
        return True

    # --- beside the passes ------------------------------------------------------------------

    async def _look_after(self, now: float) -> None:
        if self.published != self._summarized and now - self._summarized_at > SUMMARIZE_S:
            self._summarized_at, self._summarized = now, self.published
            await self._outbox.summarize()
        if now - self._reported_at < REPORT_S:
            return
        self._reported_at = now
        self.backlog = await self._outbox.backlog()
        if self._bus.connected:
            report = RelayReport(
                self._number,
                now_ms(),
                self._position.xact,
                self._position.sweeping,
                self.published,
                self.backlog.waiting,
                self.backlog.oldest_ms or 0,
                self.backlog.parked,
            )
            await self._bus.send(events.report_subject(self._number), events.encode(report))


def _begin(claim: Claim, stream: str, last: int) -> tuple[Position, str | None]:
    """Where to read on, and why from the beginning when the place is not one of this cluster
    and this stream."""
    if claim.origin != claim.here:
        reason = "no place is known" if claim.origin is None else "another cluster"
    elif claim.stream != stream:
        reason = "another stream"
    elif last < claim.stream_seq:
        reason = "the stream was set back"
    else:
        return claim.position, None
    return Position(True, claim.horizon), reason


def message(row: OutboxRow, node: int, secret: bytes) -> PaymentEvent:
    """What leaves of an event: these fields, by name, and nothing else."""
    return PaymentEvent(
        event=row.id,
        type=row.type,
        seq=row.seq,
        payment=row.subject,
        node=node,
        merchant=row.merchant,
        livemode=row.livemode,
        created_ms=row.created_ms,
        version=row.version,
        state=row.state,
        amount=row.amount,
        currency=row.currency,
        amount_capturable=row.amount_capturable,
        amount_received=row.amount_received,
        amount_refunded=row.amount_refunded,
        attempts=row.attempts,
        epoch=row.epoch,
        payment_created_ms=row.payment_created_ms,
        charge_attempt=row.charge_attempt,
        key_hash=None
        if row.key is None
        else events.key_hash(secret, row.merchant, row.livemode, row.key),
    )


def batches(leaving: Sequence[Leaving]) -> list[list[Leaving]]:
    """Events in order, cut into messages."""
    found: list[list[Leaving]] = []
    size = 0
    for each in leaving:
        size += len(each.data) + 1
        full = size > MESSAGE_BYTES_MAX - _HEADER_BYTES
        if not found or full or len(found[-1]) == events.BATCH_MAX:
            found.append([])
            size = len(each.data) + 2
        found[-1].append(each)
    return found


def message_id(identifiers: Sequence[str]) -> str:
    """The same for the same events in the same order, and for no others.

    First, last and count would not do: a sweep and what follows it put other events between.
    """
    digest = hashlib.sha256("\0".join(identifiers).encode()).hexdigest()[:32]
    return f"{identifiers[0]}-{len(identifiers)}-{digest}"
