"""What scenarios share in which a person acts with the product's own commands."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tomllib
from functools import partial
from typing import Any

import msgspec

from bailiwick.access.nodes.forward import HopError
from bailiwick_lab.drill.hosts.cluster import COUNTRIES
from bailiwick_lab.drill.hosts.network import Unproven
from bailiwick_lab.drill.hosts.units import Unit
from bailiwick_lab.drill.scenario import Scenario, ask

_COMMAND_S = 180.0


class Operated(Scenario):
    """A scenario with commands, and with epochs that come to every process."""

    @property
    def country(self) -> str:
        """Where the payers of the victim's places are."""
        return {**COUNTRIES, **self.places}[self.victim]

    async def operate(self, *arguments: str) -> dict[str, Any]:
        """Run one of the product's own commands. Raises Unproven with what it said."""
        try:
            done = await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-P", "-m", "bailiwick", *arguments, "--json"],
                capture_output=True,
                timeout=_COMMAND_S,
                env=self.cluster.operator(),
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            said = (error.stderr or b"").decode(errors="replace").strip()[-600:]
            raise Unproven(f"{self.name}: {' '.join(arguments[:2])} goes on: {said}") from None
        if done.returncode != 0:
            said = (done.stderr + done.stdout).decode(errors="replace").strip()[-600:]
            raise Unproven(f"{self.name}: {' '.join(arguments[:2])}: {said}")
        return msgspec.json.decode(done.stdout, type=dict[str, Any])

    def next_home(self) -> str:
        """Who takes the country's payments when the victim does not; empty for nobody."""
        text = (self.cluster.world / "topology.toml").read_text(encoding="utf-8")
        topology = tomllib.loads(text)
        groups = topology.get("groups", {})
        rules = {place: rule["nodes"] for rule in topology["rules"] for place in rule["places"]}
        names = [f"group:{name}" for name, places in groups.items() if self.country in places]
        names = [self.country, *names, "default"]
        nodes = next(rules[name] for name in names if name in rules)
        return next((node for node in nodes if node != self.victim), "")

    async def everywhere(self, epoch: int, home: str) -> None:
        """Show that every process has the epoch, and that access places the country by it.

        Args:
            home: a node, or empty where nobody may take the country's payments.
        """
        for unit in [*self.cluster.access.values(), *self.cluster.nodes.values()]:
            if not unit.frozen:
                await self.shown(f"{unit.name} has epoch {epoch}", partial(self._has, unit, epoch))
        for unit in self.cluster.access.values():
            fact = f"{unit.name} sends {self.country} to {home or 'nobody'}"
            await self.shown(fact, partial(self._sends, unit, home))

    async def _has(self, unit: Unit, epoch: int) -> bool:
        path = "/usage" if unit in self.cluster.nodes.values() else "/v1/topology"
        return bool((await self.told(unit, "GET", path)).get("epoch", 0) >= epoch)

    async def _sends(self, unit: Unit, home: str) -> bool:
        form = f"amount=100&currency=eur&location[country]={self.country}"
        answer = await self.told(unit, "POST", "/v1/explain", form)
        return "assignment" in answer and answer["assignment"].get("name") == (home or None)

    async def told(self, unit: Unit, method: str, path: str, form: str = "") -> dict[str, Any]:
        """What a program answers; nothing when it does not answer with a document."""
        assert self.cluster.merchant is not None
        try:
            answer = await ask(
                unit, method, path, form,
                kind="application/x-www-form-urlencoded", key=self.cluster.merchant.secret,
            )  # fmt: skip
            return msgspec.json.decode(answer.body, type=dict[str, Any])
        except (HopError, msgspec.DecodeError):
            return {}
