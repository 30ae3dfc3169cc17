"""A node flooded to a multiple of what it can do: how much of that it still does, and who serves
the rest.

Capacity is measured first, closed, through the same processes; then the same payments arrive open
at a multiple of it. On a machine that does everything at once, what refuses, what serves the rest
and what makes the load take their share of the processors too: there the node, with its database,
must be made the narrow place by giving it a share of one core (``node_share``), else the machine is
what is measured.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from statistics import median
from typing import Any

import msgspec

from bailiwick.bench.run import ONE_COUNTRY, Bench, Scenario
from bailiwick.bench.share import limited

CONNECTIONS_MAX = 4_096
SECONDS_OUTSTANDING = 1.0
"""Connections for so many seconds of arrivals: an arrival without one is dropped, and counted."""


async def run(
    bench: Bench, scenario: Scenario, times: float, rounds: int = 1, node_share: float | None = None
) -> dict[str, Any]:
    """Rounds of both runs, and what each comes to; ``node_share``: of a core, what the node with
    its database may use. Raises as ``Bench.run`` does, and SiteError."""
    home = bench.home(ONE_COUNTRY[0])
    runs: list[dict[str, Any]] = []
    floods = []
    with _confined(bench, home.name, node_share):
        for _ in range(rounds):
            closed = await bench.run(msgspec.structs.replace(scenario, rate=None))
            capacity = closed["succeeded_by_node"].get(str(home.number), 0) / closed["seconds"]
            rate = max(0.1, times * capacity)
            clients = connections(rate, scenario.clients)
            flood = msgspec.structs.replace(scenario, rate=rate, clients=clients, payments=None)
            opened = await bench.run(flood)
            runs += [closed, opened]
            floods.append(summary(closed, opened, times, str(home.number)))
    return {
        "runs": runs,
        "flood": {
            "node_share": node_share,
            "goodput_by_capacity": median(each["goodput_by_capacity"] for each in floods),
            "rounds": floods,
        },
    }


def _confined(bench: Bench, node: str, share: float | None) -> AbstractContextManager[None]:
    if share is None:
        return nullcontext()
    found = next(each for each in bench.site.nodes if each.name == node)
    return limited([found.pid, found.postgres_pid], share)


def connections(rate: float, least: int) -> int:
    """How many an open load needs."""
    return int(max(least, min(CONNECTIONS_MAX, rate * SECONDS_OUTSTANDING)))


def summary(
    closed: dict[str, Any], opened: dict[str, Any], times: float, home: str
) -> dict[str, Any]:
    """The figures of a flood (pure). Rates in payments/s; ``home``: the flooded node's number."""
    calm: dict[str, int] = closed["succeeded_by_node"]
    flooded: dict[str, int] = opened["succeeded_by_node"]
    capacity = calm.get(home, 0) / closed["seconds"]
    goodput = flooded.get(home, 0) / opened["seconds"]
    arrived = opened["sent"] + opened["dropped"]
    return {
        "node": home,
        "times": times,
        "capacity_per_s": round(capacity, 1),
        "arrived_per_s": round(arrived / opened["seconds"], 1),
        "goodput_per_s": round(goodput, 1),
        "goodput_by_capacity": round(goodput / capacity, 3) if capacity else 0.0,
        "served_elsewhere": sum(flooded.values()) - flooded.get(home, 0),
        "told_to_retry": sum(opened["errors"].values()),
        "never_sent": opened["dropped"],
    }
