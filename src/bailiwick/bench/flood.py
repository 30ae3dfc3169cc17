"""A node flooded to a multiple of what it can do: how much of that it still does, and who serves
the rest.

Capacity is measured first, closed, through the same processes; then the same payments arrive open
at a multiple of it. On a machine that does everything at once, what refuses, what serves the rest
and what makes the load take their share of the processors too: there the node must be made the
narrow place (``capacity`` in its ``node.toml`` and a provider's delay, or cores of its own), else
the machine is what is measured.
"""

from __future__ import annotations

from typing import Any

import msgspec

from bailiwick.bench.run import ONE_COUNTRY, Bench, Scenario

CONNECTIONS_MAX = 4_096
SECONDS_OUTSTANDING = 1.0
"""Connections for so many seconds of arrivals: an arrival without one is dropped, and counted."""


async def run(bench: Bench, scenario: Scenario, times: float) -> dict[str, Any]:
    """Both runs and what they come to. Raises as ``Bench.run`` does."""
    closed = await bench.run(msgspec.structs.replace(scenario, rate=None))
    home = str(bench.home(ONE_COUNTRY[0]).number)
    capacity = closed["succeeded_by_node"].get(home, 0) / closed["seconds"]
    rate = max(0.1, times * capacity)
    clients = connections(rate, scenario.clients)
    flood = msgspec.structs.replace(scenario, rate=rate, clients=clients, payments=None)
    opened = await bench.run(flood)
    return {"runs": [closed, opened], "flood": summary(closed, opened, times, home)}


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
