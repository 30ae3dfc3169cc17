"""Epochs published under load: a place that moves from one node to another and back."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from functools import partial
from typing import Any

import msgspec

from bailiwick.access.forward import HopError
from bailiwick.drill.cluster import COUNTRIES
from bailiwick.drill.network import Unproven
from bailiwick.drill.scenario import Scenario, ask
from bailiwick.drill.units import Unit

_COMMAND_S = 30.0


def with_home(topology: str, country: str, nodes: list[str]) -> str:
    """The topology's text with a rule of its own for the country: these nodes, the home first."""
    names = json.dumps(nodes)
    own = re.compile(rf'(\[\[rules\]\]\nplaces = \["{country}"\]\nnodes = )\[[^\]]*\]')
    text, found = own.subn(rf"\g<1>{names}", topology)
    if found:
        return text
    rule = f'[[rules]]\nplaces = ["{country}"]\nnodes = {names}\nresidency = "prefer"\n'
    return f"{topology.rstrip()}\n\n{rule}"


class PlaceMoved(Scenario):
    """In-flight payments stay home, new ones follow; a repeated key goes to its earlier home."""

    name = "place-moved"
    about = "a node's place moves to another node by a new epoch, and back by a rollback"

    @property
    def _country(self) -> str:
        return COUNTRIES[self.victim]

    @property
    def _other(self) -> str:
        nodes = list(COUNTRIES)
        return nodes[(nodes.index(self.victim) + 1) % len(nodes)]

    async def inject(self) -> None:
        file = self.cluster.world / "topology.toml"
        self._before = file.read_text(encoding="utf-8")
        self._epoch = (await self._topology("history"))["epochs"][0]["epoch"]
        fresh = with_home(self._before, self._country, [self._other, self.victim])
        file.write_text(fresh, encoding="utf-8")
        await self._topology("publish", "--note", f"{self._country} to {self._other}")

    async def prove(self) -> None:
        await self._everywhere(self._epoch + 1, self._other)

    async def heal(self) -> None:
        await self._topology("rollback", str(self._epoch), "--note", "back again")

    async def prove_healed(self) -> None:
        await self._everywhere(self._epoch + 2, self.victim)

    async def _everywhere(self, epoch: int, home: str) -> None:
        """Every process has the epoch, and access places the country by it."""
        units = [*self.cluster.access.values(), *self.cluster.nodes.values()]
        for unit in units:
            await self.shown(f"{unit.name} has epoch {epoch}", partial(self._has, unit, epoch))
        for unit in self.cluster.access.values():
            fact = f"{unit.name} sends {self._country} to {home}"
            await self.shown(fact, partial(self._sends, unit, home))

    async def _has(self, unit: Unit, epoch: int) -> bool:
        path = "/usage" if unit in self.cluster.nodes.values() else "/readyz"
        return bool((await self._json(unit, "GET", path)).get("epoch", 0) >= epoch)

    async def _sends(self, unit: Unit, home: str) -> bool:
        form = f"amount=100&currency=eur&location[country]={self._country}"
        answer = await self._json(unit, "POST", "/v1/explain", form)
        return bool(answer.get("assignment", {}).get("name") == home)

    async def _json(self, unit: Unit, method: str, path: str, form: str = "") -> dict[str, Any]:
        assert self.cluster.merchant is not None
        try:
            answer = await ask(
                unit, method, path, form,
                kind="application/x-www-form-urlencoded", key=self.cluster.merchant.secret,
            )  # fmt: skip
            return msgspec.json.decode(answer.body, type=dict[str, Any])
        except (HopError, msgspec.DecodeError):
            return {}

    async def _topology(self, *arguments: str) -> dict[str, Any]:
        """Run one of the product's own commands. Raises Unproven with what it said."""
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-P", "-m", "bailiwick", "topology", *arguments, "--json"],
            capture_output=True,
            timeout=_COMMAND_S,
            env=self.cluster.operator(),
            check=False,
        )
        if done.returncode != 0:
            said = (done.stderr + done.stdout).decode(errors="replace").strip()[-600:]
            raise Unproven(f"{self.name}: topology {arguments[0]}: {said}")
        return msgspec.json.decode(done.stdout, type=dict[str, Any])
