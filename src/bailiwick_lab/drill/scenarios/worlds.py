"""Epochs published under load: a place that moves from one node to another and back."""

from __future__ import annotations

import json
import re

from bailiwick_lab.drill.hosts.cluster import COUNTRIES
from bailiwick_lab.drill.scenarios.operated import Operated


def with_home(topology: str, country: str, nodes: list[str]) -> str:
    """The topology's text with a rule of its own for the country: these nodes, the home first."""
    names = json.dumps(nodes)
    own = re.compile(rf'(\[\[rules\]\]\nplaces = \["{country}"\]\nnodes = )\[[^\]]*\]')
    text, found = own.subn(rf"\g<1>{names}", topology)
    if found:
        return text
    rule = f'[[rules]]\nplaces = ["{country}"]\nnodes = {names}\nresidency = "prefer"\n'
    return f"{topology.rstrip()}\n\n{rule}"


class PlaceMoved(Operated):
    """In-flight payments stay home, new ones follow; a repeated key goes to its earlier home."""

    name = "place-moved"
    about = "a node's place moves to another node by a new epoch, and back by a rollback"

    @property
    def _other(self) -> str:
        nodes = list(COUNTRIES)
        return nodes[(nodes.index(self.victim) + 1) % len(nodes)]

    async def inject(self) -> None:
        file = self.cluster.world / "topology.toml"
        self._before = file.read_text(encoding="utf-8")
        self._epoch = (await self.operate("topology", "history"))["epochs"][0]["epoch"]
        fresh = with_home(self._before, self.country, [self._other, self.victim])
        file.write_text(fresh, encoding="utf-8")
        await self.operate("topology", "publish", "--note", f"{self.country} to {self._other}")

    async def prove(self) -> None:
        await self.everywhere(self._epoch + 1, self._other)

    async def heal(self) -> None:
        await self.operate("topology", "rollback", str(self._epoch), "--note", "back again")

    async def prove_healed(self) -> None:
        await self.everywhere(self._epoch + 2, self.victim)
