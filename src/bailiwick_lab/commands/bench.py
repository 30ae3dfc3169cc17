"""`bailiwick bench`: load the system, measure it, and check that every payment is there."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from bailiwick_lab.bench.run import Bench, Scenario
    from bailiwick_lab.bench.site import Site


@click.command("bench")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder of a running demo that nobody else uses; without it one is started and removed.",
)
@click.option(
    "--nodes",
    type=click.IntRange(1, 6),
    default=3,
    show_default=True,
    metavar="N",
    help="Nodes of the demo that is started.",
)
@click.option(
    "--access",
    type=click.IntRange(1, 16),
    metavar="N",
    help="Access processes of the demo that is started (1; of scaling as many as nodes).",
)
@click.option(
    "--target",
    "targets",
    type=click.Choice(["access", "node"]),
    multiple=True,
    help="Through access (the default) or at a node alone; given twice: by turns.",
)
@click.option(
    "--mode",
    type=click.Choice(["closed", "open", "flood", "isolation", "scaling", "standby"]),
    default="closed",
    show_default=True,
    help="Closed: as fast as answers come. Open: --rate arrivals. Flood: --times what closed does. "
    "Isolation: --share of what closed does, with a node dead and without. Scaling: --rate for "
    "each node, with one node loaded and with more; and what idle processes use. Standby: commits "
    "that wait for a synchronous standby and that do not, closed and at 100/s.",
)
@click.option(
    "--clients",
    type=click.IntRange(1, 4096),
    default=64,
    show_default=True,
    metavar="N",
    help="Connections, each with one payment at a time.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 3600),
    default=10.0,
    show_default=True,
    metavar="S",
    help="How long to measure.",
)
@click.option(
    "--payments",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many payments to measure, instead of --seconds.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0.1, 100_000),
    metavar="R",
    help="Payments per second of open load, of scaling for each node (100).",
)
@click.option(
    "--times",
    type=click.FloatRange(1.1, 20),
    default=3.0,
    show_default=True,
    metavar="X",
    help="How many times the capacity a flood is.",
)
@click.option(
    "--node-share",
    type=click.FloatRange(0.1, 1),
    metavar="X",
    help="Of one core, what the flooded node with its database may use (root, control groups).",
)
@click.option(
    "--share",
    type=click.FloatRange(0.01, 0.9),
    default=0.3,
    show_default=True,
    metavar="X",
    help="Of the capacity, how much isolation loads.",
)
@click.option(
    "--dead",
    type=click.Choice(["killed", "frozen"]),
    default="killed",
    show_default=True,
    help="How isolation makes a node silent.",
)
@click.option(
    "--idle",
    type=click.FloatRange(0, 3600),
    default=20.0,
    show_default=True,
    metavar="S",
    help="How long scaling watches idle processes, twice for each number of nodes; 0: not at all.",
)
@click.option(
    "--delay",
    type=click.Choice(["zero", "lognormal"]),
    default="zero",
    show_default=True,
    help="The providers' own time; lognormal: p50 120, p99 380 ms.",
)
@click.option("--spread", is_flag=True, help="Payers of three regions instead of one country.")
@click.option(
    "--warmup",
    type=click.FloatRange(0, 600),
    default=3.0,
    show_default=True,
    metavar="S",
    help="Load before the measurement, which only the accounts include.",
)
@click.option(
    "--repeat",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    metavar="K",
    help="Measure the same K times and show how far equal runs differ; pairs of isolation, "
    "rounds of scaling, floods and standby.",
)
@click.option(
    "--pgbench", "floor", is_flag=True, help="Run the node's own statements in pgbench too."
)
@click.option(
    "--locate/--no-locate",
    "locating",
    default=True,
    show_default=True,
    help="Time locating and assigning too.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    data: Path | None,
    nodes: int,
    access: int | None,
    targets: tuple[str, ...],
    mode: str,
    clients: int,
    seconds: float,
    payments: int | None,
    rate: float | None,
    times: float,
    node_share: float | None,
    share: float,
    dead: Literal["killed", "frozen"],
    idle: float,
    delay: str,
    spread: bool,
    warmup: float,
    repeat: int,
    floor: bool,
    locating: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Load the system with one-shot payments and measure it.

    Every payment measured is counted at the clients, in the nodes' databases and in the
    providers' books; when they differ, or a database is not durable, the status is 1.

    \b
    bailiwick bench --target node --target access --repeat 3
    bailiwick bench --mode open --rate 100 --delay lognormal
    bailiwick bench --mode flood --times 3 --node-share 0.25
    bailiwick bench --mode isolation --repeat 10
    bailiwick bench --mode scaling --repeat 5
    bailiwick bench --mode standby --target node --repeat 5
    """
    import uvloop

    own_nodes = nodes if data is None else None
    _fitting(mode, rate, targets, spread, payments, own_nodes, node_share)
    if mode in ("open", "scaling"):
        rate = rate or 100.0
    access = access or (nodes if mode == "scaling" else 1)
    scenarios = [
        _scenario(target, clients, seconds, payments, rate, delay, spread, warmup)
        for target in targets or ("access",)
    ] * repeat
    load = _load(
        mode, scenarios, times=times, node_share=node_share, share=share, dead=dead, repeat=repeat
    )
    try:
        heartbeat = _heartbeat(data, nodes, access, idle) if mode == "scaling" and idle else None
        with _site(data, nodes, access) as site:
            report = uvloop.run(_measure(site, load, seconds if floor else None, locating))
    except _expected() as error:
        click.echo(f"bailiwick bench: {error}", err=True)
        sys.exit(1)
    if mode in ("closed", "open"):
        from bailiwick_lab.bench import figures

        report["comparison"] = figures.compare(report["runs"])
    if heartbeat is not None:
        report["heartbeat"] = heartbeat
    if as_json:
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        from bailiwick_lab.bench.show import show

        show(report)
    accounts = [run["accounts"] for run in (*report["runs"], report.get("isolation")) if run]
    if any(each["problems"] for each in accounts):
        sys.exit(1)


