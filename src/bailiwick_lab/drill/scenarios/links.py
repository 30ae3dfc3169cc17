"""Lines between access and a node that lose what is sent, in both directions or in one."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from bailiwick_lab.drill.hosts.cluster import ACCESSES
from bailiwick_lab.drill.scenario import Scenario, refuted


class Partition(Scenario):
    """What access and one node send each other is lost, in silence."""

    ways: ClassVar[tuple[str, ...]]

    async def inject(self) -> None:
        for source, target in self._cut():
            await self.cluster.network.cut(source, target)

    def _cut(self) -> list[tuple[str, str]]:
        found = []
        for access in ACCESSES:
            if "to-node" in self.ways:
                found.append((access, self.node.host))
            if "to-access" in self.ways:
                found.append((self.node.host, access))
        return found

    def _open(self) -> list[tuple[str, str]]:
        """Directions that must not be touched, where the network can tell them apart."""
        network = self.cluster.network
        if network.mode == "loopback":
            return []
        host = self.node.host
        both = [pair for access in ACCESSES for pair in ((access, host), (host, access))]
        beside = [("control", host), (host, "control"), ("client", ACCESSES[0])]
        return [pair for pair in both if pair not in self._cut()] + beside

    async def prove(self) -> None:
        await self._prove(lost=self._cut(), through=self._open())

    async def heal(self) -> None:
        await self.cluster.network.mend()

    async def prove_healed(self) -> None:
        await self._prove(lost=[], through=[*self._cut(), *self._open()])

    async def _prove(self, lost: list[tuple[str, str]], through: list[tuple[str, str]]) -> None:
        network = self.cluster.network
        for source, target in lost:
            await self.shown(f"{source} -> {target}: lost", refuted(network.passes, source, target))
        for source, target in through:
            await self.shown(
                f"{source} -> {target}: arrives", partial(network.passes, source, target)
            )


class PartitionBoth(Partition):
    """Both directions."""

    name = "partition"
    about = "access and a node do not reach each other"
    ways = ("to-node", "to-access")


class PartitionToNode(Partition):
    """Requests are lost."""

    name = "partition-to-node"
    about = "what access sends to a node is lost; the other direction works"
    ways = ("to-node",)


class PartitionToAccess(Partition):
    """Answers are lost: the node does the work and nobody hears of it."""

    name = "partition-to-access"
    about = "what a node answers to access is lost; the other direction works"
    ways = ("to-access",)
