"""One run: load, fault, probe, hold, heal, quiet, check. And rounds of runs on fresh clusters."""

from __future__ import annotations

import asyncio
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import asyncpg
import msgspec

from bailiwick.access.nodes.forward import HopError
from bailiwick.checker.places import PlaceError
from bailiwick.checker.run import Wanted, check, document
from bailiwick.runtime.database_errors import DATABASE_ERRORS
from bailiwick_lab.demo.world import MerchantKeys
from bailiwick_lab.drill.hosts.cluster import CLIENT, COUNTRIES, Cluster
from bailiwick_lab.drill.hosts.network import Unproven
from bailiwick_lab.drill.load import LAST, Place, Plan, Told
from bailiwick_lab.drill.measure import Figures, NodeFigures, Window, figures
from bailiwick_lab.drill.scenario import Scenario
from bailiwick_lab.servers.binaries import EngineError
from bailiwick_lab.servers.children import exit_of, life_tie
from bailiwick_lab.servers.supervisor import SupervisorError

CURRENCIES = {"IN": "inr", "DE": "eur", "BR": "brl", "KE": "kes"}
UNDER_FAULT_LEAST = 5
"""A run with fewer payments of the victim's places during the fault proves nothing."""
_BEGIN_S = 120.0
_DRAIN_S = 300.0
_CHECK_WAIT_S = 90.0
_FAILURES = (
    Unproven, SupervisorError, EngineError, PlaceError, HopError, *DATABASE_ERRORS,
)  # fmt: skip
Verdict = Literal["held", "broken", "error"]
Say = Callable[[str], None]


class Pace(msgspec.Struct, frozen=True):
    """Seconds of each part of a run, and payments per second over all places. ``any_outage``: a
    place may be without a success for as long as it takes, if it has one again."""

    warm_s: float = 4.0
    hold_s: float = 8.0
    after_s: float = 6.0
    rate: float = 40.0
    any_outage: bool = False


SHORT = Pace(warm_s=2.0, hold_s=2.5, after_s=2.0, rate=30.0)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One run. ``lost``: payments that the client was told of as paid and that no database
    has so. ``why``: what made it an error, or broke it."""

    scenario: str
    victim: str
    round: int
    seed: int
    verdict: Verdict
    why: str = ""
    proofs: list[str] = []
    hold_s: float = 0.0
    figures: Figures | None = None
    lost: list[str] = []
    check: dict[str, Any] | None = None
    seconds: float = 0.0


class Client:
    """The load's process, on the client's host."""

    def __init__(self, cluster: Cluster, plan: Plan, name: str) -> None:
        self._cluster = cluster
        self._plan = plan
        self._file = cluster.folder / "runs" / f"{name}.plan.json"
        self._log = cluster.folder / "logs" / f"load-{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin to pay."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.touch(mode=0o600)  # it has the merchant's key
        self._file.write_bytes(msgspec.json.encode(self._plan))
        with self._log.open("wb") as log, self._cluster.network.entered(CLIENT):
            self._process = subprocess.Popen(
                [
                    *life_tie(signal.SIGKILL), sys.executable, "-P",
                    "-m", "bailiwick_lab.drill.load", str(self._file),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )  # fmt: skip

    async def begun(self) -> None:
        """Wait until it pays. Raises Unproven."""
        deadline = time.monotonic() + _BEGIN_S
        while not Path(self._plan.history).exists():
            self.require_alive()
            if time.monotonic() > deadline:
                raise Unproven(f"the load did not begin within {_BEGIN_S:.0f} s")
            await asyncio.sleep(0.05)

    def require_alive(self) -> None:
        """Raises Unproven when it has ended by itself."""
        if self._process is None or self._process.poll() is not None:
            said = self._log.read_text(errors="replace").strip()[-600:]
            raise Unproven(f"the load ended by itself: {said or 'it said nothing'}")

    async def finish(self) -> list[Told]:
        """Begin no more, bring what was begun to its end, and give the history."""
        self.require_alive()
        assert self._process is not None
        self._process.terminate()
        await asyncio.wait_for(exit_of(self._process), _DRAIN_S)
        lines = Path(self._plan.history).read_bytes().splitlines()
        return [msgspec.json.decode(line, type=Told) for line in lines]

    async def end(self) -> None:
        """End it at once, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            await exit_of(self._process)


