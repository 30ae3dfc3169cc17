"""What one merchant's troubles cost another merchant's payments at the same node.

The measured merchant pays at a constant rate, open load, through one access process at one node. In
rounds of interleaved phases its neighbour, another merchant of the same site, does nothing (twice a
round: these show how far equal phases differ, A/A) or makes one kind of trouble:

* ``webhooks``: it has as many webhook endpoints as it may, which take connections and never
  answer, and makes payments of which each of them is owed the events;
* ``flood``: it makes payments over many connections as fast as they are answered, or at a rate;
* ``lists``: it lists its own payments, a hundred at a time, over many connections without pause.

On one machine that takes processor time from the measured merchant whatever the node does about
it. So each trouble is made elsewhere too: at another node, through another access process if there
is one. That shares the machine and nothing else; what the same trouble costs more where the
measured merchant is, is what sharing a node and an access process costs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from statistics import median
from typing import Any, Final, Literal

import msgspec

from bailiwick.resources.webhook_endpoints.routes import ENDPOINTS_MAX
from bailiwick_lab.bench import figures, processes
from bailiwick_lab.bench import site as sites
from bailiwick_lab.bench.load import Endpoint, Load, Outcome, Plan
from bailiwick_lab.bench.modes.flood import connections
from bailiwick_lab.bench.parts.apart import Apart, Order, Told, apart
from bailiwick_lab.bench.parts.silence import Silence, silent_endpoints
from bailiwick_lab.bench.run import DELAYS, ONE_COUNTRY, SPREAD, Bench, Scenario
from bailiwick_lab.bench.site import SiteError

Trouble = Literal["quiet", "webhooks", "flood", "lists"]
TROUBLES: Final[tuple[Trouble, ...]] = ("webhooks", "flood", "lists")
QUANTILES: Final = ("p50", "p95", "p99")
_DID: Final = ("per_s", "endpoints", "owed", "tries")


class Bounds(msgspec.Struct, frozen=True):
    """How much trouble. ``rate``: payments/s of whoever has the silent endpoints;
    ``connections``: to flood or to list; ``flood_rate``: payments/s, None for as many as are
    answered; ``listed``: payments made before, at each node, for the lists to have."""

    rate: float
    connections: int
    flood_rate: float | None
    listed: int


class Place(msgspec.Struct, frozen=True):
    """Where the neighbour is. ``lists``: whom it asks for them: elsewhere the node itself, because
    access would ask all nodes."""

    name: Literal["here", "elsewhere"]
    node: str
    country: str
    access: str
    lists: str


class Phase(msgspec.Struct, frozen=True):
    """One phase, as the measured merchant saw it.

    ``cores``: processor time of each kind of process, as a number of cores; ``others_share``: of
    the machine, of programs that are no part of this; ``neighbour``: what it did meanwhile, from
    before the warm-up to after the last answer.
    """

    round: int
    trouble: Trouble
    where: str
    arrived: int
    succeeded: int
    dropped: int
    errors: dict[str, int]
    succeeded_by_node: dict[str, int]
    ms: dict[str, float]
    cores: dict[str, float]
    others_share: float
    neighbour: dict[str, Any]


async def run(bench: Bench, scenario: Scenario, bounds: Bounds, *, rounds: int) -> dict[str, Any]:
    """Capacity first, then the rounds; ``scenario.rate`` is the measured merchant's.

    Raises as ``Bench.run`` does, and SiteError."""
    assert scenario.rate is not None
    closed = await bench.run(msgspec.structs.replace(scenario, rate=None))
    places = _places(bench)
    before = await bench.ledgers()
    neighbours = _Neighbours(bench, scenario, bounds)
    for place in places:
        await neighbours.fill(place)
    usual = sites.delay(bench.site)
    sites.set_delay(bench.site, DELAYS[scenario.delay])
    try:
        for number in range(rounds):
            for trouble, place in order(places, number):
                await neighbours.phase(number + 1, trouble, place)
    finally:
        sites.set_delay(bench.site, usual)
    after = await bench.ledgers()
    accounts = figures.account(
        neighbours.references, before.nodes, after.nodes, before.charges, after.charges
    )
    found = {
        "node": places[0].node,
        "elsewhere": places[1].node if len(places) > 1 else None,
        "shares_access": len(places) > 1 and places[1].access == places[0].access,
        "rate_per_s": scenario.rate,
        "capacity_per_s": closed["payments_per_s"],
        "share": round(scenario.rate / max(closed["payments_per_s"], 1.0), 3),
        "cores": processes.machine()["cores"],
        "endpoints": ENDPOINTS_MAX,
        "bounds": bounds,
        **summary(neighbours.phases),
        "accounts": accounts,
        "phases": neighbours.phases,
    }
    return {"runs": [closed], "neighbour": found}


def order(places: list[Place], turn: int) -> list[tuple[Trouble, Place]]:
    """The phases of a round (pure): each trouble at each place, two quiet ones as far apart as can
    be; which comes first changes from round to round."""
    phases: list[tuple[Trouble, Place]] = [(each, at) for each in TROUBLES for at in places]
    half = len(phases) // 2
    found = [("quiet", places[0]), *phases[:half], ("quiet", places[0]), *phases[half:]]
    at = turn % len(found)
    return found[at:] + found[:at]


def summary(phases: list[Phase]) -> dict[str, Any]:
    """What the rounds come to (pure).

    ``quiet``: highest by lowest of a round's quiet phases (A/A). ``troubles``: latency by that of
    the same round's quiet phases (their geometric mean); ``here_by_elsewhere``: by that of the same
    trouble elsewhere in the same round.
    """
    rounds: dict[int, list[Phase]] = {}
    for each in phases:
        rounds.setdefault(each.round, []).append(each)

    def found(trouble: str, where: str) -> _Found:
        return [
            [phase for phase in each if (phase.trouble, phase.where) == (trouble, where)]
            for each in rounds.values()
        ]

    quiet = found("quiet", "here")
    kinds = {(each.trouble, each.where) for each in phases}
    return {
        "quiet": _row(quiet, _spread),
        "troubles": [
            {"trouble": each, "where": at, **_row(found(each, at), _ratio(quiet))}
            for each in TROUBLES
            for at in ("here", "elsewhere")
            if (each, at) in kinds
        ],
        "here_by_elsewhere": {
            each: {
                name: _spanned(_ratio(found(each, "elsewhere"))(found(each, "here"), name))
                for name in QUANTILES
            }
            for each in TROUBLES
            if (each, "elsewhere") in kinds
        },
    }


_Found = list[list[Phase]]
"""Equal phases, round by round."""


def _row(found: _Found, compared: Callable[[_Found, str], list[float]]) -> dict[str, Any]:
    """A kind of phase: medians, and sums of what failed; ``did``: the neighbour's own."""
    phases = [phase for each in found for phase in each]
    did = [each.neighbour for each in phases]
    return {
        "ms": _medians([each.ms for each in phases]),
        **{name: _spanned(compared(found, name)) for name in QUANTILES},
        "arrived": sum(each.arrived for each in phases),
        "succeeded": sum(each.succeeded for each in phases),
        "errors": _sums([each.errors for each in phases]),
        "succeeded_by_node": _sums([each.succeeded_by_node for each in phases]),
        "cores": _medians([each.cores for each in phases]),
        "others_share": round(median(each.others_share for each in phases), 3),
        "did": _medians([{name: one[name] for name in _DID if name in one} for one in did]),
        "did_errors": _sums([one.get("errors", {}) for one in did]),
    }


