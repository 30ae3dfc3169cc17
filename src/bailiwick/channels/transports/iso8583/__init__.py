"""The transport of ISO 8583: connections that are kept open, and carry many exchanges at once.

What "exactly" rests on here, held by tests/unit/test_iso8583_transport*.py:

* The permit is checked immediately before the message is handed to the connection, in one piece;
  between the two nothing can be suspended. Before that line the phase is ``unsent``, from it on
  ``sent``. What a bank does not read is thrown away after ``link.STALL_S``, and a permit has to be
  good for so long: no byte leaves after it has run out.
* An answer belongs to the request whose kind and declared fields it has (time, trace number,
  retrieval number), on whichever connection it comes. One whose code does not hold is none.
* Nothing is ever sent twice. What repeats a message is another exchange.
* An answer that comes when nobody waits for it any more is handed to ``late`` with its request.

A connection takes messages about money once the bank has answered its sign-on. ``connect`` opens
what is missing, and sends an echo over what is open: one that is not answered ends it.
"""

import asyncio
import ssl
from collections.abc import Callable

import structlog

from bailiwick.base.clock import boot_ns
from bailiwick.channels.blocks.iso8583 import shown
from bailiwick.channels.blocks.iso8583.codec import Message, Unreadable, authentic, unpack
from bailiwick.channels.blocks.iso8583.dialect import Dialect
from bailiwick.channels.blocks.iso8583.framing import framed
from bailiwick.channels.contract import (
    INVALID_REQUEST,
    Exchange,
    Permit,
    Phase,
    Profile,
    Reply,
    Request,
)
from bailiwick.channels.transports import Late
from bailiwick.channels.transports.iso8583 import network
from bailiwick.channels.transports.iso8583.lines import Lines, NoLine, usual_tls
from bailiwick.channels.transports.iso8583.link import STALL_S, Link, Lost, place
from bailiwick.channels.transports.iso8583.waiting import Waiter, Waiting
from bailiwick.channels.transports.secured import USUAL, Secured

SCHEMES = ("tcp", "tls")
Recorder = Callable[[dict[str, object]], None]

_STALL_NS = int(STALL_S * 1e9)
log = structlog.get_logger()


def make(
    *, limit: int, secrets: tuple[str, ...], late: Late | None, secured: Secured
) -> "Iso8583Transport":
    """What ``open_transport`` makes."""
    return Iso8583Transport(limit=limit, secrets=secrets, late=late, secured=secured)


