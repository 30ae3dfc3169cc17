"""Names of webhook hosts, looked up so that a silent name server holds up nobody else.

A look-up takes a thread for as long as the system's resolver waits, which may be half a minute,
and cannot be cut short. So these have threads of their own: providers' names are looked up by
others. And one merchant's endpoints have but a few of them at once.
"""

import asyncio
import contextvars
import functools
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from bailiwick.delivery.addresses import public_address

THREADS_MAX = 128
THREADS_OF_ONE_MAX = 4
"""Look-ups of one merchant at once; further ones wait, within the time of their try."""

ON_BEHALF = contextvars.ContextVar("on_behalf", default="")
"""The merchant for whom the running task connects."""


class NotPublic(OSError):
    """A name leads to an address that webhooks may not go to."""


class GuardedResolver(AbstractResolver):
    """Resolves names and passes on only addresses that webhooks may go to."""

    def __init__(
        self, private: bool, look_up: Callable[..., list[Any]] = socket.getaddrinfo
    ) -> None:
        self._private = private
        self._look_up = look_up
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="webhook-name")
        self._turns: dict[str, asyncio.Semaphore] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses of a host. Raises NotPublic when any of them is not, OSError when
        there are none."""
        hosts: list[ResolveResult] = []
        for kind, _, proto, _, address in await self._found(host, port):
            if not self._private and not public_address(address[0]):
                raise NotPublic(f"{host} leads to an address that is not public")
            hosts.append(
                ResolveResult(
                    hostname=host,
                    host=address[0],
                    port=port,
                    family=kind,
                    proto=proto,
                    flags=socket.AI_NUMERICHOST,
                )
            )
        return hosts

    async def _found(self, host: str, port: int) -> list[Any]:
        merchant = ON_BEHALF.get()
        turn = self._turns.setdefault(merchant, asyncio.Semaphore(THREADS_OF_ONE_MAX))
        await turn.acquire()
        work = functools.partial(self._look_up, host, port, type=socket.SOCK_STREAM)
        future = asyncio.get_running_loop().run_in_executor(self._threads, _caught, work)
        # Whoever waits may give up; the thread is taken until the system has an answer.
        future.add_done_callback(lambda _: turn.release())
        found = await asyncio.shield(future)
        if isinstance(found, Exception):
            raise found
        return found

    async def close(self) -> None:
        """Look up no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _caught(work: Callable[[], list[Any]]) -> list[Any] | Exception:
    """A failure as a value: nobody may be left to take it."""
    try:
        return work()
    except (OSError, UnicodeError) as error:
        return error
