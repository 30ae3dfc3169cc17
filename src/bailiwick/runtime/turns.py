"""Turns: so many at a time for each key, in this process; others wait in order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """At most ``most`` holders of each key at once; what nobody holds or wants is forgotten."""

    def __init__(self, most: int = 1) -> None:
        self._most = most
        self._held: dict[str, tuple[asyncio.Semaphore, list[None]]] = {}

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Wait for a turn."""
        turn, holders = self._held.setdefault(key, (asyncio.Semaphore(self._most), []))
        holders.append(None)
        try:
            async with turn:
                yield
        finally:
            holders.pop()
            if not holders:
                self._held.pop(key, None)
