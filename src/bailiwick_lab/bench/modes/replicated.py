"""What it costs that every commit waits for a synchronous standby.

The home node's database gets a standby on the same machine. Rounds of runs, in turned order, with
commits that wait for it and commits that do not; it follows in both. So the waiting is measured,
and beside it the standby's own processor time. A network's round trip, which a real one adds to
each commit, is not there.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import msgspec

from bailiwick_lab.bench.processes import Program
from bailiwick_lab.bench.run import ONE_COUNTRY, Bench, Scenario
from bailiwick_lab.bench.site import NodeOf, SiteError
from bailiwick_lab.servers import standby
from bailiwick_lab.servers.binaries import EngineError
from bailiwick_lab.servers.ports import free_port

_LISTEN = "127.0.0.1"
_RATE = 100.0


class _Primary(msgspec.Struct, frozen=True):
    """The demo's own server, as ``standby`` wants it."""

    admin_dsn: str
    listen: str
    port: int
    folder: Path


async def run(bench: Bench, scenario: Scenario, *, rounds: int) -> dict[str, Any]:
    """All rounds: closed load, and 100/s open. Raises as ``Bench.run`` does, and SiteError."""
    home = bench.home(ONE_COUNTRY[0]).name
    node = next(each for each in bench.site.nodes if each.name == home)
    loads = (
        msgspec.structs.replace(scenario, rate=None),
        msgspec.structs.replace(scenario, rate=_RATE, payments=None),
    )
    runs: list[dict[str, Any]] = []
    async with _followed(bench, node) as waits:
        for number in range(rounds):
            for waiting in (True, False) if number % 2 else (False, True):
                await waits(waiting)
                for load in loads:
                    found = await bench.run(load)
                    runs.append({**found, "waits_for_standby": waiting})
    return {"runs": runs, "standby": summary(runs)}


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """With and without waiting, medians (pure). ``aa_spread``: highest by lowest of equal runs,
    where they differ most."""
    found: dict[str, Any] = {}
    for mode, name in (("closed", "payments_per_s"), ("open", "added_ms_p50")):
        values = {
            waiting: [
                each["payments_per_s"] if mode == "closed" else each["added_ms"]["p50"]
                for each in runs
                if each["scenario"]["mode"] == mode and each["waits_for_standby"] is waiting
            ]
            for waiting in (True, False)
        }
        waits, free = median(values[True]), median(values[False])
        found[name] = {
            "waits": values[True],
            "does_not": values[False],
            "median": [round(waits, 3), round(free, 3)],
            "ratio": round(waits / free, 3) if free else None,
            "aa_spread": round(max(max(each) / min(each) for each in values.values()), 3),
        }
    closed = [each for each in runs if each["scenario"]["mode"] == "closed"]
    found["standby_cpu_us_per_payment"] = round(
        median(each["cpu_us_per_payment"].get("standby", 0.0) for each in closed), 1
    )
    return found


@asynccontextmanager
async def _followed(bench: Bench, node: NodeOf) -> AsyncIterator[Callable[[bool], Awaitable[None]]]:
    """A standby while the block runs; what is given switches the waiting on and off."""
    folder = Path(bench.site.world).parent / "nodes" / node.name / "postgres"
    try:
        port = int(await _told(node, "SHOW port"))
        primary = _Primary(node.admin_dsn, _LISTEN, port, folder)
        place = Path(tempfile.mkdtemp(prefix="bailiwick-bench-standby-"))
        place.chmod(0o755)
    except OSError as error:
        raise SiteError(str(error)) from error
    try:
        link = await standby.admit(primary, [f"{_LISTEN}/32"], "second")
        second = await standby.make(place / "postgres", link, port=free_port(), listen=_LISTEN)
        bench.watch(Program("standby", second.pid, tree=True))

        async def waits(waiting: bool) -> None:
            if waiting:
                await standby.require(primary, link)
            else:
                await _told(node, "ALTER SYSTEM RESET synchronous_standby_names")
                await _told(node, "SELECT pg_reload_conf()")

        try:
            yield waits
        finally:
            await waits(False)
            await second.stop("immediate")
    except EngineError as error:
        raise SiteError(f"no standby could be made: {error}") from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


async def _told(node: NodeOf, sql: str) -> Any:
    connection = await asyncpg.connect(node.admin_dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()
