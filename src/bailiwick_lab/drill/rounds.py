"""Rounds of scenarios: each round on a cluster made for it, everything taken down at the end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TextIO

import msgspec

from bailiwick.runtime import telemetry
from bailiwick_lab.demo.world import WorldProblem
from bailiwick_lab.drill import engine
from bailiwick_lab.drill.engine import Pace, Result, Say
from bailiwick_lab.drill.hosts import folders
from bailiwick_lab.drill.hosts.cluster import COUNTRIES, Cluster, host_names
from bailiwick_lab.drill.hosts.namespaces import NotAllowed, why_not
from bailiwick_lab.drill.hosts.network import Bridged, Loopback, Network
from bailiwick_lab.drill.scenario import Scenario
from bailiwick_lab.servers.binaries import EngineError
from bailiwick_lab.servers.broker import BrokerError
from bailiwick_lab.servers.joblog import JobLog
from bailiwick_lab.servers.supervisor import SupervisorError

_STOP_S = 40.0


class DrillError(Exception):
    """No drill can be held; the message has the remedy."""


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. ``victim``: a node's name, or empty to take each in its turn."""

    scenarios: Sequence[type[Scenario]]
    times: int = 1
    seed: int = 1
    pace: Pace = Pace()
    victim: str = ""
    loopback: bool = False
    replicate: bool = True
    keep: bool = False


class Outcome(msgspec.Struct, kw_only=True):
    """What came of it. ``kept``: the folder left for people, if any; ``problem``: why it ended
    before all was run."""

    mode: str
    why_loopback: str
    orders: Orders
    results: list[Result]
    skipped: dict[str, str]
    kept: str = ""
    seconds: float = 0.0
    problem: str = ""

    @property
    def held(self) -> bool:
        """Whether every run held, there was one, and nothing is missing."""
        held = all(each.verdict == "held" for each in self.results)
        return held and bool(self.results) and not self.problem


def hold(orders: Orders, say: Say) -> Outcome:
    """Hold the drill."""
    telemetry.configure("drill", level="error")  # what the probes' clients say is no news
    for folder in folders.sweep():
        say(f"removed {folder}, which a killed drill had left")
    # What the processes say is in their files.
    with Path(os.devnull).open("w") as silent:
        return asyncio.run(_until_signalled(_Drill(orders, say, silent)))


async def _until_signalled(drill: _Drill) -> Outcome:
    """SIGINT and SIGTERM end the run under way; what was made is taken down all the same."""
    task = asyncio.create_task(drill.hold())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        drill.outcome.problem = "interrupted"
    except DrillError as error:
        drill.outcome.problem = str(error)
    return drill.outcome


class _Drill:
    def __init__(self, orders: Orders, say: Say, silent: TextIO) -> None:
        self._orders = orders
        self._say = say
        self._silent = silent
        self._chance = random.Random(orders.seed)
        reason = "asked for with --loopback" if orders.loopback else why_not() or ""
        mode = "loopback" if reason else "namespaces"
        self.outcome = Outcome(
            mode=mode, why_loopback=reason, orders=orders, results=[], skipped={}
        )
        if reason and not orders.loopback:
            say(f"No hosts in namespaces: {reason}. The faults run on loopback, by proxy.")

    async def hold(self) -> None:
        started = time.monotonic()
        chosen = [kind for kind in self._orders.scenarios if self._possible(kind)]
        try:
            for number in range(1, self._orders.times + 1):
                await self._round(number, chosen)
        finally:
            self.outcome.seconds = time.monotonic() - started

    def _possible(self, kind: type[Scenario]) -> bool:
        if kind.only and kind.only != self.outcome.mode:
            self.outcome.skipped[kind.name] = f"needs {kind.only}"
            return False
        return True

    async def _round(self, number: int, kinds: Sequence[type[Scenario]]) -> None:
        """All scenarios on one cluster; an error leaves it in no known state, so a new one."""
        left = list(kinds)
        while left:
            async with self._made() as cluster:
                while left:
                    result = await self._one(cluster, left.pop(0), number)
                    self.outcome.results.append(result)
                    if result.verdict != "held":
                        break

    async def _one(self, cluster: Cluster, kind: type[Scenario], number: int) -> Result:
        nodes = list(COUNTRIES)
        turn = number + list(self._orders.scenarios).index(kind)
        victim = self._orders.victim or nodes[turn % len(nodes)]
        seed = self._chance.randrange(1, 2**31)
        result = await engine.run(
            cluster, kind, victim, self._orders.pace, number=number, seed=seed
        )
        word = result.verdict if result.verdict != "broken" else "BROKEN"
        why = f": {result.why}" if result.why else ""
        self._say(f"{number}. {kind.name} at {result.victim}: {word} ({result.seconds:.0f} s){why}")
        return result

    @contextlib.asynccontextmanager
    async def _made(self) -> AsyncIterator[Cluster]:
        """A cluster, and its removal however the block ends."""
        folder = folders.make()
        before = len(self.outcome.results)
        network: Network | None = None
        cluster: Cluster | None = None
        log = JobLog(folder / "logs", stream=self._silent)
        try:
            names = host_names()
            network = Bridged(names) if self.outcome.mode == "namespaces" else Loopback(names)
            began = time.monotonic()
            cluster = Cluster(folder, network, log, replicate=self._orders.replicate)
            await cluster.start()
            self._say(f"{len(names)} hosts ({network.mode}) in {time.monotonic() - began:.0f} s")
            yield cluster
        except (NotAllowed, EngineError, SupervisorError, BrokerError, WorldProblem, OSError) as e:
            raise DrillError(str(e)) from e
        finally:
            if cluster is not None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(cluster.stop(), _STOP_S)
            if network is not None:
                await network.close()
            log.close()
            self._leave(folder, self.outcome.results[before:])

    def _leave(self, folder: Path, results: Sequence[Result]) -> None:
        if self._orders.keep or any(each.verdict != "held" for each in results):
            folders.keep(folder)
            self.outcome.kept = str(folder)
            self._say(f"kept {folder}: logs, histories and databases")
            return
        try:
            folders.remove(folder)
        except EngineError as error:
            self._say(f"{folder} stays until the next drill: {error}")