async def run(
    cluster: Cluster, kind: type[Scenario], victim: str, pace: Pace, *, number: int, seed: int
) -> Result:
    """One scenario at one victim. What stops it from being measured is in the result."""
    started = time.monotonic()
    scenario = kind(cluster, victim, seed)
    name = f"{kind.name}-{number}"
    assert cluster.merchant is not None
    plan = _plan(cluster, cluster.merchant, kind, pace, name, seed)
    client = Client(cluster, plan, name)

    def result(verdict: Verdict, **more: Any) -> Result:
        return Result(
            scenario=kind.name, victim=scenario.victim, round=number, seed=seed, verdict=verdict,
            proofs=scenario.proofs, seconds=time.monotonic() - started, **more,
        )  # fmt: skip

    try:
        client.start()
        window, history = await _under_load(cluster, scenario, client, pace)
        seen = figures(history, window, [*COUNTRIES, *kind.places])
        _require_hits(scenario, seen)
        wanted = Wanted(
            cluster.places(), wait_s=_CHECK_WAIT_S, history=Path(plan.history), seed=str(seed)
        )
        verdict = document(wanted, await check(wanted))
        lost = await lost_payments(cluster, history)
        await scenario.restore()
    except _FAILURES as error:
        return result("error", why=str(error) or type(error).__name__)
    finally:
        await client.end()
    outage = lacking_success(seen.nodes[scenario.victim], _outage_most_s(scenario, pace))
    why = _broken(outage and f"{scenario.victim} {outage}", verdict, lost, seen)
    return result(
        "broken" if why else "held", why=why, hold_s=window.heal - window.proven,
        figures=seen, lost=lost, check=verdict,
    )  # fmt: skip


def _plan(
    cluster: Cluster, merchant: MerchantKeys, kind: type[Scenario], pace: Pace, name: str, seed: int
) -> Plan:
    countries = {**COUNTRIES, **kind.places}
    places = [Place(node, country, CURRENCIES[country]) for node, country in countries.items()]
    return Plan(
        accesses=[unit.url for unit in cluster.access.values()],
        secret_key=merchant.secret,
        places=places,
        # A letter between numbers: digits in a row can look like a card's.
        run=f"{name}-s{seed}-n",
        history=str(cluster.folder / "runs" / f"{name}.history.jsonl"),
        rate=pace.rate,
        seed=seed,
        kinds=kind.kinds,
    )


async def _under_load(
    cluster: Cluster, scenario: Scenario, client: Client, pace: Pace
) -> tuple[Window, list[Told]]:
    """Warm, break, prove, hold, heal, prove, and let it settle."""
    await client.begun()
    start = time.monotonic()
    await asyncio.sleep(pace.warm_s)
    client.require_alive()
    fault = time.monotonic()
    await scenario.inject()
    await scenario.prove()
    proven = time.monotonic()
    await asyncio.sleep(max(pace.hold_s, scenario.hold_least_s))
    heal = time.monotonic()
    await scenario.heal()
    await scenario.prove_healed()
    await cluster.ready()
    whole = time.monotonic()
    await asyncio.sleep(pace.after_s)
    end = time.monotonic()
    history = await client.finish()
    return Window(start, fault, proven, heal, whole, end), history


def _require_hits(scenario: Scenario, seen: Figures) -> None:
    during = seen.nodes[scenario.victim].during.requests
    if during < UNDER_FAULT_LEAST:
        raise Unproven(
            f"only {during} payments of {scenario.victim} fell into the fault; raise the rate"
        )


def _outage_most_s(scenario: Scenario, pace: Pace) -> float | None:
    return math.inf if scenario.gap_most_s and pace.any_outage else scenario.gap_most_s


def _broken(outage: str, verdict: dict[str, Any], lost: Sequence[str], seen: Figures) -> str:
    found = [outage] if outage else []
    if not verdict["ok"]:
        names = [each["name"] for each in verdict["invariants"] if each["count"]]
        found.append(f"{verdict['violations']} violations ({', '.join(names)})")
    if lost:
        found.append(f"{len(lost)} acknowledged payments are missing")
    if seen.in_doubt:
        found.append(f"{seen.in_doubt} payments stayed in doubt for the client")
    return "; ".join(found)


def lacking_success(seen: NodeFigures, most_s: float | None) -> str:
    """In words, if a node's places had no success for longer than allowed; else empty."""
    gap = seen.longest_gap_s
    if most_s is None or (gap is not None and gap <= most_s):
        return ""
    words = "to the end" if gap is None else f"for {gap:.1f} s"
    return f"had no success {words}; {most_s:.0f} s are allowed"


async def lost_payments(cluster: Cluster, history: Sequence[Told]) -> list[str]:
    """Payments that were acknowledged and that no node's database has in that state."""
    missing = {
        told.payment
        for told in history
        if told.status == "ok" and told.payment and told.operation == LAST.get(told.kind, "create")
    }
    for place in cluster.places().nodes:
        connection = await asyncpg.connect(place.dsn, timeout=10)
        try:
            rows = await connection.fetch(
                "SELECT id FROM payment WHERE id = ANY ($1::text[]) AND state = 'succeeded'",
                sorted(missing),
            )
        finally:
            await connection.close()
        missing -= {row["id"] for row in rows}
    return sorted(missing)
