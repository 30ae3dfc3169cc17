"""What is written to one client connection: in few pieces, and counted."""

import asyncio
from typing import Any


class JoinedWrites:
    """A transport that writes what one turn of the event loop brings in one piece.

    uvicorn writes an answer's head and body apart; on a hot path that is a system call and a
    packet more for each request.

    Attributes:
        written: bytes handed on so far.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pending: list[bytes] = []
        self.written = 0

    def write(self, data: bytes) -> None:
        """Have the data written at the end of this turn."""
        if not self._pending:
            self._loop.call_soon(self._flush)
        self._pending.append(data)

    def _flush(self) -> None:
        if self._pending:
            data = b"".join(self._pending)
            self._pending.clear()
            self.written += len(data)
            self._transport.write(data)

    def write_eof(self) -> None:
        """Write what is pending, then end our side."""
        self._flush()
        self._transport.write_eof()

    def close(self) -> None:
        """Write what is pending, then close."""
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Stall:
    """Notices a client that takes nothing of what is written for it."""

    __slots__ = ("_since", "_taken")

    def __init__(self) -> None:
        self._since: float | None = None
        self._taken = 0

    def seconds(self, transport: JoinedWrites, now: float) -> float:
        """For how long, as far as is known, the client has taken nothing of what waits for it.

        What the system's own buffers hold counts as taken.
        """
        waiting: int = transport.get_write_buffer_size()
        if not waiting:
            self._since = None
            return 0.0
        taken = transport.written - waiting
        if self._since is None or taken != self._taken:
            self._since = now
            self._taken = taken
        return now - self._since
