"""Which events are sent again, and how that is asked of a node's database."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import asyncpg
import msgspec

from bailiwick.base.clock import now_ms
from bailiwick.base.ids import is_id, lowest_id
from bailiwick.delivery.event_types import covers, known, matching
from bailiwick.store.statements import statement

BATCH = 500
_AGO = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Refused(Exception):
    """It cannot be done; says why, and what to do."""


class Told(NamedTuple):
    """How many events a node sends again."""

    node: str
    events: int


def time_ms(text: str, now: datetime) -> int:
    """A time as milliseconds since 1970: ISO 8601 with a zone, or so long ago.

    Raises:
        Refused: it is neither.
    """
    ago = _AGO.fullmatch(text)
    if ago is not None:
        found = now - timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
        return int(found.timestamp() * 1000)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(f"{text!r} is no time: write 2026-11-29T10:00Z, or 90m, 36h, 3d") from None
    if found.tzinfo is None:
        raise Refused(f"{text!r} has no zone: add Z for UTC, or +08:00")
    return max(0, int(found.timestamp() * 1000))


class Wanted(NamedTuple):
    """What is to be sent again; times in milliseconds since 1970.

    ``types``: None for those that the endpoint is enabled for.
    """

    endpoint: str
    since_ms: int
    until_ms: int
    types: tuple[str, ...] | None
    failed: bool

    @classmethod
    def of(
        cls, endpoint: str, since: str, until: str | None, types: Sequence[str], *, failed: bool
    ) -> Wanted:
        """From what an operator wrote. Raises Refused."""
        now = datetime.now(UTC)
        if not is_id(endpoint, "we"):
            raise Refused(f"{endpoint!r} is no webhook endpoint's id (we_...)")
        since_ms = time_ms(since, now)
        until_ms = now_ms() if until is None else time_ms(until, now)
        if since_ms > until_ms:
            raise Refused("--since is later than --until")
        named: set[str] = set()
        for each in types:
            some = set(matching(each)) & known()
            if not some:
                raise Refused(f"no event type is called {each!r}")
            named |= some
        return cls(endpoint, since_ms, until_ms, tuple(sorted(named)) or None, failed)


async def resend_at(node: str, db: asyncpg.Connection, wanted: Wanted, *, dry_run: bool) -> Told:
    """Have one node send them again. Raises Refused."""
    row = await db.fetchrow(
        "SELECT merchant, livemode, status, events FROM webhook_endpoint"
        " WHERE id = $1 AND deleted_ms IS NULL",
        wanted.endpoint,
    )
    place = f" at {node}" if node else ""
    if row is None:
        raise Refused(f"there is no webhook endpoint {wanted.endpoint}{place}")
    if row["status"] != "enabled":
        raise Refused(
            f"{wanted.endpoint} is disabled{place}: its merchant enables it with disabled=false"
        )
    types = _types(msgspec.json.decode(row["events"], type=list[str]), wanted.types)
    count, after = 0, lowest_id("evt", wanted.since_ms)
    transaction = db.transaction()
    if dry_run:
        await transaction.start()
    try:
        while True:
            done = await db.fetchrow(
                statement("deliveries_resend"), wanted.endpoint, row["merchant"], row["livemode"],
                wanted.since_ms, wanted.until_ms, types, wanted.failed, after, BATCH,
            )  # fmt: skip
            assert done is not None, "a SELECT without FROM has one row"
            if not done["open"]:
                raise Refused(f"the node is fenced{place}: it sends nothing")
            count += done["sent"]
            if done["found"] < BATCH:
                return Told(node, count)
            after = done["last"]
    finally:
        if dry_run:
            await transaction.rollback()


def _types(enabled: list[str], named: tuple[str, ...] | None) -> list[str]:
    """The types of events that are sent."""
    return sorted(named or (each for each in known() if covers(enabled, each)))
