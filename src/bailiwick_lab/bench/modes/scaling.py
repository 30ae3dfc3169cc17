"""Constant load per node, with one node loaded, then two, then three: what a payment costs.

The same demo serves all: payers of one, two or three regions, so the nodes that are not loaded
idle. As many access processes are loaded as nodes, if the demo has so many: an access process does
not get more for its part either. Rounds turn the order, and equal runs show how far figures differ
by themselves (A/A). Each round also loads one node without access, at the rate that it gets through
access.

Apart from that: what processes use when nothing is paid, so what the heartbeat costs, by which
access knows the nodes' usage states.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, median
from typing import Any, Final

import msgspec

from bailiwick.topology.epochs import world_in_force
from bailiwick_lab.bench import processes
from bailiwick_lab.bench.run import SPREAD, Bench, Scenario
from bailiwick_lab.bench.site import Site, own_site

ROLES: Final = ("access", "node", "postgres")
SETTLE_S: Final = 3.0
"""After a start, or after access was frozen, until nothing but the usual is done."""


class Idle(msgspec.Struct, frozen=True):
    """CPU of processes of a demo where nothing is paid, in % of a core; of several, the mean.

    ``node_unasked``: a node while every access process is frozen.
    """

    nodes: int
    accesses: int
    every_ms: int
    seconds: float
    access: float
    node: float
    node_unasked: float


async def run(bench: Bench, scenario: Scenario, *, rounds: int) -> dict[str, Any]:
    """All rounds; ``scenario.rate`` is each node's. Raises as ``Bench.run`` does."""
    rate = scenario.rate or 1.0
    one_each = {bench.home(country).number: country for country in reversed(SPREAD)}
    countries = [country for country in SPREAD if country in one_each.values()]
    runs: list[dict[str, Any]] = []
    for turn in range(rounds):
        counts = list(range(1, len(countries) + 1))
        at = turn % len(counts)
        for count in counts[at:] + counts[:at]:
            runs.append(await bench.run(_loaded(scenario, "access", countries[:count], rate)))
        runs.append(await bench.run(_loaded(scenario, "node", countries[:1], rate)))
    return {"runs": runs, "scaling": {"rate_per_node": rate, **summary(runs)}}


def _loaded(scenario: Scenario, target: str, countries: list[str], rate: float) -> Scenario:
    return msgspec.structs.replace(
        scenario,
        target="node" if target == "node" else "access",
        countries=tuple(countries),
        accesses=len(countries),
        rate=rate * len(countries),
        payments=None,
    )


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """What the runs come to (pure): CPU by number of nodes, and what access adds in latency."""
    by_nodes: dict[int, list[dict[str, Any]]] = {}
    for each in runs:
        if each["scenario"]["target"] == "access":
            by_nodes.setdefault(len(each["scenario"]["countries"]), []).append(each)
    alone = [each for each in runs if each["scenario"]["target"] == "node"]
    return {
        "cpu_us_per_payment": {role: _cost(by_nodes, role) for role in ROLES},
        "access_adds_p50": _added(by_nodes.get(1, []), alone),
    }


def _cost(by_nodes: dict[int, list[dict[str, Any]]], role: str) -> dict[str, Any]:
    """One role's CPU microseconds; ``to_one``: ratio of medians to one loaded node;
    ``aa_spread``: highest by lowest of equal runs, where they differ most. More nodes may make a
    payment cheaper; what must keep within the spread is that they do not make it dearer."""
    values = {
        count: [each["cpu_us_per_payment"].get(role, 0.0) for each in runs]
        for count, runs in sorted(by_nodes.items())
    }
    medians = {count: median(each) for count, each in values.items()}
    one = medians.get(1) or 1.0
    to_one = {count: round(each / one, 3) for count, each in medians.items()}
    spread = max((max(each) / min(each) for each in values.values() if min(each)), default=1.0)
    return {
        "by_nodes": {str(count): each for count, each in values.items()},
        "median": {str(count): round(each, 1) for count, each in medians.items()},
        "to_one": {str(count): each for count, each in to_one.items()},
        "aa_spread": round(spread, 3),
        "within_aa_spread": all(each <= spread for each in to_one.values()),
    }


def _added(through: list[dict[str, Any]], alone: list[dict[str, Any]]) -> dict[str, Any]:
    """Median latency through access less that of the node alone, round by round."""
    with_access = [each["latency_ms"]["p50"] for each in through]
    without = [each["latency_ms"]["p50"] for each in alone]
    differences = [round(a - n, 3) for a, n in zip(with_access, without, strict=True)]
    return {
        "through_access_ms": with_access,
        "node_alone_ms": without,
        "added_ms": differences,
        "median_ms": round(median(differences), 3) if differences else None,
        "aa_spread_ms": round(
            max((max(each) - min(each) for each in (with_access, without) if each), default=0.0), 3
        ),
    }


# --- the heartbeat --------------------------------------------------------------------------


def idle_by_nodes(nodes: int, access: int, seconds: float) -> list[Idle]:
    """What idles in demos of one, two, ... nodes, each started for that. Raises SiteError."""
    found = []
    for count in range(1, nodes + 1):
        with own_site(count, access) as site:
            found.append(asyncio.run(idle(site, seconds)))
    return found


async def idle(site: Site, seconds: float) -> Idle:
    """What a demo's processes use when nothing is paid. Raises WatchError, WorldError."""
    programs = [each for each in site.programs() if each.role.split()[0] in ("access", "node")]
    every_ms = world_in_force(Path(site.world)).topology.thresholds.report_every_ms
    await asyncio.sleep(SETTLE_S)
    asked = await _percent(programs, seconds)
    with _frozen([each.pid for each in site.access]):
        unasked = await _percent(programs, seconds)
    return Idle(
        nodes=len(site.nodes),
        accesses=len(site.access),
        every_ms=every_ms,
        seconds=seconds,
        access=round(asked["access"] / len(site.access), 4),
        node=_of_nodes(asked),
        node_unasked=_of_nodes(unasked),
    )


async def _percent(programs: list[processes.Program], seconds: float) -> dict[str, float]:
    first = processes.spent(programs)
    await asyncio.sleep(seconds)
    used = processes.between(first, processes.spent(programs))
    return {role: spent / seconds * 100 for role, spent in used.roles.items()}


def _of_nodes(used: dict[str, float]) -> float:
    return round(fmean(spent for role, spent in used.items() if role.startswith("node ")), 4)


@contextlib.contextmanager
def _frozen(pids: list[int]) -> Iterator[None]:
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def heartbeat(idles: list[Idle]) -> dict[str, Any]:
    """What one heartbeat costs each side (pure; at least one idle demo), in % of a core.

    Access: how much more a process uses for each further node; None with one demo. Node: how much
    less it uses when nobody asks, for each access process that asked.
    """
    first, last = idles[0], idles[-1]
    further = last.nodes - first.nodes
    less = fmean((each.node - each.node_unasked) / each.accesses for each in idles)
    return {
        "idle": [msgspec.structs.asdict(each) for each in idles],
        "every_ms": first.every_ms,
        "access_per_node": round((last.access - first.access) / further, 4) if further else None,
        "node_per_access": round(less, 4),
    }
