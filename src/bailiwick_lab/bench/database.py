"""What the nodes' databases say: whether they are durable, what they hold, how often they
committed."""

from __future__ import annotations

import asyncio
import re

import asyncpg
import msgspec

SETTINGS = ("fsync", "synchronous_commit", "full_page_writes")
_SHOWN = (*SETTINGS, "server_version", "wal_sync_method", "shared_buffers")
_DURABLE = {"synchronous_commit": ("on", "remote_apply")}
_STATISTICS_S = 11.0
"""A server process that has become idle hands its counters in after at most 10 s."""


class Counts(msgspec.Struct, frozen=True):
    """What a node's database holds. ``received``: minor units."""

    payments: int
    succeeded: int
    received: int


class Commits(msgspec.Struct, frozen=True):
    """Counters of a server. ``written``: transactions that wrote (ids handed out, exact at any
    moment); ``all``: its statistics of commits, reads included, which lag."""

    written: int
    all: int


class Node:
    """A connection to one node's database."""

    def __init__(self, name: str, dsn: str) -> None:
        self.name = name
        self.dsn = dsn
        self._connection: asyncpg.Connection | None = None

    async def open(self) -> None:
        """Connect. Raises OSError, asyncpg.PostgresError."""
        self._connection = await asyncpg.connect(self.dsn, timeout=5, command_timeout=120)

    async def close(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            await self._connection.close()

    @property
    def connection(self) -> asyncpg.Connection:
        """The open connection."""
        assert self._connection is not None
        return self._connection

    async def settings(self) -> dict[str, str]:
        """What decides about durability, as a connection of the node's own role sees it."""
        return {name: await self.connection.fetchval(f"SHOW {name}") for name in _SHOWN}

    async def counts(self) -> Counts:
        """All payments."""
        row = await self.connection.fetchrow(
            "SELECT count(*), count(*) FILTER (WHERE state = 'succeeded'),"
            " coalesce(sum(amount_received), 0)::bigint FROM payment"
        )
        assert row is not None
        return Counts(*row)

    async def owed(self, endpoints: list[str]) -> int:
        """Deliveries that these webhook endpoints are owed."""
        count: int = await self.connection.fetchval(
            "SELECT count(*) FROM delivery WHERE endpoint = ANY($1) AND next_at IS NOT NULL",
            endpoints,
        )
        return count

    async def commits(self) -> Commits:
        """The counters of this moment."""
        written = await self.connection.fetchval(
            "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
        )
        both = await self.connection.fetchval(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
        )
        return Commits(written, both)

    async def settled_commits(self, since: Commits) -> Commits:
        """The counters once the statistics have caught up with what was written."""
        deadline = asyncio.get_running_loop().time() + _STATISTICS_S
        while True:
            now = await self.commits()
            if now.all - since.all >= now.written - since.written:
                return now
            if asyncio.get_running_loop().time() > deadline:
                return now
            await asyncio.sleep(0.5)


def weak_settings(settings: dict[str, str]) -> list[str]:
    """Which settings would make a measurement worthless, and the remedy."""
    return [
        f"{name} is {settings[name]!r}: figures without it mean nothing; set it to on"
        for name in SETTINGS
        if settings[name] not in _DURABLE.get(name, ("on",))
    ]


_COMMITS = re.compile(r'^bailiwick_node_commits\{lane="(\w+)"\} ([0-9.e+]+)$', re.MULTILINE)


def lane_commits(metrics: str) -> int:
    """Group commits of all lanes so far, from a node's /metrics."""
    return round(sum(float(value) for _, value in _COMMITS.findall(metrics)))
