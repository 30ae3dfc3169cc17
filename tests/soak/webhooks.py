"""Very many events to a server that fails half of all deliveries, is slow, and is killed again and
again: none is lost, those of one object arrive in order, memory stays, payments go on.

    python -m tests.soak.webhooks --events 100000

starts a PostgreSQL server, a node with its access process, and the sink (``sink.py``), and takes
some minutes; a sample of it is among the tests. It exits with 1 if anything is not so. The gaps
between tries are a hundredth of what they are, or it would take days; nothing else is changed.
Node, access and the measuring are one process, which so is what memory is measured of.
"""

import argparse
import asyncio
import gc
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import asyncpg
import psutil

from bailiwick.base.ids import new_id
from bailiwick.delivery import deliverer, schedule, slots
from bailiwick_lab.servers import engines
from bailiwick_lab.servers.engines import PostgresServer
from bailiwick_lab.servers.ports import free_port
from tests.postgres.hooks_kit import BODY, delivering, endpoint
from tests.postgres.lists_kit import Site, site
from tests.store_kit import NodeStore

FASTER = 100
VERSIONS = 5
ENDPOINTS = 16
PAYS = "sk_test_other"
"""Whose payments they are: another merchant's, which has no endpoint."""
WISH = {
    "amount": 1000, "currency": "eur", "location[country]": "DE", "confirm": "true",
    "payment_method": "pm_card_visa",
}  # fmt: skip
MEMORY_MOST = 1.10
PAYMENTS_LEAST = 0.95


@dataclass
class Report:
    """What came of it. ``lost``: events that the sink never took; ``out_of_order``: that came for
    the first time after a later one of the same object."""

    events: int = 0
    requests: int = 0
    taken: int = 0
    seconds: float = 0.0
    restarts: int = 0
    lost: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    owed: int = 0
    memory_mb: list[float] = field(default_factory=list)
    memory_grew: float = 0.0
    payments_per_s: tuple[float, float] = (0.0, 0.0)
    payments_kept: float = 0.0

    @property
    def wrong(self) -> list[str]:
        """What is not as it must be."""
        found = [name for name in ("lost", "out_of_order", "owed") if getattr(self, name)]
        if self.memory_grew > MEMORY_MOST:
            found.append("memory_grew")
        if self.payments_kept < PAYMENTS_LEAST:
            found.append("payments_kept")
        return found


