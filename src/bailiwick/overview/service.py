"""The overview process, assembled."""

import asyncio
import hashlib
import hmac
from pathlib import Path

import structlog

from bailiwick.bus.settings import bus_of
from bailiwick.overview.config import Loaded
from bailiwick.overview.database import OverviewDatabase
from bailiwick.overview.reader import Reader
from bailiwick.runtime.loops import forever

WATCH_S = 2.0
WATCH_TIMEOUT_S = 6.0
log = structlog.get_logger()


class Overview:
    """One overview: its database, its connection to the broker, and its reader."""

    def __init__(self, loaded: Loaded) -> None:
        settings = loaded.settings
        bus = bus_of(settings, "overview", Path())
        assert bus is not None, "checked with the settings"
        self.bus = bus
        self.database = OverviewDatabase(settings.dsn, settings.pool_max)
        self.reader = Reader(bus, self.database)
        self.counts = {"duplicates": 0, "forks": 0, "gaps": 0, "events": 0}
        self.database_answers = False
        self._digest = _digest(loaded.token)
        self._tasks: list[asyncio.Task[None]] = []

    def knows(self, token: str) -> bool:
        """Whether it is the operators' token; takes as long for any other."""
        return hmac.compare_digest(_digest(token), self._digest)

    async def start(self) -> None:
        """Migrate, connect and begin to read.

        Raises:
            OSError, asyncpg.PostgresError, MigrationError: the database cannot be used.
        """
        await self.database.open()
        await self.bus.start()
        loops = (self.reader.run(), forever("overview watch", self._watch))
        self._tasks = [asyncio.create_task(each) for each in loops]

    async def stop(self) -> None:
        """Stop reading, then disconnect."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.bus.close()
        await self.database.close()

    async def _watch(self) -> float:
        try:
            async with asyncio.timeout(WATCH_TIMEOUT_S):
                self.counts = (await self.database.rows("counts"))[0]
            self.database_answers = True
        except BaseException:
            self.database_answers = False
            raise
        return WATCH_S

    def problems(self) -> list[str]:
        """Why it cannot be asked, or is not up to date; empty when all is well."""
        found = []
        if not self.database_answers:
            found.append("the database does not answer")
        if not self.bus.connected:
            found.append("the broker does not answer")
        return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
