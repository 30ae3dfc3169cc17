"""A node flooded to a multiple of what it can do: how much of that it still does, and who serves
the rest.

Capacity is measured closed, through the same processes, before each flood and after the last; in a
flood the same payments arrive open at a multiple of it. The machine's speed drifts, so what a node
did under flood is held against the mean of the capacities on both sides. On a machine that does
everything at once, what refuses, what serves the rest and what makes the load take their share of
the processors too. So the node, with its database, is made the narrow place by giving it a share of
one core (``node_share``); and while its capacity is measured, the next node in order serves
payments of its own, as many as the flood will bring it: what it takes of the machine it takes both
times.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from statistics import median
from typing import Any

import msgspec

from bailiwick_lab.bench.run import ONE_COUNTRY, SPREAD, Bench, Scenario
from bailiwick_lab.bench.share import limited

_replace = msgspec.structs.replace
CONNECTIONS_MAX = 4_096
SECONDS_OUTSTANDING = 1.0
"""Connections for so many seconds of arrivals: an arrival without one is dropped, and counted."""


async def run(
    bench: Bench, scenario: Scenario, times: float, rounds: int = 1, node_share: float | None = None
) -> dict[str, Any]:
    """Rounds of both runs, and what each comes to; ``node_share``: of a core, what the node with
    its database may use. Raises as ``Bench.run`` does, and SiteError."""
    home = bench.home(ONE_COUNTRY[0])
    number = str(home.number)
    calm = _replace(scenario, rate=None)
    with _confined(bench, home.name, node_share):
        alone = await bench.run(calm)
        calm = _replace(calm, beside=_beside(bench, max(0.0, times - 1) * _rate(alone, number)))
        runs = [await bench.run(calm)]
        for _ in range(rounds):
            rate = max(0.1, times * _rate(runs[-1], number))
            clients = connections(rate, scenario.clients)
            flood = _replace(scenario, rate=rate, clients=clients, payments=None)
            runs.append(await bench.run(flood))
            runs.append(await bench.run(calm))
    floods = [
        summary(runs[at - 1], runs[at], runs[at + 1], times, number)
        for at in range(1, len(runs), 2)
    ]
    return {
        "runs": [alone, *runs],
        "flood": {
            "node_share": node_share,
            "goodput_by_capacity": median(each["goodput_by_capacity"] for each in floods),
            "rounds": floods,
        },
    }


def _beside(bench: Bench, rate: float) -> tuple[str, float] | None:
    """As many payments for the next node in order as it will get of what the home refuses."""
    for node in bench.takers(ONE_COUNTRY[0])[1:]:
        for country in SPREAD:
            if rate and bench.home(country).number == node.number:
                return country, rate
    return None


def _rate(run: dict[str, Any], node: str) -> float:
    succeeded: dict[str, int] = run["succeeded_by_node"]
    seconds: float = run["seconds"]
    return succeeded.get(node, 0) / seconds


def _confined(bench: Bench, node: str, share: float | None) -> AbstractContextManager[None]:
    if share is None:
        return nullcontext()
    found = next(each for each in bench.site.nodes if each.name == node)
    return limited([found.pid, found.postgres_pid], share)


def connections(rate: float, least: int) -> int:
    """How many an open load needs."""
    return int(max(least, min(CONNECTIONS_MAX, rate * SECONDS_OUTSTANDING)))


def summary(
    before: dict[str, Any], opened: dict[str, Any], after: dict[str, Any], times: float, home: str
) -> dict[str, Any]:
    """The figures of a flood between two closed runs (pure). Rates in payments/s; ``home``: the
    flooded node's number."""
    flooded: dict[str, int] = opened["succeeded_by_node"]
    capacity = (_rate(before, home) + _rate(after, home)) / 2
    goodput = _rate(opened, home)
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