def _medians(each: list[dict[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for one in each for name in one)
    return {name: round(median(one.get(name, 0.0) for one in each), 3) for name in names}


def _sums(each: list[dict[str, int]]) -> dict[str, int]:
    return dict(sum(map(Counter, each), Counter()))


def _ratio(base: _Found) -> Callable[[_Found, str], list[float]]:
    def compared(found: _Found, name: str) -> list[float]:
        pairs = [
            (_level(each, name), _level(of, name)) for each, of in zip(found, base, strict=True)
        ]
        return [value / of for value, of in pairs if value and of]

    return compared


def _spread(found: _Found, name: str) -> list[float]:
    values = [[phase.ms[name] for phase in each] for each in found]
    return [max(each) / min(each) for each in values if len(each) > 1 and min(each)]


def _level(phases: list[Phase], name: str) -> float:
    """The geometric mean of equal phases; 0 where one of them has no figure."""
    values = [each.ms[name] for each in phases]
    return math.prod(values) ** (1 / len(values)) if values else 0.0


def _spanned(ratios: list[float]) -> dict[str, Any]:
    rounded = [round(each, 3) for each in ratios]
    if not rounded:
        return {"rounds": [], "median": None, "lowest": None, "highest": None}
    return {
        "rounds": rounded,
        "median": round(median(rounded), 3),
        "lowest": min(rounded),
        "highest": max(rounded),
    }


def _places(bench: Bench) -> list[Place]:
    """The measured merchant's place, and one of another node if there is one: best one whose
    payments that node alone takes, so that none of its flood comes back."""
    country, first = ONE_COUNTRY[0], bench.site.access[0].url
    home = bench.home(country)
    found = [Place("here", home.name, country, first, first)]
    others = [each for each in SPREAD if bench.home(each).number != home.number]
    if others:
        other = min(others, key=lambda each: len(bench.takers(each)))
        node = bench.home(other)
        found.append(Place("elsewhere", node.name, other, bench.site.access[-1].url, node.url))
    return found


class _Neighbours:
    """Runs phases and keeps what they saw; ``references``: charges of both merchants."""

    def __init__(self, bench: Bench, scenario: Scenario, bounds: Bounds) -> None:
        self._bench = bench
        self._scenario = scenario
        self._bounds = bounds
        self.phases: list[Phase] = []
        self.references: list[str] = []

    async def fill(self, place: Place) -> None:
        """Make the payments that the neighbour will list. Raises LoadError, SiteError."""
        load = Load([Endpoint(place.access, (place.country,))], self._bench.site.other_secret_key)
        try:
            await load.connect(self._scenario.clients)
            clients, count = self._scenario.clients, self._bounds.listed
            outcome = await load.run(Plan(clients, self._scenario.seconds, payments=count))
        finally:
            load.close()
        if len(outcome.references) < self._bounds.listed:
            raise SiteError(f"payments for lists could not be made: {outcome.errors}")
        self.references += outcome.references

    async def phase(self, number: int, trouble: Trouble, place: Place) -> None:
        """One phase, warm-up included. Raises LoadError, SiteError, WatchError."""
        scenario = self._scenario
        clients = connections(scenario.rate or 0.0, scenario.clients)
        plan = Plan(clients, scenario.seconds, rate=scenario.rate)
        access = Endpoint(self._bench.site.access[0].url, ONE_COUNTRY)
        load = Load([access], self._bench.site.secret_key)
        did: dict[str, Any] = {}
        try:
            await load.connect(clients)
            async with self._troubled(trouble, place, did) as beside:
                warmed = msgspec.structs.replace(plan, seconds=scenario.warmup)
                warm = await load.run(warmed) if scenario.warmup else None
                programs = [*self._bench.site.programs(), *beside]
                first = processes.spent(programs)
                outcome = await load.run(plan)
                used = processes.between(first, processes.spent(programs))
        finally:
            load.close()
        for each in (warm, outcome):
            self.references += each.references if each is not None else []
        self.phases.append(_phase(number, trouble, place, outcome, used, did))

    @asynccontextmanager
    async def _troubled(
        self, trouble: Trouble, place: Place, did: dict[str, Any]
    ) -> AsyncIterator[list[processes.Program]]:
        """Trouble while the block runs; ``did``: gets what came of it. Gives its processes."""
        if trouble == "quiet":
            yield []
            return
        key, databases = self._bench.site.other_secret_key, self._bench.nodes
        silent = silent_endpoints(place.access, key, databases)
        async with silent if trouble == "webhooks" else nullcontext() as silence:
            async with apart(self._order(trouble, place)) as beside:
                yield [processes.Program("neighbour", beside.pid)]
                did |= await self._ended(beside)
            if silence is not None:
                did |= await self._owed(silence)

    def _order(self, trouble: Trouble, place: Place) -> Order:
        bounds, key = self._bounds, self._bench.site.other_secret_key
        if trouble == "lists":
            url = place.lists
            return Order("lists", [Endpoint(url, (place.country,))], key, bounds.connections)
        rate = bounds.rate if trouble == "webhooks" else bounds.flood_rate
        clients = bounds.connections if rate is None else connections(rate, bounds.connections)
        where = [Endpoint(place.access, (place.country,))]
        return Order("payments", where, key, clients, rate)

    async def _ended(self, beside: Apart) -> dict[str, Any]:
        told: Told = await beside.end()
        self.references += told.references
        found = msgspec.structs.asdict(told)
        del found["references"]
        return {**found, "per_s": round(told.succeeded / max(told.seconds, 1e-9), 1)}

    async def _owed(self, silence: Silence) -> dict[str, Any]:
        owed = [await node.owed(silence.ids) for node in self._bench.nodes]
        return {"endpoints": len(silence.ids), "owed": sum(owed), "tries": silence.tries}


def _phase(
    number: int,
    trouble: Trouble,
    place: Place,
    seen: Outcome,
    used: processes.Spent,
    did: dict[str, Any],
) -> Phase:
    cores: dict[str, float] = {}
    for role, seconds in used.roles.items():
        kind = role.partition(" ")[0]
        cores[kind] = cores.get(kind, 0.0) + seconds / seen.seconds
    machine = used.machine / seen.seconds
    others = max(0.0, machine - sum(cores.values())) / (processes.machine()["cores"] or 1)
    return Phase(
        round=number,
        trouble=trouble,
        where=place.name,
        arrived=seen.sent + seen.dropped,
        succeeded=len(seen.references),
        dropped=seen.dropped,
        errors=dict(seen.errors),
        succeeded_by_node=figures.by_node(seen.references),
        ms=figures.latency_ms(seen.succeeded_s),
        cores={role: round(each, 3) for role, each in cores.items()},
        others_share=round(others, 3),
        neighbour=did,
    )
