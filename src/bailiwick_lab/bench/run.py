"""One measured run: load, warm-up apart, with counters read on both sides of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from bailiwick.topology.parts import Node as Home
from bailiwick_lab.bench import figures, processes
from bailiwick_lab.bench import site as sites
from bailiwick_lab.bench.database import Commits, Counts, Node, lane_commits, weak_settings
from bailiwick_lab.bench.load import Endpoint, Load, Outcome, Plan
from bailiwick_lab.bench.site import Charge, Site

BESIDE_CLIENTS = 512
"""Connections for payments of another place: what the next node is given is no overload of it."""
BESIDE_S = 3_600.0
"""Their load is ended by hand, long before."""
DELAYS: dict[str, dict[str, Any]] = {
    "zero": {"kind": "zero"},
    "lognormal": {"kind": "lognormal", "p50_ms": 120, "p99_ms": 380},
}
ONE_COUNTRY = ("DE",)
SPREAD = ("DE", "IN", "BR")
"""Places whose homes are the three nodes of the demo: with fewer nodes fewer of them differ."""


class Scenario(msgspec.Struct, frozen=True):
    """What to run. ``rate`` in payments/s for open load; times in seconds; ``countries``: the
    payers', instead of what ``spread`` means; ``accesses``: how many access processes at most;
    ``beside``: a country of another node's, and how many of its payments a second are served
    meanwhile, and not measured."""

    target: Literal["access", "node"]
    clients: int = 64
    seconds: float = 10.0
    payments: int | None = None
    rate: float | None = None
    delay: str = "zero"
    spread: bool = False
    warmup: float = 3.0
    countries: tuple[str, ...] = ()
    accesses: int | None = None
    beside: tuple[str, float] | None = None

    @property
    def mode(self) -> str:
        """Open or closed."""
        return "closed" if self.rate is None else "open"


class Ledgers(msgspec.Struct, frozen=True):
    """What nodes and providers hold at one moment."""

    nodes: list[Counts]
    charges: dict[str, Charge]


class Meter(msgspec.Struct, frozen=True):
    """The counters of one moment."""

    cpu: processes.Spent
    commits: dict[str, Commits]
    lanes: dict[str, int]


class WeakDatabase(Exception):
    """A database does not keep what it commits: nothing is measured on it."""


class Bench:
    """A site with connections to its databases, for any number of runs."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.nodes = [Node(each.name, each.dsn) for each in site.nodes]
        self.settings: dict[str, dict[str, str]] = {}
        self._programs = site.programs()

    async def open(self) -> None:
        """Connect, and refuse databases that are not durable. Raises WeakDatabase, OSError,
        asyncpg.PostgresError."""
        for node in self.nodes:
            await node.open()
            self.settings[node.name] = await node.settings()
        problems = [
            f"database of node {name}: {problem}"
            for name, settings in self.settings.items()
            for problem in weak_settings(settings)
        ]
        if problems:
            raise WeakDatabase("; ".join(problems))

    async def close(self) -> None:
        """Disconnect."""
        for node in self.nodes:
            await node.close()

    def watch(self, program: processes.Program) -> None:
        """Count a further process's processor time too."""
        self._programs.append(program)

    async def run(self, scenario: Scenario) -> dict[str, Any]:
        """One run. Raises LoadError, SiteError, WatchError."""
        before = await self.ledgers()
        usual = sites.delay(self.site)
        endpoints = self.endpoints(scenario, countries_of(scenario))
        load = Load(endpoints, self.site.secret_key)
        beside = Beside(self, scenario)
        sites.set_delay(self.site, DELAYS[scenario.delay])
        try:
            await load.connect(scenario.clients)
            await beside.begin()
            references = []
            if scenario.warmup:
                warm = await load.run(self._plan(scenario, warm=True))
                references += warm.references
            at = datetime.now(UTC).isoformat(timespec="seconds")
            first = await self._meter()
            outcome = await load.run(self._plan(scenario))
            last = await self._meter()
            references += [*outcome.references, *await beside.end()]
        finally:
            load.close()
            beside.close()
            sites.set_delay(self.site, usual)
        after = await self.ledgers()
        accounts = figures.account(
            references, before.nodes, after.nodes, before.charges, after.charges
        )
        loaded = [
            node
            for node, old, new in zip(self.nodes, before.nodes, after.nodes, strict=True)
            if new.payments > old.payments
        ]
        settled = {node.name: await node.settled_commits(first.commits[node.name])
                   for node in loaded}  # fmt: skip
        return {
            "at": at,
            "scenario": {"mode": scenario.mode, **msgspec.structs.asdict(scenario)},
            "loaded_nodes": [node.name for node in loaded],
            **_throughput(outcome),
            "succeeded_by_node": figures.by_node(outcome.references),
            **self._latency(scenario, outcome),
            **self._costs(outcome, first, last, settled),
            "memory_mb": processes.memory_mb(self._programs),
            "accounts": accounts,
        }

    def _plan(self, scenario: Scenario, *, warm: bool = False) -> Plan:
        seconds = scenario.warmup if warm else scenario.seconds
        payments = None if warm else scenario.payments
        return Plan(scenario.clients, seconds, payments, scenario.rate)

    def endpoints(self, scenario: Scenario, countries: tuple[str, ...]) -> list[Endpoint]:
        """Where payments of these countries are sent."""
        if scenario.target == "access":
            accesses = self.site.access[: scenario.accesses]
            return [Endpoint(each.url, countries) for each in accesses]
        # A node alone refuses what is not its own, so each country goes to its home.
        by_url: dict[str, tuple[str, ...]] = {}
        for country in countries:
            url = self.home(country).url
            by_url[url] = (*by_url.get(url, ()), country)
        return [Endpoint(url, places) for url, places in by_url.items()]

    def home(self, country: str) -> Home:
        """A country's home, by the world's own rules."""
        return self.takers(country)[0]

    def takers(self, country: str) -> list[Home]:
        """The nodes that may take a country's payments, in order."""
        from pathlib import Path

        from bailiwick.geo import atlas
        from bailiwick.jurisdiction.assign import assign
        from bailiwick.jurisdiction.locate import Evidence, locate
        from bailiwick.topology.epochs import world_in_force

        world = world_in_force(Path(self.site.world))
        place = locate(Evidence(country=country), atlas.load(), world.topology.overrides)
        found = assign(place, world.topology).considered
        return [
            world.topology.by_number[each.node] for each in found if each.verdict != "not_allowed"
        ]

    async def ledgers(self) -> Ledgers:
        """What nodes and providers hold now."""
        return Ledgers([await node.counts() for node in self.nodes], sites.charges(self.site))

    async def _meter(self) -> Meter:
        commits = {node.name: await node.commits() for node in self.nodes}
        lanes = {
            node.name: lane_commits(sites.fetch(node.url + "/metrics").decode())
            for node in self.site.nodes
        }
        return Meter(processes.spent(self._programs), commits, lanes)

    def _latency(self, scenario: Scenario, outcome: Outcome) -> dict[str, Any]:
        total = figures.latency_ms(outcome.taken_s)
        if scenario.delay == "zero":
            return {"latency_ms": total, "added_ms": total, "added_by": "total"}
        added = figures.added_s(outcome.succeeded_s, outcome.references, sites.waited_ms(self.site))
        return {
            "latency_ms": total,
            "added_ms": figures.latency_ms(added),
            "added_by": f"each of {len(added)} payments less its provider's own delay",
        }

    def _costs(
        self, outcome: Outcome, first: Meter, last: Meter, settled: dict[str, Commits]
    ) -> dict[str, Any]:
        count = max(len(outcome.references), 1)
        used = processes.between(first.cpu, last.cpu)
        ours: dict[str, float] = {}
        for role, seconds in used.roles.items():
            kind, _, name = role.partition(" ")
            key = kind if not name or name in settled else "idle nodes"
            ours[key] = ours.get(key, 0.0) + seconds
        written = sum(last.commits[n].written - first.commits[n].written for n in settled)
        every = sum(settled[n].all - first.commits[n].all for n in settled)
        lanes = sum(last.lanes[n] - first.lanes[n] for n in settled)
        cores = processes.machine()["cores"] or 1
        other = max(0.0, used.machine - sum(ours.values()))
        return {
            "cpu_us_per_payment": {
                role: round(seconds / count * 1e6, 1) for role, seconds in sorted(ours.items())
            },
            "cores_used": round(sum(ours.values()) / outcome.seconds, 2),
            "others_share": round(other / cores / outcome.seconds, 3),
            "commits_per_payment": {
                "written": round(written / count, 4),
                "lanes": round(lanes / count, 4),
                "all_statistics": round(every / count, 4),
            },
        }


