"""One node dead: what the payments of places that do not belong to it notice.

Open load at a share of the measured capacity goes to the places of all nodes, in interleaved pairs
of phases: A/A, with nothing dead in either, and A/B, with one node dead in one of them. The dead
node's own payments keep arriving; they are counted apart. Every payment of the other places is in
the accounts, those of warm-up included.

On one machine a dead node leaves its processors to the others, so B has more of them than A: what
this shows is whether access lets one node's silence reach the payments of others.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from bailiwick.base.ids import node_of
from bailiwick.topology.parts import Node as Home
from bailiwick_lab.bench import figures
from bailiwick_lab.bench.load import Endpoint, Load, Outcome, Plan
from bailiwick_lab.bench.modes.flood import connections
from bailiwick_lab.bench.modes.outage import How, Outage
from bailiwick_lab.bench.run import SPREAD, Bench, Scenario
from bailiwick_lab.bench.site import SiteError

METHOD = (
    "95 %; p99 ratio: geometric mean over the pairs, percentile bootstrap of the pairs; success: "
    "difference of the pooled shares, Newcombe's interval of Wilson scores"
)


class Places(msgspec.Struct, frozen=True):
    """The node to die, the payers' countries that are its own, and the others."""

    victim: Home
    own: tuple[str, ...]
    others: tuple[str, ...]


class Phase(msgspec.Struct, frozen=True):
    """One phase, seen by the places that do not belong to the victim; ``own``: by those that do.

    ``success``: share of the arrivals that succeeded.
    """

    pair: int
    kind: str
    dead: bool
    arrived: int
    succeeded: int
    dropped: int
    errors: dict[str, int]
    success: float
    p50_ms: float
    p99_ms: float
    own: dict[str, Any]


async def run(
    bench: Bench, scenario: Scenario, *, share: float, pairs: int, how: How
) -> dict[str, Any]:
    """Capacity first, then the pairs. Raises as ``Bench.run`` does, and SiteError."""
    places = _places(bench)
    scenario = msgspec.structs.replace(scenario, rate=None, payments=None, spread=True)
    closed = await bench.run(scenario)
    rate = max(1.0, share * closed["payments_per_s"])
    pairing = _Pairing(bench, scenario, places, rate, how)
    before = await bench.ledgers()
    for number in range(1, pairs + 1):
        for kind in ("A/A", "A/B") if number % 2 else ("A/B", "A/A"):
            await pairing.pair(number, kind)
    after = await bench.ledgers()
    standing = [at for at, node in enumerate(bench.nodes) if node.name != places.victim.name]
    accounts = figures.account(
        pairing.references,
        [before.nodes[at] for at in standing],
        [after.nodes[at] for at in standing],
        _elsewhere(before.charges, places.victim),
        _elsewhere(after.charges, places.victim),
    )
    found = {
        "victim": places.victim.name,
        "how": how,
        "own_places": places.own,
        "other_places": places.others,
        "share": share,
        "capacity_per_s": closed["payments_per_s"],
        "rate_per_s": round(rate, 1),
        **summary(pairing.phases),
        "accounts": accounts,
        "phases": pairing.phases,
    }
    return {"runs": [closed], "isolation": found}


def summary(phases: list[Phase]) -> dict[str, Any]:
    """Both kinds of pairs compared (pure). In an A/A pair the phases take turns to be the B.

    ``p99_spread``: how far the phases of a pair differ at most, as a ratio; the p99 with a node
    dead may be that much longer, on the average of its pairs.
    """
    found: dict[str, Any] = {"method": METHOD}
    for kind in ("A/A", "A/B"):
        pairs = [_as_a_and_b(each) for each in _pairs(phases, kind)]
        ratios = [b.p99_ms / a.p99_ms for a, b in pairs if a.p99_ms and b.p99_ms]
        counts = [
            sum(getattr(pair[side], name) for pair in pairs)
            for side in (0, 1)
            for name in ("succeeded", "arrived")
        ]
        found[kind] = {
            "pairs": len(pairs),
            "p99_ratio": figures.mean_ratio(ratios),
            "p99_ratios": [round(ratio, 3) for ratio in ratios],
            "p99_spread": round(max((max(r, 1 / r) for r in ratios), default=1.0), 3),
            "success_pp": figures.share_difference(*counts),
            "success": [round(counts[at] / max(counts[at + 1], 1), 6) for at in (0, 2)],
        }
    dead_by_alive = found["A/B"]["p99_ratio"].value
    found["p99_within_aa_spread"] = dead_by_alive <= found["A/A"]["p99_spread"]
    return found


