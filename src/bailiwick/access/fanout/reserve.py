"""A bound on memory that several requests share: each takes its part first, or waits for it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

PAGES_BYTES = 128 * 1024 * 1024
"""Of pages that the lists under way in one access process may hold."""


class Reserve:
    """So many bytes, given out in the order in which they were asked for.

    Attributes:
        free: bytes that nobody has.
    """

    def __init__(self, bytes_most: int) -> None:
        self.free = bytes_most
        self._most = bytes_most
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def holding(self, wanted: int, wait_s: float) -> AsyncIterator[None]:
        """Have that many bytes meanwhile, or all there are.

        Raises:
            TimeoutError: they did not become free in time.
        """
        wanted = min(wanted, self._most)
        await self._take(wanted, wait_s)
        try:
            yield
        finally:
            self.free += wanted
            self._pass_on()

    async def _take(self, wanted: int, wait_s: float) -> None:
        if not self._waiting and wanted <= self.free:
            self.free -= wanted
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, turn))
        try:
            async with asyncio.timeout(wait_s):
                await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self.free += wanted  # it came just as we gave up
            else:
                self._waiting.remove((wanted, turn))
            self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting and self._waiting[0][0] <= self.free:
            wanted, turn = self._waiting.popleft()
            self.free -= wanted
            turn.set_result(None)
