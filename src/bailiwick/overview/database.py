"""The overview's database: events go in once for ever, and questions are answered."""

import contextlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import asyncpg
import msgspec

from bailiwick.base.events import PaymentEvent
from bailiwick.store.migrate import migrate_with

QUESTION_S = 10.0
_TURN = 0x6261696C6F76  # "bailov": any constant, the same in every version
_ROOT = files("bailiwick.overview") / "sql"
_encode = msgspec.json.Encoder().encode
Row = dict[str, Any]


class Taken(msgspec.Struct, frozen=True):
    """What a batch of events brought: how many were new, and what is amiss since."""

    fresh: int = 0
    duplicates: int = 0
    forks: int = 0


@cache
def statement(name: str) -> str:
    """The text of ``sql/<name>.sql``."""
    return (_ROOT / f"{name}.sql").read_text(encoding="utf-8")


def names() -> list[str]:
    """The names of all statements, migrations apart."""
    return sorted(entry.name[:-4] for entry in _ROOT.iterdir() if entry.name.endswith(".sql"))


def migrations() -> list[tuple[str, str]]:
    """Name and text of each migration, in order."""
    entries = sorted((_ROOT / "migrations").iterdir(), key=lambda entry: entry.name)
    return [(e.name[:-4], e.read_text("utf-8")) for e in entries if e.name.endswith(".sql")]


class OverviewDatabase:
    """One PostgreSQL database of the overview's own."""

    def __init__(self, dsn: str, pool_max: int = 6) -> None:
        self._dsn = dsn
        self._pool_max = pool_max
        self._pool: asyncpg.Pool | None = None
        self.durable = ""

    async def open(self) -> None:
        """Migrate and connect.

        Raises:
            OSError, asyncpg.PostgresError: the server cannot be reached or refuses us.
            MigrationError: the database is another's.
        """
        connection = await asyncpg.connect(self._dsn, timeout=10)
        try:
            await migrate_with(connection, migrations())
        finally:
            await connection.close()
        self._pool = await asyncpg.create_pool(
            self._dsn,
            min_size=1,
            max_size=self._pool_max,
            timeout=5,
            command_timeout=30,
            server_settings={
                "application_name": "bailiwick-overview",
                "jit": "off",
                # A filter that is not given costs nothing, where its value is known.
                "plan_cache_mode": "force_custom_plan",
            },
        )
        self.durable = str((await self.rows("reader_name"))[0]["durable"])

    async def close(self) -> None:
        """Disconnect."""
        pool, self._pool = self._pool, None
        if pool is not None:
            with contextlib.suppress(TimeoutError):
                await pool.close()

    async def take(self, events: Sequence[PaymentEvent]) -> Taken:
        """Take events in one transaction; those that came before change nothing."""
        if not events:
            return Taken()
        unique = {each.event: each for each in events}
        hashes = sorted({e.key_hash for e in events if e.key_hash is not None})
        assert self._pool is not None, "open() comes first"
        async with self._pool.acquire() as connection, connection.transaction():
            # Processes take turns: of two keys that meet, the second must see the first.
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _TURN)
            text = _encode(list(unique.values())).decode()
            fresh = {row[0] for row in await connection.fetch(statement("apply"), text)}
            if not fresh:
                return Taken()
            payments = sorted({each.payment for each in events if each.event in fresh})
            forks = await connection.fetch(statement("note_forks"), payments)
            duplicates = (
                await connection.fetch(statement("note_duplicates"), hashes) if hashes else []
            )
        return Taken(len(fresh), len(duplicates), len(forks))

    async def rows(self, name: str, *arguments: Any) -> list[Row]:
        """The rows of a named question, bounded in time."""
        assert self._pool is not None, "open() comes first"
        found = await self._pool.fetch(statement(name), *arguments, timeout=QUESTION_S)
        return [dict(row) for row in found]
