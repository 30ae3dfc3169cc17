"""Brokers that go down or lose their disks, databases that crash or are lost."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import ClassVar

from bailiwick.base import events
from bailiwick.bus.base import BusError
from bailiwick.bus.client import Bus
from bailiwick.topology.feed import newest
from bailiwick_lab.drill.hosts.cluster import BROKERS
from bailiwick_lab.drill.hosts.network import Unproven
from bailiwick_lab.drill.scenario import Scenario, refuted


class Brokers(Scenario):
    """NATS carries and is never the truth: payments go on."""

    downed: ClassVar[tuple[str, ...]]

    async def inject(self) -> None:
        await asyncio.gather(*(self.cluster.brokers[name].kill() for name in self.downed))

    async def prove(self) -> None:
        for name in self.downed:
            unit = self.cluster.brokers[name]
            await self.shown(f"{name} is closed", refuted(unit.accepts))

    async def heal(self) -> None:
        await asyncio.gather(*(self.cluster.brokers[name].start() for name in self.downed))

    async def prove_healed(self) -> None:
        await self.shown("the brokers have the world and a stream for events", self._whole)

    async def _whole(self) -> bool:
        """After a wipe, only the processes can have given them both."""
        bus = Bus(self.cluster.nats, "drill")
        try:
            if not await bus.start(wait_s=2.0) or await newest(bus) is None:
                return False
            return await bus.state(events.STREAM) is not None
        except BusError:
            return False
        finally:
            await bus.close()


class BrokerDown(Brokers):
    """A quorum is left."""

    name = "nats-one-down"
    about = "one of three NATS servers is killed and started again"
    downed = BROKERS[:1]


class BrokersDown(Brokers):
    """Nothing is left."""

    name = "nats-down"
    about = "all NATS servers are killed and started again"
    downed = BROKERS


class BrokersWiped(Brokers):
    """All streams are gone."""

    name = "nats-wiped"
    about = "all NATS servers are killed, their disks emptied, and they are started again"
    downed = BROKERS

    async def inject(self) -> None:
        await super().inject()
        for name in BROKERS:
            if not self.cluster.stored(name):
                raise Unproven(f"{self.name}: {name} had stored nothing: there is nothing to wipe")
            self.cluster.wipe(name)

    async def prove(self) -> None:
        await super().prove()
        for name in BROKERS:
            await self.shown(f"{name} has an empty disk", partial(self._empty, name))

    async def _empty(self, name: str) -> bool:
        return self.cluster.stored(name) == 0


class DatabaseCrashed(Scenario):
    """Stopped as by a power cut; it recovers from its log."""

    name = "postgres-crashed"
    about = "a node's PostgreSQL is stopped hard and started again"

    async def inject(self) -> None:
        await self.database.crash()

    async def prove(self) -> None:
        await self.shown(f"the database of {self.victim} is closed", refuted(self.database.accepts))

    async def heal(self) -> None:
        await self.database.restart()

    async def prove_healed(self) -> None:
        await self.shown(f"the database of {self.victim} takes connections", self.database.accepts)


class StandbyPromoted(DatabaseCrashed):
    """The primary never comes back; nothing acknowledged may be missing."""

    name = "standby-promoted"
    about = "a node's PostgreSQL is lost, its standby is promoted and the node pointed at it"

    async def heal(self) -> None:
        await self.database.promote()
        self.cluster.repoint(self.victim)
        await self.node.kill()
        await self.node.start()

    async def restore(self) -> None:
        await self.database.rebuild()