@contextmanager
def hurried() -> Iterator[None]:
    """Gaps and pauses are a hundredth of what they are; so is what a dead process's claim holds."""
    with (
        mock.patch.object(schedule, "BASE_MS", schedule.BASE_MS // FASTER),
        mock.patch.object(schedule, "BACKOFF_MAX_MS", 2_000),
        mock.patch.object(slots, "PAUSE_MIN_S", slots.PAUSE_MIN_S / FASTER),
        mock.patch.object(slots, "PAUSE_MAX_S", slots.PAUSE_MAX_S / FASTER),
        mock.patch.object(deliverer, "LEASE_MS", 5_000),
    ):
        yield


class Sink:
    """The sink's process, started anew each time that it is killed."""

    def __init__(self, log: Path) -> None:
        self.port = free_port()
        self.log = log
        self.restarts = -1
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.restarts += 1
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.soak.sink", str(self.port), str(self.log),
            str(self.restarts), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert self._process.stdout is not None
        assert await self._process.stdout.readline() == b"listening\n"

    async def kill(self) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    async def troubles(self, every_s: float) -> None:
        """Kill it and start it again, for ever."""
        while True:
            await asyncio.sleep(every_s)
            await self.kill()
            await asyncio.sleep(0.2)
            await self.start()


class Payments:
    """Open load: so many a second, whatever becomes of them."""

    def __init__(self, it: Site, rate: float) -> None:
        self._site = it
        self._rate = rate
        self._running: set[asyncio.Task[None]] = set()
        self.done = 0

    async def run(self) -> None:
        """Make payments for ever."""
        began, sent = time.monotonic(), 0
        while True:
            sent += 1
            task = asyncio.create_task(self._one())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            await asyncio.sleep(max(0.0, began + sent / self._rate - time.monotonic()))

    async def _one(self) -> None:
        status, made = await self._site.ask("POST", "/v1/payment_intents", WISH, key=PAYS)
        assert status == 200, made
        self.done += 1

    async def measured(self, seconds: float) -> float:
        """Payments a second, over a while."""
        before, began = self.done, time.monotonic()
        await asyncio.sleep(seconds)
        return (self.done - before) / (time.monotonic() - began)


async def owe(sql: asyncpg.Connection, to: list[str], events: int) -> None:
    """So many events, of payments with some versions each, each owed to one of the endpoints."""
    rows, deliveries = [], []
    for number in range(events // VERSIONS):
        at = 1_700_000_000_000 + number
        payment = new_id("pi", 1, at)
        for seq in range(1, VERSIONS + 1):
            event = new_id("evt", 1, at)
            rows.append((event, payment, seq, "acct_1", False, "x", BODY, 1, at))
            deliveries.append((event, to[number % len(to)], payment, seq))
    columns = "id subject seq merchant livemode type body writer created_ms".split()
    await sql.copy_records_to_table("event", records=rows, columns=columns)
    await sql.copy_records_to_table(
        "delivery", records=deliveries, columns=["event", "endpoint", "subject", "seq"]
    )


def seen(log: Path, report: Report) -> set[str]:
    """What the sink took, by endpoint and event; the order of first arrivals is checked."""
    taken: set[str] = set()
    first: set[str] = set()
    newest: dict[str, int] = {}
    with log.open(encoding="ascii") as lines:
        for line in lines:
            said, to, about, seq, event = line.split()
            report.requests += 1
            name = f"{to} {event}"
            if said == "ok":
                taken.add(name)
            if name not in first:
                first.add(name)
                if newest.get(f"{to} {about}", 0) > int(seq):
                    report.out_of_order.append(name)
                newest[f"{to} {about}"] = int(seq)
    report.taken = len(taken)
    return taken


async def _watch(report: Report, sql: asyncpg.Connection) -> None:
    """Note memory until nothing is owed."""
    process = psutil.Process(os.getpid())
    while True:
        left = await sql.fetchval("SELECT count(*) FROM delivery WHERE next_at IS NOT NULL")
        gc.collect()
        report.memory_mb.append(round(process.memory_info().rss / 2**20, 1))
        if not left:
            return
        await asyncio.sleep(0.5)


@asynccontextmanager
async def running(*coroutines: Any) -> AsyncIterator[None]:
    """Have these run meanwhile; a failure of one is a failure here."""
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        yield
        assert not any(each.done() for each in tasks), [each for each in tasks if each.done()]
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.wait(tasks)


async def soak(
    server_dsn: str, folder: Path, *, events: int, rate: float = 20.0, restart_s: float = 5.0
) -> Report:
    """Run it; ``rate``: payments a second, ``restart_s``: how often the sink is killed."""
    report = Report()
    sink = Sink(folder / "sink.log")
    world = folder / "world"
    world.mkdir()
    async with site(server_dsn, world, ("europe",)) as it:
        node = it.nodes[0]
        sql = await asyncpg.connect(node.dsn)
        store = NodeStore(node.dsn, lambda: 1, pool_max=4)
        await store.open()
        payments = Payments(it, rate)
        try:
            await sink.start()
            async with running(payments.run()):
                await payments.measured(2.0)
                before = await payments.measured(max(5.0, min(30.0, events / 2_000)))
                urls = [f"http://127.0.0.1:{sink.port}/{n}" for n in range(ENDPOINTS)]
                to = {await endpoint(sql, "acct_1", url): url for url in urls}
                await owe(sql, list(to), events)
                await node.node.endpoints.load(node.node.store)
                began, done = time.monotonic(), payments.done
                with hurried():
                    async with running(sink.troubles(restart_s)), delivering(store):
                        await _watch(report, sql)
                        report.seconds = round(time.monotonic() - began, 1)
                        meanwhile = (payments.done - done) / (time.monotonic() - began)
            report.payments_per_s = (round(before, 2), round(meanwhile, 2))
            report.payments_kept = round(meanwhile / before, 3)
            await _compare(report, sql, sink, to)
        finally:
            await sink.kill()
            await store.close()
            await sql.close()
    report.restarts = sink.restarts
    half = len(report.memory_mb) // 2
    early, late = report.memory_mb[half // 2 : half], report.memory_mb[half + half // 2 :]
    report.memory_grew = round(median(late) / median(early), 3) if early and late else 1.0
    return report


async def _compare(report: Report, sql: asyncpg.Connection, sink: Sink, to: dict[str, str]) -> None:
    """What was owed with what the sink took."""
    taken = seen(sink.log, report)
    for row in await sql.fetch("SELECT event, endpoint, next_at, status FROM delivery"):
        report.events += 1
        path = "/" + to[row["endpoint"]].rpartition("/")[2]
        if f"{path} {row['event']}" not in taken:
            report.lost.append(row["event"])
        report.owed += row["next_at"] is not None or row["status"] != 200


async def _main(events: int, rate: float, restart_s: float) -> Report:
    folder = Path(tempfile.mkdtemp(prefix="bw-"))
    folder.chmod(0o755)
    server = await PostgresServer.start(folder / "postgres")
    try:
        return await soak(server.tcp_dsn, folder, events=events, rate=rate, restart_s=restart_s)
    finally:
        await server.stop()
        engines.remove(folder / "postgres")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="Webhooks to a server as bad as can be.")
    options.add_argument("--events", type=int, default=100_000)
    options.add_argument("--rate", type=float, default=20.0, help="payments a second meanwhile")
    options.add_argument("--restart-s", type=float, default=5.0, help="how often it is killed")
    given = options.parse_args()
    found = asyncio.run(_main(given.events, given.rate, given.restart_s))
    print(json.dumps({**asdict(found), "wrong": found.wrong}))
    sys.exit(bool(found.wrong))
