"""What a service manager is told: that we are ready, that we live, that we stop.

The protocol of systemd's ``sd_notify``: datagrams to the socket that ``NOTIFY_SOCKET`` names.
Without that variable nothing is sent.
"""

import asyncio
import contextlib
import os
import socket
from types import TracebackType


def send(text: str) -> bool:
    """Send one message, such as ``READY=1``; False when nobody wants it."""
    where = os.environ.get("NOTIFY_SOCKET", "")
    if not where.startswith(("/", "@")):
        return False
    if where.startswith("@"):
        where = "\0" + where[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
            sock.connect(where)
            sock.send(text.encode())
    except OSError:
        return False
    return True


def watchdog_seconds() -> float | None:
    """How often the service manager wants to hear from this process, or None."""
    pid = os.environ.get("WATCHDOG_PID", "")
    if pid and pid != str(os.getpid()):
        return None
    try:
        wanted = int(os.environ.get("WATCHDOG_USEC", "0")) / 1_000_000
    except ValueError:
        return None
    return wanted or None


class Service:
    """Ready while it is entered; an event loop that hangs is no longer heard of."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Service":
        send("READY=1")
        seconds = watchdog_seconds()
        if seconds is not None:
            self._task = asyncio.get_running_loop().create_task(_live(seconds / 3))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        send("STOPPING=1")
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task


async def _live(seconds: float) -> None:
    while True:
        send("WATCHDOG=1")
        await asyncio.sleep(seconds)
