"""One benchmark from its site to its report."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import asyncpg
import msgspec
import uvloop

from bailiwick import __version__
from bailiwick.topology.reading import WorldError
from bailiwick_lab.bench import figures, processes, site
from bailiwick_lab.bench.load import LoadError
from bailiwick_lab.bench.modes import scaling
from bailiwick_lab.bench.options import Common
from bailiwick_lab.bench.parts import floor, locate
from bailiwick_lab.bench.processes import WatchError
from bailiwick_lab.bench.run import Bench, Scenario, WeakDatabase
from bailiwick_lab.bench.site import Site, SiteError

Load = Callable[[Bench], Awaitable[dict[str, Any]]]
"""What to do with an open bench; what it makes has ``runs`` and is part of the report."""
EXPECTED: Final = (
    LoadError, SiteError, WatchError, WeakDatabase, WorldError, asyncpg.PostgresError, OSError,
)  # fmt: skip
"""What can go wrong outside this program; each says what to do."""


def measure(
    shared: Common,
    load: Load,
    *,
    access: int = 1,
    idle_s: float = 0.0,
    floor_s: float | None = None,
    locating: bool = False,
) -> dict[str, Any]:
    """Load a site, the one of ``shared.data`` or one of its own, and report.

    Args:
        access: access processes of a site of its own, unless ``shared`` says how many.
        idle_s: how long idle processes are watched before; 0 for not at all.
        floor_s: how long pgbench runs the node's statements after; None for not at all.
        locating: time locating and assigning too.

    Raises what is in ``EXPECTED``.
    """
    access = shared.access or access
    beat = {"heartbeat": _heartbeat(shared, access, idle_s)} if idle_s else {}
    with _site(shared, access) as found:
        return uvloop.run(_measured(found, load, floor_s, locating)) | beat


async def turns(bench: Bench, scenarios: list[Scenario]) -> dict[str, Any]:
    """One run after another, compared. Raises as ``Bench.run`` does."""
    runs = [await bench.run(each) for each in scenarios]
    return {"runs": runs, "comparison": figures.compare(msgspec.to_builtins(runs))}


def adds_up(report: dict[str, Any]) -> bool:
    """Whether every payment was counted alike by all who counted."""
    further = (report.get("isolation"), report.get("neighbour"))
    accounts = [run["accounts"] for run in (*report["runs"], *further) if run]
    return not any(each["problems"] for each in accounts)


def _heartbeat(shared: Common, access: int, seconds: float) -> dict[str, Any]:
    if shared.data is None:
        idles = scaling.idle_by_nodes(shared.nodes, access, seconds)
    else:
        idles = [asyncio.run(scaling.idle(site.read_site(shared.data), seconds))]
    return scaling.heartbeat(idles)


@contextlib.contextmanager
def _site(shared: Common, access: int) -> Iterator[Site]:
    if shared.data is not None:
        yield site.read_site(shared.data)
        return
    with site.own_site(shared.nodes, access) as own:
        yield own


async def _measured(
    found: Site, load: Load, floor_s: float | None, locating: bool
) -> dict[str, Any]:
    report: dict[str, Any] = {"bailiwick": __version__, "machine": processes.machine()}
    bench = Bench(found)
    try:
        await bench.open()
        report["postgres"] = next(iter(bench.settings.values()))
        report["comparison"] = {}
        report |= msgspec.to_builtins(await load(bench))
    finally:
        await bench.close()
    if floor_s is not None:
        report["pgbench"] = await _floor(found, report["runs"][0]["loaded_nodes"], floor_s)
    if locating:
        report["locate"] = locate.report(4_000)
    return report


async def _floor(found: Site, loaded: list[str], seconds: float) -> Any:
    node = next((each for each in found.nodes if each.name in loaded), found.nodes[0])
    try:
        return await floor.run(node, seconds)
    except floor.FloorError as error:
        return str(error)
