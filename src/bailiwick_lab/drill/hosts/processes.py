"""Processes that are killed, and nodes that stand still past their lease."""

from __future__ import annotations

from typing import ClassVar, Final

from bailiwick.access.nodes.forward import HopError
from bailiwick_lab.drill.hosts.cluster import ACCESSES
from bailiwick_lab.drill.hosts.network import Unproven
from bailiwick_lab.drill.hosts.units import Unit
from bailiwick_lab.drill.scenario import Scenario, ask

LEASE_S: Final = 5.0
"""How long after its commit an attempt may still be sent: the design's L."""


class NodeKilled(Scenario):
    """SIGKILL, and started again after a while."""

    name = "node-killed"
    about = "a node's process is killed and started again"

    async def inject(self) -> None:
        await self.node.kill()

    async def prove(self) -> None:
        await self.shown(f"node {self.victim} has no process and its port is closed", self._dead)

    async def _dead(self) -> bool:
        return self.node.pid is None and not await self.node.accepts()

    async def heal(self) -> None:
        await self.node.start()


class AccessKilled(Scenario):
    """Clients go on over the other one."""

    name = "access-killed"
    about = "one of two access processes is killed and started again"

    @property
    def _access(self) -> Unit:
        return self.cluster.access[ACCESSES[0]]

    async def inject(self) -> None:
        await self._access.kill()

    async def prove(self) -> None:
        await self.shown("access 1 has no process and its port is closed", self._dead)

    async def _dead(self) -> bool:
        return self._access.pid is None and not await self._access.accepts()

    async def heal(self) -> None:
        await self._access.start()


async def freeze_at(node: Unit, point: str) -> None:
    """Have a node stand still as soon as it comes to a point of the code. Raises Unproven."""
    form = f"point={point}&how=freeze"
    try:
        answer = await ask(
            node, "POST", "/internal/crash", form, kind="application/x-www-form-urlencoded"
        )
    except HopError:
        if node.frozen:  # a payment under way came to the point before this answer was written
            return
        raise
    if answer.status != 200:
        raise Unproven(f"{node.name} does not arm {point}: {answer.status}")


class NodeFrozen(Scenario):
    """SIGSTOP from within, at a named point of the code; woken when its permits have run out."""

    point: ClassVar[str]
    hold_least_s = LEASE_S + 1.5

    async def inject(self) -> None:
        if self.point.startswith("resolve."):
            # A callback would end the attempt before the resolver looks at it.
            await self._sandbox("POST", '{"operation": "callback", "kind": "callback_drop"}')
        await freeze_at(self.node, self.point)

    async def _sandbox(self, method: str, body: str = "") -> None:
        sandbox = self.cluster.sandbox
        assert sandbox is not None
        answer = await ask(
            sandbox, method, "/faults", body, kind="application/json", key=self.cluster.bank_key
        )
        if answer.status >= 300:
            raise Unproven(f"{self.name}: the sandbox refuses the fault: {answer.status}")

    async def prove(self) -> None:
        await self.shown(f"node {self.victim} stands still at {self.point}", self._still)

    async def _still(self) -> bool:
        return self.node.frozen and not await self.node.answers()

    async def heal(self) -> None:
        if not self.node.frozen:
            raise Unproven(f"{self.name}: node {self.victim} did not stay frozen")
        if self.point.startswith("resolve."):
            await self._sandbox("DELETE")
        self.node.wake()

    async def prove_healed(self) -> None:
        await self.shown(f"node {self.victim} runs on", self.node.answers)


FREEZE_POINTS: Final = {
    "velocity.counted": "sale",
    "create.before": "sale",
    "create.committed": "sale",
    "call.before": "sale",
    "call.answered": "sale",
    "settle.before": "sale",
    "settle.committed": "sale",
    "next.permitted": "forgone",
    "begin.before": "captured",
    "begin.committed": "captured",
    "resolve.asked": "unknown",
    "resolve.settled": "unknown",
    "replay.permitted": "replayed",
    "callback.claimed": "pending",
    "callback.settled": "pending",
    "dispute.booked": "disputed",
    "relay.acked": "sale",
}
"""Crash point -> the kind of payment that comes to it."""


def frozen(at: str, kind: str) -> type[Scenario]:
    class Frozen(NodeFrozen):
        name = f"node-frozen-{at.replace('.', '-')}"
        about = f"a node is frozen at {at}, past its lease, and woken"
        # So few of failing ones that they do not close the gateways, for this or the next scenario.
        kinds = {
            "sale": ("sale",),
            "unknown": ("sale", "sale", kind),
            "replayed": ("sale", "sale", kind),
        }.get(kind, ("sale", kind))
        point = at

    return Frozen
