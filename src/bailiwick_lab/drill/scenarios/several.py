"""Faults that come together: every node fails in its own way, and something in front of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Final

from bailiwick_lab.drill.hosts.cluster import COUNTRIES, Cluster
from bailiwick_lab.drill.hosts.processes import LEASE_S, AccessKilled, NodeKilled, frozen
from bailiwick_lab.drill.scenario import Scenario
from bailiwick_lab.drill.scenarios.links import PartitionBoth, PartitionToAccess, PartitionToNode
from bailiwick_lab.drill.scenarios.stores import BrokersDown, DatabaseCrashed

_APART_S: Final = 0.5
_PARTITIONS: Final[tuple[type[Scenario], ...]] = (PartitionBoth, PartitionToNode, PartitionToAccess)
_FREEZES: Final = tuple(
    frozen(point, "sale")
    for point in ("create.committed", "call.before", "call.answered", "settle.before")
)
_FRONT: Final[tuple[type[Scenario], ...]] = (AccessKilled, BrokersDown)


class SeveralAtOnce(Scenario):
    """What each scenario shows alone must hold for all together; which they are, the seed says."""

    name = "several-at-once"
    about = "all nodes fail at once, each in another way, and an access process or NATS with them"
    kinds = ("sale", "captured", "pending")
    hold_least_s = LEASE_S + 1.5

    def __init__(self, cluster: Cluster, victim: str, seed: int = 0) -> None:
        super().__init__(cluster, victim, seed)
        self._chance = random.Random(seed)
        nodes = [victim, *(name for name in COUNTRIES if name != victim)]
        drawn = drawn_faults(self._chance, len(nodes))
        self._parts = [kind(cluster, node) for kind, node in zip(drawn, nodes, strict=True)]
        self._parts.append(self._chance.choice(_FRONT)(cluster, victim))
        for part in self._parts:
            part.proofs = self.proofs

    async def inject(self) -> None:
        for part in self._in_some_order():
            await part.inject()
            await asyncio.sleep(self._chance.uniform(0, _APART_S))

    async def prove(self) -> None:
        for part in self._parts:
            await part.prove()

    async def heal(self) -> None:
        for part in self._in_some_order():
            await part.heal()
            await asyncio.sleep(self._chance.uniform(0, _APART_S))

    async def prove_healed(self) -> None:
        for part in self._parts:
            await part.prove_healed()

    def _in_some_order(self) -> Sequence[Scenario]:
        return self._chance.sample(self._parts, len(self._parts))


def drawn_faults(chance: random.Random, nodes: int) -> list[type[Scenario]]:
    """Another fault for each node."""
    faults: list[type[Scenario]] = [
        NodeKilled,
        DatabaseCrashed,
        chance.choice(_PARTITIONS),
        chance.choice(_FREEZES),
    ]
    return chance.sample(faults, nodes)