def _pairs(phases: list[Phase], kind: str) -> list[list[Phase]]:
    by_pair: dict[int, list[Phase]] = {}
    for each in phases:
        if each.kind == kind:
            by_pair.setdefault(each.pair, []).append(each)
    return list(by_pair.values())


def _as_a_and_b(pair: list[Phase]) -> tuple[Phase, Phase]:
    first, second = pair
    turned = first.dead or (not second.dead and first.pair % 2 == 0)
    return (second, first) if turned else (first, second)


def _places(bench: Bench) -> Places:
    homes = {country: bench.home(country) for country in SPREAD}
    victim = max(homes.values(), key=lambda home: home.number)
    own = tuple(country for country, home in homes.items() if home.number == victim.number)
    others = tuple(country for country in SPREAD if country not in own)
    if not others:
        raise SiteError("isolation takes two nodes at least: start the demo with --nodes 3")
    return Places(victim, own, others)


def _elsewhere(charges: dict[str, Any], victim: Home) -> dict[str, Any]:
    return {name: each for name, each in charges.items() if node_of(name) != victim.number}


class _Pairing:
    """Runs pairs and keeps what they saw; ``references``: charges at nodes that never die."""

    def __init__(
        self, bench: Bench, scenario: Scenario, places: Places, rate: float, how: How
    ) -> None:
        self._site = bench.site
        self._scenario = scenario
        self._places = places
        self._rate = rate / len(SPREAD)
        self._outage = Outage(Path(bench.site.world).parent, places.victim.name, how)
        self.phases: list[Phase] = []
        self.references: list[str] = []

    async def pair(self, number: int, kind: str) -> None:
        """Two phases, in alternating order."""
        deads = (False, False) if kind == "A/A" else (False, True)
        for dead in deads if number % 2 else deads[::-1]:
            self.phases.append(await self._phase(number, kind, dead=dead))

    async def _phase(self, number: int, kind: str, *, dead: bool) -> Phase:
        others, plan = await self._load(self._places.others)
        own, own_plan = await self._load(self._places.own)
        warm = msgspec.structs.replace(plan, seconds=self._scenario.warmup)
        all_along = msgspec.structs.replace(own_plan, seconds=plan.seconds + warm.seconds)
        try:
            if dead:
                await asyncio.to_thread(self._outage.begin)
            beside = asyncio.create_task(own.run(all_along))
            warmed = await others.run(warm) if warm.seconds else None
            outcome = await others.run(plan)
            if dead:  # what waits for a frozen node is answered when it wakes
                await asyncio.to_thread(self._outage.end)
            its_own = await beside
        finally:
            await asyncio.to_thread(self._outage.end)
            others.close()
            own.close()
        for each in (warmed, outcome, its_own):
            self._keep(each)
        return _phase(number, kind, dead, outcome, its_own)

    async def _load(self, countries: tuple[str, ...]) -> tuple[Load, Plan]:
        rate = self._rate * len(countries)
        clients = connections(rate, self._scenario.clients)
        load = Load(
            [Endpoint(each.url, countries) for each in self._site.access], self._site.secret_key
        )
        await load.connect(clients)
        return load, Plan(clients, self._scenario.seconds, rate=rate)

    def _keep(self, outcome: Outcome | None) -> None:
        victim = self._places.victim.number
        for reference in outcome.references if outcome is not None else ():
            if node_of(reference) != victim:
                self.references.append(reference)


def _phase(number: int, kind: str, dead: bool, seen: Outcome, own: Outcome) -> Phase:
    arrived = seen.sent + seen.dropped
    latency = figures.latency_ms(seen.succeeded_s)
    return Phase(
        pair=number,
        kind=kind,
        dead=dead,
        arrived=arrived,
        succeeded=len(seen.references),
        dropped=seen.dropped,
        errors=dict(seen.errors),
        success=round(len(seen.references) / max(arrived, 1), 6),
        p50_ms=latency["p50"],
        p99_ms=latency["p99"],
        own={
            "sent": own.sent,
            "succeeded": len(own.references),
            "dropped": own.dropped,
            "errors": dict(own.errors),
        },
    )
