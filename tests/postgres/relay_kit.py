"""A broker in memory that does as it is told, and a relay on it."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, cast

import asyncpg
import msgspec

from bailiwick.base import events
from bailiwick.base.events import PaymentEvent
from bailiwick.bus.client import BusRefused, BusUnavailable, Receipt, StreamState
from bailiwick.delivery.outbox import Outbox
from bailiwick.delivery.relay import CONSUMER, Left, Relay
from bailiwick.delivery.relay import message_id as identity
from tests.postgres.rows_kit import create, done, move
from tests.store_kit import NodeStore
from tests.waiting import PATIENCE_S

SECRET = b"a secret that nodes share"


class Broker:
    """One stream, and what became of each message.

    ``refuse`` and ``silent`` say of which events it refuses the message, or loses the answer.
    ``asked`` has the events of every message that came; ``messages`` those that it kept.
    """

    def __init__(self) -> None:
        self.connected = True
        self.created: str | None = None
        self.makings = 0
        self.last = 0
        self.messages: list[list[PaymentEvent]] = []
        self.bytes: list[bytes] = []
        self.asked: list[str] = []
        self.reports: list[bytes] = []
        self.refuse: Callable[[PaymentEvent], bool] = lambda event: False
        self.silent: Callable[[PaymentEvent], bool] = lambda event: False
        self.known: dict[str, int] = {}

    def wipe(self) -> None:
        """The stream and all it knew is gone."""
        self.created = None
        self.last = 0
        self.messages.clear()
        self.known.clear()

    def set_back(self, last: int) -> None:
        """What came after that message is forgotten."""
        del self.messages[last:]
        self.known = {name: number for name, number in self.known.items() if number <= last}
        self.last = last

    async def state(self, stream: str) -> StreamState | None:
        assert stream == events.STREAM
        if not self.connected:
            raise BusUnavailable("away")
        if self.created is None:
            return None
        return StreamState(len(self.messages), 0, 1, self.last, self.created)

    async def ensure_stream(self, name: str, subjects: list[str], **limits: Any) -> bool:
        assert subjects == ["bailiwick.events.*"]
        self.makings += 1
        self.created = f"making {self.makings}"
        return True

    async def publish(
        self,
        subject: str,
        data: bytes,
        *,
        stream: str,
        message_id: str,
        headers: Mapping[str, str] | None = None,
    ) -> Receipt:
        await asyncio.sleep(0)
        if not self.connected:
            raise BusUnavailable("away")
        batch = [events.decode(each) for each in events.split(data)]
        assert {f"bailiwick.events.{event.node}" for event in batch} == {subject}
        assert message_id == identity([event.event for event in batch])
        self.asked += [event.event for event in batch]
        if any(map(self.refuse, batch)):
            raise BusRefused("too large")
        duplicate = message_id in self.known
        if not duplicate:
            self.last += 1
            self.known[message_id] = self.last
            self.messages.append(batch)
            self.bytes.append(data)
        if any(map(self.silent, batch)):
            raise BusUnavailable("no answer in time")
        return Receipt(self.known[message_id], duplicate)

    async def send(self, subject: str, data: bytes) -> None:
        assert subject.startswith("bailiwick.relay.")
        self.reports.append(data)

    # what a reader would have

    @property
    def stored(self) -> list[PaymentEvent]:
        """All events, in order; some perhaps twice."""
        return [event for message in self.messages for event in message]

    def order(self) -> dict[str, list[int]]:
        """Each payment's sequences as they first came."""
        found: dict[str, list[int]] = {}
        for event in {each.event: each for each in self.stored}.values():
            found.setdefault(event.payment, []).append(event.seq)
        return found

    def ids(self) -> set[str]:
        return {event.event for event in self.stored}


async def outbox(sql: asyncpg.Connection) -> set[str]:
    return {row[0] for row in await sql.fetch("SELECT id FROM event")}


async def pay(store: NodeStore, count: int = 1) -> list[str]:
    """Payments that succeeded: two events each."""
    made = [create() for _ in range(count)]
    assert all(await done(store, *made))
    assert all(await done(store, *(move(each) for each in made)))
    return [each.id for each in made]


def relay_on(dsn: str, broker: Broker, node: int = 1, epoch: int = 1) -> Relay:
    """A relay that looks whenever it is asked to."""
    ticks = iter(range(10**9))
    outbox = Outbox(dsn, CONSUMER)
    return Relay(node, outbox, cast(Any, broker), SECRET, lambda: epoch, lambda: next(ticks))


async def drain(relay: Relay, within_s: float = PATIENCE_S) -> Left:
    """Step until nothing can be sent at once."""
    async with asyncio.timeout(within_s):
        while await relay.step() == 0.0:
            pass
    return Left.NOTHING


def plain(event: PaymentEvent) -> dict[str, Any]:
    return cast(dict[str, Any], msgspec.to_builtins(event))