def _fitting(
    mode: str,
    rate: float | None,
    targets: tuple[str, ...],
    spread: bool,
    payments: int | None,
    nodes: int | None,
    node_share: float | None,
) -> None:
    """Refuse options that mean nothing in a mode. Raises click.UsageError."""
    if rate is not None and mode not in ("open", "scaling"):
        raise click.UsageError("--rate is for open load: add --mode open or --mode scaling")
    if mode in ("flood", "standby") and (len(targets) > 1 or spread):
        raise click.UsageError(f"--mode {mode} is of one node: --target once, and no --spread")
    if node_share is not None and mode != "flood":
        raise click.UsageError("--node-share is of the flooded node: add --mode flood")
    if mode in ("isolation", "scaling") and (targets or spread or payments):
        raise click.UsageError(
            f"--mode {mode} chooses places and targets itself, and goes by time: leave --target, "
            "--spread and --payments out"
        )
    if mode == "isolation" and nodes == 1:
        raise click.UsageError("isolation takes two nodes at least: raise --nodes")


def _scenario(
    target: str,
    clients: int,
    seconds: float,
    payments: int | None,
    rate: float | None,
    delay: str,
    spread: bool,
    warmup: float,
) -> Scenario:
    from bailiwick_lab.bench.run import Scenario

    return Scenario(
        "node" if target == "node" else "access",
        clients=clients,
        seconds=seconds,
        payments=payments,
        rate=rate,
        delay=delay,
        spread=spread,
        warmup=warmup,
    )


@contextlib.contextmanager
def _site(data: Path | None, nodes: int, access: int) -> Iterator[Site]:
    from bailiwick_lab.bench import site

    if data is not None:
        yield site.read_site(data)
        return
    with site.own_site(nodes, access) as own:
        yield own


def _expected() -> tuple[type[Exception], ...]:
    """What can go wrong outside this program; each says what to do."""
    import asyncpg

    from bailiwick.topology.reading import WorldError
    from bailiwick_lab.bench.load import LoadError
    from bailiwick_lab.bench.processes import WatchError
    from bailiwick_lab.bench.run import WeakDatabase
    from bailiwick_lab.bench.site import SiteError

    return (
        LoadError, SiteError, WatchError, WeakDatabase, WorldError, asyncpg.PostgresError, OSError,
    )  # fmt: skip


def _load(
    mode: str,
    scenarios: list[Scenario],
    *,
    times: float,
    node_share: float | None,
    share: float,
    dead: Literal["killed", "frozen"],
    repeat: int,
) -> Callable[[Bench], Awaitable[dict[str, Any]]]:
    """What to do with an open bench; what it makes has ``runs`` and is part of the report."""

    async def load(bench: Bench) -> dict[str, Any]:
        from bailiwick_lab.bench.modes import flood, isolation, replicated, scaling

        scenario = scenarios[0]
        if mode == "flood":
            return await flood.run(bench, scenario, times, repeat, node_share)
        if mode == "isolation":
            return await isolation.run(bench, scenario, share=share, pairs=repeat, how=dead)
        if mode == "scaling":
            return await scaling.run(bench, scenario, rounds=repeat)
        if mode == "standby":
            return await replicated.run(bench, scenario, rounds=repeat)
        return {"runs": [await bench.run(each) for each in scenarios]}

    return load


def _heartbeat(data: Path | None, nodes: int, access: int, seconds: float) -> dict[str, Any]:
    import asyncio

    from bailiwick_lab.bench import site
    from bailiwick_lab.bench.modes import scaling

    if data is None:
        idles = scaling.idle_by_nodes(nodes, access, seconds)
    else:
        idles = [asyncio.run(scaling.idle(site.read_site(data), seconds))]
    return scaling.heartbeat(idles)


async def _measure(
    site: Site,
    load: Callable[[Bench], Awaitable[dict[str, Any]]],
    floor_s: float | None,
    locating: bool,
) -> dict[str, Any]:
    import msgspec

    from bailiwick import __version__
    from bailiwick_lab.bench import processes
    from bailiwick_lab.bench.run import Bench

    report: dict[str, Any] = {"bailiwick": __version__, "machine": processes.machine()}
    bench = Bench(site)
    try:
        await bench.open()
        report["postgres"] = next(iter(bench.settings.values()))
        report |= msgspec.to_builtins(await load(bench))
    finally:
        await bench.close()
    report["comparison"] = {}
    if floor_s is not None:
        report["pgbench"] = await _floor(site, report["runs"][0]["loaded_nodes"], floor_s)
    if locating:
        from bailiwick_lab.bench.parts import locate

        report["locate"] = locate.report(4_000)
    return report


async def _floor(site: Site, loaded: list[str], seconds: float) -> Any:
    from bailiwick_lab.bench.parts import floor

    node = next((each for each in site.nodes if each.name in loaded), site.nodes[0])
    try:
        return await floor.run(node, seconds)
    except floor.FloorError as error:
        return str(error)
