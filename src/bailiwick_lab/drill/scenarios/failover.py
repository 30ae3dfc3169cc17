"""Nodes whose host is lost: fenced, then adopted elsewhere or evacuated; old processes wake."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from bailiwick_lab.demo import world as demo_world
from bailiwick_lab.drill.hosts.network import Unproven
from bailiwick_lab.drill.hosts.processes import freeze_at
from bailiwick_lab.drill.hosts.units import Unit
from bailiwick_lab.drill.scenario import ask, refuted
from bailiwick_lab.drill.scenarios.operated import Operated

ADOPTED_MOST_S = 30.0
"""The longest time without a success from the loss of a host on, the drill's holding included."""
_ZOMBIE_S = 3.0
_PERMITTED = "call.before"
"""Where the old process stands still: it may send one request, and has not."""


class HostLost(Operated):
    """The node's process stands still with a permit in its hand, as on a host that hangs."""

    async def stand_still(self) -> None:
        """Freeze the victim's process, and show it."""
        self.old: Unit = self.node
        await freeze_at(self.old, _PERMITTED)
        await self.shown(f"node {self.victim} stands still at {_PERMITTED}", self._still)

    async def _still(self) -> bool:
        return self.old.frozen and not await self.old.answers()

    async def wake(self) -> None:
        """Let the old process go on, as a zombie. Raises Unproven if it did not stand still."""
        if not self.old.frozen:
            raise Unproven(f"{self.name}: node {self.victim} did not stay frozen")
        self.old.wake()
        await self.shown(f"the old process of {self.victim} runs again", self._speaks)

    async def _speaks(self) -> bool:
        return bool(await self.of_old())

    async def of_old(self) -> dict[str, Any]:
        """What the old process says of itself."""
        return await self.told(self.old, "GET", "/readyz")

    async def calls(self) -> int:
        """How many requests the victim's providers have had so far, look-ups too."""
        sandbox = self.cluster.sandbox
        assert sandbox is not None
        total = 0
        for provider in demo_world.region_named(self.victim).providers:
            path = f"/books?provider={provider.name}"
            answer = await ask(sandbox, "GET", path, key=self.cluster.bank_key)
            total += sum(msgspec.json.decode(answer.body)["calls"][provider.name].values())
        return total


class NodeAdopted(HostLost):
    """The node's number goes on at its standby's host; nothing acknowledged may be missing."""

    name = "node-adopted"
    about = (
        "a node's host is lost; its standby is promoted and fenced, and the node is adopted there"
    )
    gap_most_s = ADOPTED_MOST_S

    async def inject(self) -> None:
        await self.stand_still()
        await self.database.crash()

    async def prove(self) -> None:
        await self.shown(f"the database of {self.victim} is closed", refuted(self.database.accepts))

    async def heal(self) -> None:
        name, cluster, pair = self.victim, self.cluster, self.database
        fenced = await self.operate("node", "fence", name, "--promote", "--yes")
        if not fenced["promoted"]:
            raise Unproven(f"{self.name}: the fence found a primary that was to be lost")
        pair.promoted()
        # After an earlier promotion, the standby may stand where the lost process does.
        host = next(each for each in pair.hosts if each != self.old.host)
        config = cluster.folder / "nodes" / host / f"{name}.toml"
        self._done = await self.operate(
            "node", "adopt", name, "--dsn", pair.dsn, "--host-stopped", "--yes",
            "--url", await cluster.network.door(host, self.old.port), "--config-out", str(config),
            "--listen", f"{cluster.network.host(host).address}:{self.old.port}",
        )  # fmt: skip
        unit = cluster.add_node(name, host, config)
        await unit.start()
        await unit.until_ready()
        self.proofs.append(f"fenced in {fenced['seconds']} s, adopted in {self._done['seconds']} s")

    async def prove_healed(self) -> None:
        await self.everywhere(self._done["epoch"], self.victim)
        await self.wake()
        await self.shown(f"the old process of {self.victim} sees another serve", self._superseded)

    async def _superseded(self) -> bool:
        return "another process serves this node" in str((await self.of_old()).get("problems"))

    async def restore(self) -> None:
        await self.old.kill()
        await self.database.rebuild()


class NodeEvacuated(HostLost):
    """Its places are served without its database; in-doubt payments wait for its return."""

    name = "node-evacuated"
    about = "a node is fenced and evacuated, its old process wakes as a zombie, and it returns"
    # Keys of one-shot payments are of unknown age to those who cannot ask: they wait for the
    # return. Payments that are created first and then confirmed do not.
    kinds = ("confirmed", "sale")

    async def inject(self) -> None:
        self._next = self.next_home()
        await self.stand_still()
        await self.operate("node", "fence", self.victim, "--yes")
        self._before = await self.calls()
        self._done = await self.operate("node", "evacuate", self.victim, "--host-stopped", "--yes")

    async def prove(self) -> None:
        await self.everywhere(self._done["epoch"], self._next)

    async def heal(self) -> None:
        await self.wake()
        await asyncio.sleep(_ZOMBIE_S)
        if (made := await self.calls()) != self._before:
            raise Unproven(f"{self.name}: the zombie made {made - self._before} provider calls")
        self.proofs.append(f"providers of {self.victim} heard nothing since the fence")
        self._done = await self.operate("node", "return", self.victim, "--yes")

    async def prove_healed(self) -> None:
        await self.everywhere(self._done["epoch"], self.victim)