class Beside:
    """Payments of another place at a steady rate, for as long as the measured load lasts; counted
    in the accounts and in nothing else."""

    def __init__(self, bench: Bench, scenario: Scenario) -> None:
        self._load: Load | None = None
        self._plan = Plan(BESIDE_CLIENTS, BESIDE_S, None, None)
        if scenario.beside is not None:
            country, rate = scenario.beside
            self._load = Load(bench.endpoints(scenario, (country,)), bench.site.secret_key)
            self._plan = Plan(BESIDE_CLIENTS, BESIDE_S, None, rate)
        self._task: asyncio.Task[Outcome] | None = None

    async def begin(self) -> None:
        """Connect, and send from now on. Raises LoadError."""
        if self._load is not None:
            await self._load.connect(self._plan.clients)
            self._task = asyncio.create_task(self._load.run(self._plan))

    async def end(self) -> list[str]:
        """Send no more; the references of all payments."""
        if self._load is None or self._task is None:
            return []
        self._load.stop()
        return (await self._task).references

    def close(self) -> None:
        """Close the connections."""
        if self._task is not None:
            self._task.cancel()
        if self._load is not None:
            self._load.close()


def countries_of(scenario: Scenario) -> tuple[str, ...]:
    """The payers' countries."""
    return scenario.countries or (SPREAD if scenario.spread else ONE_COUNTRY)


def _throughput(outcome: Outcome) -> dict[str, Any]:
    succeeded = len(outcome.references)
    return {
        "seconds": round(outcome.seconds, 3),
        "sent": outcome.sent,
        "succeeded": succeeded,
        "dropped": outcome.dropped,
        "errors": dict(outcome.errors),
        "payments_per_s": round(succeeded / outcome.seconds, 1),
    }
