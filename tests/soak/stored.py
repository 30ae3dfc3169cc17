"""Lists by customer and searches at a node that has very many payments.

    python -m tests.soak.stored --payments 1000000

starts a PostgreSQL server and a node, pays once over HTTP, and copies that payment with its events
and its attempt until there are so many, each of another time, customer, amount and order. Then it
asks the node over HTTP, one request after the other, and prints how long that took; it exits with 1
if the slowest twentieth of any kind took longer than ``--within-ms``. A sample of it is among the
tests, which look at what is found and at no time.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg

from bailiwick.base.ids import new_id
from bailiwick.store.statements import statement
from bailiwick_lab.servers import engines
from bailiwick_lab.servers.engines import PostgresServer
from tests.postgres.lists_kit import One, Site, site

EACH = 50
"""Payments of one customer."""
PAGE = 20_000
FILL = 2_000
WISH = {
    "amount": 1000, "currency": "eur", "location[country]": "DE", "confirm": "true",
    "payment_method": "pm_card_visa", "metadata[order]": "o-template",
}  # fmt: skip
YEAR_MS = 365 * 86_400_000


class Stock:
    """Copies of one payment.

    Attributes:
        customers: the ids of those who have any.
        made: how many payments there are.
    """

    def __init__(self, sql: asyncpg.Connection, node: One, template: str) -> None:
        self._sql = sql
        self._node = node
        self._template = template
        self.customers: list[str] = []
        self.made = 0

    async def fill(self, payments: int) -> None:
        """Make so many, and what they are searched by."""
        await self._sql.execute(
            "CREATE TEMP TABLE copied (n int, id text, tail text, customer text, at_ms bigint)"
        )
        while self.made < payments:
            rows = [self._row(n) for n in range(self.made, min(payments, self.made + PAGE))]
            await self._sql.copy_records_to_table("copied", records=rows)
            for table, changes in COPIES.items():
                await self._sql.execute(self._copy(table, await self._columns(table), changes))
            ids = [row[1] for row in rows]
            for at in range(0, len(ids), FILL):
                await self._sql.execute(statement("payment_search_fill"), ids[at : at + FILL])
            await self._sql.execute("TRUNCATE copied")
            self.made += len(rows)
        await self._sql.execute("VACUUM ANALYZE payment, event, attempt, search_entry")

    def _row(self, number: int) -> tuple[int, str, str, str, int]:
        if number % EACH == 0:
            self.customers.append(new_id("cus", self._node.number, number))
        now_ms = int(time.time() * 1000)
        # Over a year, those of a customer spread over it.
        at_ms = now_ms - YEAR_MS + (number * 7_919 % 1_000_003) * (YEAR_MS // 1_000_003)
        identifier = new_id("pi", self._node.number, at_ms)
        return number, identifier, identifier[3:], self.customers[-1], at_ms

    async def _columns(self, table: str) -> list[str]:
        found = await self._sql.fetch(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_schema = current_schema() AND table_name = $1 AND is_generated = 'NEVER'"
            " ORDER BY ordinal_position",
            table,
        )
        return [row[0] for row in found]

    def _copy(self, table: str, columns: list[str], changes: dict[str, str]) -> str:
        values = ", ".join(changes.get(each, f"t.{each}") for each in columns)
        key = "id" if table == "payment" else "subject"
        return (
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values}"
            f" FROM copied c CROSS JOIN {table} t WHERE t.{key} = '{self._template}'"
        )


_TOLD = (
    "replace(replace({column}, '\"o-template\"', '\"o-' || c.n || '\"'),"
    " '\"cus_template\"', '\"' || c.customer || '\"')"
)
COPIES: dict[str, dict[str, str]] = {
    "payment": {
        "id": "c.id", "created_ms": "c.at_ms", "updated_ms": "c.at_ms", "customer": "c.customer",
        "charge_attempt": "'ch_' || c.tail",
    },
    "attempt": {"id": "'ch_' || c.tail", "subject": "c.id"},
    "event": {
        "id": "'evt_' || c.tail || t.seq", "subject": "c.id", "created_ms": "c.at_ms",
        "content": _TOLD.format(column="t.content"), "answer_key": "NULL",
    },
}  # fmt: skip
"""What of a copied row is its own, by table."""


def questions(stock: Stock, chance: random.Random) -> dict[str, Callable[[], tuple[str, Any]]]:
    """What is asked, by kind."""

    def anybody() -> str:
        return chance.choice(stock.customers)

    def search(query: Callable[[], str]) -> Callable[[], tuple[str, Any]]:
        return lambda: ("/v1/payment_intents/search", {"query": query()})

    return {
        "payments of a customer": lambda: ("/v1/payment_intents", {"customer": anybody()}),
        "its charges": lambda: ("/v1/charges", {"customer": anybody()}),
        "the newest payments": lambda: ("/v1/payment_intents", {"limit": "10"}),
        "search, by order": search(lambda: f"metadata['order']:'o-{chance.randrange(stock.made)}'"),
        "search, by customer": search(lambda: f"customer:'{anybody()}' AND status:'succeeded'"),
        "search, all but the time": search(lambda: "currency:'eur' AND status:'succeeded'"),
        "search, none": search(lambda: f"metadata['order']:'x-{chance.randrange(10**9)}'"),
    }


async def prepared(it: Site, payments: int) -> Stock:
    """One real payment, and its copies."""
    node = it.nodes[0]
    status, paid = await it.ask("POST", "/v1/payment_intents", WISH, at=node)
    assert status == 200 and paid["status"] == "succeeded", paid
    sql = await asyncpg.connect(node.dsn)
    try:
        await sql.execute(
            "UPDATE payment SET customer = 'cus_template';"
            "ALTER TABLE event DISABLE TRIGGER event_append_only;"
            "UPDATE event SET content = replace(content, '\"progress\":{',"
            ' \'"progress":{"customer":"cus_template",\') WHERE content IS NOT NULL;'
            "ALTER TABLE event ENABLE TRIGGER event_append_only"
        )
        stock = Stock(sql, node, paid["id"])
        await stock.fill(payments)
    finally:
        await sql.close()
    return stock


async def measured(it: Site, stock: Stock, times: int) -> dict[str, dict[str, float]]:
    """Milliseconds of each kind of question, asked of the node."""
    chance, taken = random.Random(7), {}
    for kind, ask in questions(stock, chance).items():
        found: list[float] = []
        for _ in range(times):
            path, params = ask()
            began = time.perf_counter()
            status, page = await it.ask("GET", path, params, at=it.nodes[0])
            found.append((time.perf_counter() - began) * 1000)
            assert status == 200, page
            assert bool(page["data"]) is (kind != "search, none"), (kind, params)
        found.sort()
        taken[kind] = {
            "p50": round(found[len(found) // 2], 1),
            "p95": round(found[int(len(found) * 0.95)], 1),
            "max": round(found[-1], 1),
        }
    return taken


async def _main(payments: int, times: int) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="bw-"))
    folder.chmod(0o755)
    world = folder / "world"
    world.mkdir()
    server = await PostgresServer.start(folder / "postgres")
    try:
        async with site(server.tcp_dsn, world, ("europe",)) as it:
            began = time.monotonic()
            stock = await prepared(it, payments)
            print(f"filled in {time.monotonic() - began:.0f} s", file=sys.stderr)
            return {"payments": stock.made, "ms": await measured(it, stock, times)}
    finally:
        await server.stop()
        engines.remove(folder / "postgres")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="Lists and searches among very many payments.")
    options.add_argument("--payments", type=int, default=1_000_000)
    options.add_argument("--times", type=int, default=300, help="questions of each kind")
    options.add_argument("--within-ms", type=float, default=50.0, help="the slowest twentieth")
    given = options.parse_args()
    report = asyncio.run(_main(given.payments, given.times))
    late = [kind for kind, ms in report["ms"].items() if ms["p95"] > given.within_ms]
    print(json.dumps({**report, "late": late}, indent=2))
    sys.exit(bool(late))
