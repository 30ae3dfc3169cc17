"""Nodes that pause, come and go by an operator's commands, under load."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bailiwick.control.toml_edit import node_added
from bailiwick_lab.demo import world as demo_world
from bailiwick_lab.drill.hosts.cluster import JOINER, Cluster
from bailiwick_lab.drill.scenarios.operated import Operated

_JOIN_POLL_S = 0.05


class NodeDrained(Operated):
    """New payments go elsewhere, what was begun ends, and the places come back."""

    name = "node-drained"
    about = "a node is drained, its places are served elsewhere by policy, and it takes them again"

    async def inject(self) -> None:
        self._next = self.next_home()
        self._done = await self.operate("node", "drain", self.victim, "--yes")

    async def prove(self) -> None:
        self.proofs.append(f"drained: {self._done['steps'][-1]} ({self._done['seconds']} s)")
        await self.everywhere(self._done["epoch"], self._next)

    async def heal(self) -> None:
        self._done = await self.operate("node", "drain", self.victim, "--undo", "--yes")

    async def prove_healed(self) -> None:
        await self.everywhere(self._done["epoch"], self.victim)


class NodeJoined(Operated):
    """A fourth node takes its places from another; later it is drained and removed."""

    name = "node-joined"
    about = "a node with an empty database joins by one command; it is drained, then removed"
    places = {JOINER: "KE"}  # noqa: RUF012 (the base class says that it is of the class)

    def __init__(self, cluster: Cluster, victim: str, seed: int = 0) -> None:
        super().__init__(cluster, JOINER, seed)

    async def inject(self) -> None:
        name, cluster = self.victim, self.cluster
        self._before = self.next_home()
        # A database and settings are there before a node joins: they are no part of its time.
        await cluster.add_database(name)
        config = cluster.write_config(name)
        topology = cluster.folder / "joined.toml"
        demo_world.write(topology, self._with_joiner())
        known = self._epochs()
        joining = asyncio.create_task(
            self.operate("node", "join", "--config", str(config),
                         "--topology", str(topology), "--yes")
        )  # fmt: skip
        try:
            # Another process writes the epoch: there is no event to wait for.
            while self._epochs() == known and not joining.done():  # noqa: ASYNC110
                await asyncio.sleep(_JOIN_POLL_S)
            # Its world folder is copied now: a process takes no part before it is announced.
            await cluster.add_node(name).start()
            self._done = await joining
        finally:
            joining.cancel()

    def _epochs(self) -> int:
        return sum(1 for _ in (self.cluster.world / "epochs").glob("*.json"))

    def _with_joiner(self) -> str:
        region = demo_world.region_named(self.victim)
        url = self.cluster.address(self.victim)
        node: dict[str, str | int] = {
            "number": region.number,
            "name": region.name,
            "url": url,
            "title": region.title,
        }

        def homes(places: Sequence[str]) -> bool:
            return all(place in region.places for place in places)

        text = (self.cluster.world / "topology.toml").read_text(encoding="utf-8")
        return node_added(text, node, homes)

    async def prove(self) -> None:
        canary = self._done["canary"]
        self.proofs.append(
            f"joined in {self._done['seconds']} s; its canary took {canary['milliseconds']} ms"
        )
        await self.everywhere(self._done["epoch"], self.victim)

    async def heal(self) -> None:
        self._done = await self.operate("node", "drain", self.victim, "--yes")

    async def prove_healed(self) -> None:
        await self.everywhere(self._done["epoch"], self._before)

    async def restore(self) -> None:
        """Removed when all is quiet: keys of its payments can no longer be asked for then."""
        done = await self.operate("node", "remove", self.victim, "--yes")
        self.proofs.append(f"removed: {done['steps'][0]}")
        await self.cluster.leave(self.victim).stop()
