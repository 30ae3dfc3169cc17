"""One request and the ways, good and bad, in which it can be answered."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, NamedTuple

import msgspec

from bailiwick_sandbox.bank.records import Refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

_JSON: Header = (b"content-type", b"application/json")
_REPLAYED: Header = (b"sandbox-replayed", b"true")
_LINGER_ZERO = struct.pack("ii", 1, 0)
_CHUNK = b"a" * 65_536
_encode = msgspec.json.Encoder().encode


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    body: bytes
    headers: tuple[Header, ...] = (_JSON,)


def answer(value: object, status: int = 200, replayed: bool = False) -> Answer:
    """An answer in JSON."""
    return Answer(status, _encode(value), (_JSON, _REPLAYED) if replayed else (_JSON,))


def error(
    status: int, code: str, message: str, param: str | None = None, headers: Iterable[Header] = ()
) -> Answer:
    """An error in the bank's shape."""
    body = {"error": {"code": code, "message": message, "param": param}}
    return Answer(status, _encode(body), (_JSON, *headers))


def refused(refusal: Refusal) -> Answer:
    """A refusal as an answer."""
    return error(refusal.status, refusal.code, refusal.message, refusal.param)


class Exchange:
    """One request; exactly one of the answering methods is used."""

    __slots__ = ("_closing", "_receive", "_send", "scope")

    def __init__(self, scope: Scope, receive: Receive, send: Send, closing: asyncio.Event) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._closing = closing

    async def body(self, limit: int) -> bytes:
        """The whole body; raises Refusal 413 above the limit (in bytes)."""
        message = await self._receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body", False):
            whole = bytearray(body)
            while message.get("more_body", False) and len(whole) <= limit:
                message = await self._receive()
                whole += message.get("body", b"")
            body = bytes(whole)
        if message["type"] == "http.disconnect":
            raise Refusal(400, "disconnected", "The body did not arrive.")
        if len(body) > limit:
            raise Refusal(413, "body_too_large", f"At most {limit} bytes are read.")
        return body

    async def answer(self, what: Answer) -> None:
        """Answer as one should."""
        length = (b"content-length", b"%d" % len(what.body))
        headers = (*what.headers, length)
        if what.status == 413:
            headers = (*headers, (b"connection", b"close"))
        await self._send({"type": "http.response.start", "status": what.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": what.body})

    async def reset(self) -> None:
        """Reset the connection: the peer sees RST and not a close."""
        transport = self._transport()
        if transport is None:
            return
        peer = transport.get_extra_info("socket")
        if peer is not None:
            # It may be gone already, which is as good as reset.
            with contextlib.suppress(OSError):
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        transport.abort()
        await self._disconnected()

    async def hang(self, milliseconds: int) -> None:
        """Say nothing until the peer gives up, the time is over or the bank closes."""
        gone = asyncio.ensure_future(self._disconnected())
        closing = asyncio.ensure_future(self._closing.wait())
        await asyncio.wait(
            {gone, closing}, timeout=milliseconds / 1000, return_when=asyncio.FIRST_COMPLETED
        )
        was_gone = gone.done()
        for waiter in (gone, closing):
            waiter.cancel()
        if not was_gone:
            await self.reset()

    async def truncated(self, what: Answer) -> None:
        """Promise a whole answer, send half of it and close."""
        length = (b"content-length", b"%d" % len(what.body))
        await self._start(what.status, (*what.headers, length))
        half = what.body[: len(what.body) // 2]
        await self._send({"type": "http.response.body", "body": half, "more_body": True})
        transport = self._transport()
        if transport is not None:
            transport.close()
        await self._disconnected()

    async def huge(self, size: int) -> None:
        """Stream an answer of about ``size`` bytes, for as long as the peer takes it."""
        await self._start(200, (_JSON,))
        body = b'{"object":"charge","padding":"'
        transport = self._transport()
        while size > 0 and not self._closing.is_set():
            await self._send({"type": "http.response.body", "body": body, "more_body": True})
            if transport is not None and transport.is_closing():
                await self._disconnected()
                return
            size -= len(body)
            body = _CHUNK
        await self._send({"type": "http.response.body", "body": b'"}'})

    async def _start(self, status: int, headers: tuple[Header, ...]) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _disconnected(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def _transport(self) -> asyncio.Transport | None:
        # Put there by our protocol class (``server.py``).
        transport: asyncio.Transport | None = self.scope.get("state", {}).get("transport")
        return transport
