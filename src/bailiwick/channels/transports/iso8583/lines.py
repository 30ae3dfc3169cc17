"""The connections to one bank: opened, signed on, watched, and chosen from."""

import asyncio
import functools
import random
import socket
import ssl
from collections.abc import Callable

from bailiwick.base.clock import now_ms
from bailiwick.channels.blocks.iso8583.codec import Unreadable, unpack
from bailiwick.channels.blocks.iso8583.dialect import Dialect
from bailiwick.channels.blocks.iso8583.framing import framed
from bailiwick.channels.contract import Exchange, Phase, Profile, Reply, Request
from bailiwick.channels.transports.iso8583 import network
from bailiwick.channels.transports.iso8583.link import Link, Lost, Place
from bailiwick.channels.transports.iso8583.waiting import Waiter, Waiting

_STANS = 999_999


class NoLine(Exception):
    """There is no connection to write to; ``word`` says why."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class Lines:
    """See the module.

    Args:
        most: connections at once.
        hello: the channel's sign-on, of which each connection's own is made.
        on_message: takes what comes on any of them.
    """

    def __init__(
        self,
        where: Place,
        most: int,
        hello: Request,
        profile: Profile,
        waiting: Waiting,
        on_message: Callable[[Link, bytes], None],
        context: ssl.SSLContext | None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._where = where
        self._most = most
        self.hello = hello
        self.profile = profile
        self._dialect: Dialect = profile.wire
        self._waiting = waiting
        self._on_message = on_message
        self._context = context
        self._links: list[Link] = []
        self._opening: asyncio.Task[Exchange] | None = None
        self._number = random.randrange(_STANS)
        self._closed = False

    async def keep(self) -> Exchange:
        """Open what is missing, and try what is open: the best that the bank has answered. One
        connection that is down does not keep payments from the others."""
        tried = [self._echo(link) for link in self._links if link.signed_on]
        missing = self._most - len(self._links)
        opened = [self._open() for _ in range(missing)] if self._opening is None else []
        done = await asyncio.gather(*tried, *opened)
        if not done:
            done = [await asyncio.shield(self._opened())]
        return max(done, key=self._worth)

    def free(self) -> Link | None:
        """The connection with the fewest exchanges on it, of those that may be written to now."""
        fit = [link for link in self._links if link.signed_on and link.fit()]
        return min(fit, key=lambda link: link.waiting, default=None)

    async def line(self, within_s: float) -> Link:
        """A connection that may be written to now; one is opened where there is none. Nothing is
        suspended between the look at it and the return.

        Raises:
            NoLine: there is none within that time.
        """
        found = self.free()
        if found is not None:
            return found
        try:
            async with asyncio.timeout(within_s):
                told = await asyncio.shield(self._opened())
        except TimeoutError:
            raise NoLine("connect_timeout") from None
        found = self.free()
        if found is None:
            raise NoLine(told.error or "sign_on_refused")
        return found

    def close(self) -> None:
        """Sign off and close all."""
        self._closed = True
        for link in list(self._links):
            link.leave(self._farewell())
        if self._opening is not None:
            self._opening.cancel()

    # --- one connection

    def _opened(self) -> "asyncio.Task[Exchange]":
        """One being opened; whoever needs one waits for the same."""
        if self._opening is None:
            self._opening = self._loop.create_task(self._open())
            self._opening.add_done_callback(self._has_opened)
        return self._opening

    def _has_opened(self, task: "asyncio.Task[Exchange]") -> None:
        self._opening = None

    async def _open(self) -> Exchange:
        """Open a connection and sign on."""
        if self._closed or len(self._links) >= self._most:
            return Exchange(Phase.UNSENT, None, "closed" if self._closed else "no_free_connection")
        link = Link(self._loop, self._dialect.framing, self._on_message, self._lost)
        self._links.append(link)
        try:
            async with asyncio.timeout(self.profile.connect_ms / 1000):
                await self._loop.create_connection(
                    lambda: link, self._where.host, self._where.port, ssl=self._context
                )
        except Exception as error:  # whatever it is: there is no connection
            self._lost(link, "")
            return Exchange(Phase.UNSENT, None, _word(error))
        except asyncio.CancelledError:
            link.drop("closed")
            self._lost(link, "")
            raise
        told = await self._ask(link, self._dialect.sign_on)
        if self._accepted(told):
            link.signed_on = True
        else:
            link.drop("sign_on_refused")
        return told

    async def _echo(self, link: Link) -> Exchange:
        told = await self._ask(link, self._dialect.echo)
        if told.reply is None:
            link.drop("no_echo")
        return told

    async def _ask(self, link: Link, what: str) -> Exchange:
        """One message about the connection, on it, and its answer."""
        self._number = self._number % _STANS + 1
        message, packed = network.about(self._dialect, self.hello, what, now_ms(), self._number)
        key = network.key_of(self._dialect, message)
        if not link.fit() or self._waiting.find(key) is not None:
            return Exchange(Phase.UNSENT, None, "disconnected")
        signed = self._dialect.mac is not None and self._dialect.mac.network
        by = network.key(self.hello) if signed else None
        waiter = Waiter(self._loop, link, self.hello, by)
        self._waiting.begin(key, waiter)
        link.write(framed(self._dialect.framing, packed))
        try:
            async with asyncio.timeout(self.profile.first_byte_ms / 1000):
                answer = await waiter.answer
        except TimeoutError:
            return Exchange(Phase.SENT, None, "bad_mac" if waiter.forged else "read_timeout")
        except Lost as lost:
            return Exchange(Phase.SENT, None, lost.word)
        finally:
            self._waiting.end(key, remember=False)
        return Exchange(Phase.ANSWERED, Reply(0, {}, answer))

    def _lost(self, link: Link, word: str) -> None:
        link.signed_on = False
        if link in self._links:
            self._links.remove(link)
        self._waiting.lost(link, word)

    def _farewell(self) -> bytes | None:
        what = self._dialect.sign_off
        if not what:
            return None
        self._number = self._number % _STANS + 1
        _, packed = network.about(self._dialect, self.hello, what, now_ms(), self._number)
        return framed(self._dialect.framing, packed)

    def _accepted(self, told: Exchange) -> bool:
        if told.reply is None:
            return False
        try:
            answer = unpack(self._dialect, told.reply.body)
        except Unreadable:
            return False
        return answer.fields.get(39) in self._dialect.approved

    def _worth(self, told: Exchange) -> tuple[bool, bool]:
        return self._accepted(told), told.reply is not None


@functools.cache
def usual_tls() -> ssl.SSLContext:
    """A verifying context; shared, because loading the system's certificates takes long."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _word(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "connect_timeout"
    if isinstance(error, socket.gaierror):
        return "dns"
    if isinstance(error, ssl.SSLError):
        return "tls"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    return "unreachable" if isinstance(error, OSError) else "not_sent"