class Iso8583Transport:
    """Connections to one bank.

    Args:
        limit: connections at once, where the dialect has more.
        secured: how its connections are, beyond what the address says; there is no proxy.
        recorder: receives each exchange, redacted.
        secrets: literal texts that the recorder must never see.
        late: takes what is answered after the exchange has ended, with the request.
    """

    def __init__(
        self,
        *,
        limit: int = 256,
        secured: Secured = USUAL,
        recorder: Recorder | None = None,
        secrets: tuple[str, ...] = (),
        late: Late | None = None,
    ) -> None:
        self._limit = limit
        self._held = secured.tls
        self._recorder = recorder
        self._secrets = secrets
        self._late = late
        self._waiting = Waiting()
        self._lines: Lines | None = None
        self._closed = False

    async def connect(self, request: Request, profile: Profile, connections: int = 2) -> Exchange:
        """Open connections with this sign-on, as many as the dialect says, and send an echo over
        those that are open: the best that was answered."""
        if self._closed:
            return Exchange(Phase.UNSENT, None, "closed")
        if self._lines is None:
            dialect: Dialect = profile.wire
            most = min(self._limit, dialect.connections)
            try:
                where = place(request.url)
            except ValueError:
                return Exchange(Phase.UNSENT, None, INVALID_REQUEST)
            context = self._context() if where.tls else None
            self._lines = Lines(where, most, request, profile, self._waiting, self._heard, context)
        return await self._lines.keep()

    async def exchange(self, request: Request, profile: Profile, permit: Permit | None) -> Exchange:
        """Send a message once and wait for its answer. Never raises for what the network does.

        ``unsent``: no byte of it was or will be written. ``sent``: it may have arrived, and no
        answer came in time; ``error`` says why. Cancelling the caller leaves the phase unknown.
        """
        done = await self._exchange(request, profile, permit)
        if self._recorder is not None:
            hidden = profile.secret_headers
            told = shown.transcript(profile.wire, request, done, self._secrets, hidden)
            self._recorder(told)
        return done

    async def close(self) -> None:
        """Sign off, and close all connections; exchanges under way end as ``sent``."""
        self._closed = True
        if self._lines is not None:
            self._lines.close()
        await asyncio.sleep(0)  # the sockets are closed in the loop's next turn

    async def _exchange(
        self, request: Request, profile: Profile, permit: Permit | None
    ) -> Exchange:
        lines, loop = self._lines, asyncio.get_running_loop()
        if self._closed or lines is None:
            return Exchange(Phase.UNSENT, None, "closed" if self._closed else "not_connected")
        dialect: Dialect = profile.wire
        try:
            key = network.key_of(dialect, unpack(dialect, request.body))
            frame = framed(dialect.framing, request.body)
        except ValueError:
            return Exchange(Phase.UNSENT, None, INVALID_REQUEST)
        deadline = loop.time() + profile.total_ms / 1000
        try:
            link = await lines.line(profile.connect_ms / 1000)
        except NoLine as none:
            return Exchange(Phase.UNSENT, None, none.word)
        if self._waiting.find(key) is not None:
            return Exchange(Phase.UNSENT, None, "busy")
        waiter = Waiter(loop, link, request, network.key(request))
        if permit is not None and boot_ns() + _STALL_NS >= permit.expires_boot_ns:
            return Exchange(Phase.UNSENT, None, "permit_expired")
        link.write(frame)
        self._waiting.begin(key, waiter)
        answer: bytes | None = None
        until = min(deadline, loop.time() + profile.first_byte_ms / 1000)
        try:
            async with asyncio.timeout_at(until):
                answer = await waiter.answer
        except TimeoutError:
            return Exchange(Phase.SENT, None, "bad_mac" if waiter.forged else "read_timeout")
        except Lost as lost:
            return Exchange(Phase.SENT, None, lost.word)
        finally:
            self._waiting.end(key, remember=answer is None)
        return Exchange(Phase.ANSWERED, Reply(0, {}, answer))

    def _context(self) -> ssl.SSLContext:
        return usual_tls() if self._held is None else self._held.context

    # --- what the bank sends

    def _heard(self, link: Link, data: bytes) -> None:
        lines = self._lines
        assert lines is not None, "connections are opened by connect"
        dialect: Dialect = lines.profile.wire
        try:
            message = unpack(dialect, data)
        except Unreadable:
            log.warning("message_unreadable", size=len(data))
            return
        if network.asks(message):
            self._asked(lines, link, message)
            return
        key = network.key_of(dialect, message)
        waiter = self._waiting.find(key)
        if waiter is None:
            self._too_late(dialect, key, data)
        elif waiter.key is not None and not authentic(dialect, data, waiter.key):
            waiter.forged = True
            log.warning("message_forged", reason=message.type)
        elif not waiter.answer.done():
            waiter.answer.set_result(data)

    def _too_late(self, dialect: Dialect, key: network.Key, data: bytes) -> None:
        found = self._waiting.late(key)
        if found is None:
            log.warning("message_unasked", reason=key[0] + key[1])
            return
        request, by = found
        if by is not None and not authentic(dialect, data, by):
            log.warning("message_forged", reason=key[0] + key[1])
            return
        self._waiting.forget(key)
        if self._late is not None:
            self._late(request, Reply(0, {}, data))

    def _asked(self, lines: Lines, link: Link, message: Message) -> None:
        """The bank tries the connection, too. It is asked for nothing else here."""
        if not message.type.startswith("08"):
            log.warning("message_unasked", reason=message.type)
        elif link.fit():
            dialect: Dialect = lines.profile.wire
            answer = network.echoed(dialect, lines.hello, message)
            link.write(framed(dialect.framing, answer))
