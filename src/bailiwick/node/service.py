"""A node, assembled: what it is made of, how it starts, how it stops."""

import asyncio
import contextlib
import functools
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import structlog

from bailiwick import resources
from bailiwick.admission.load import Load
from bailiwick.delivery.deliverer import Deliverer
from bailiwick.delivery.outbox import Outbox
from bailiwick.delivery.relay import CONSUMER, Relay
from bailiwick.delivery.webhooks import Endpoints
from bailiwick.geo import atlas
from bailiwick.interlink.permissions import Permissions
from bailiwick.interlink.refusals import Refusals
from bailiwick.jurisdiction.home_history import HomeHistories
from bailiwick.node import assembly
from bailiwick.node.config import Loaded, callback_base, return_base
from bailiwick.orders.callbacks import Callbacks
from bailiwick.orders.machine import Machine
from bailiwick.orders.resolver import Resolver
from bailiwick.records.configurations import Configurations
from bailiwick.resources.events.shown import one
from bailiwick.resources.payments.rows import TABLE
from bailiwick.routing.gateways import Gateways
from bailiwick.runtime.loops import end, forever
from bailiwick.runtime.settings import SettingsError
from bailiwick.screening.screener import Screener
from bailiwick.screening.velocity import Velocity
from bailiwick.search.filler import Filler, SearchOutbox
from bailiwick.store.database import Store
from bailiwick.store.migrate import migrate
from bailiwick.topology.current import CurrentWorld
from bailiwick.topology.joining import join
from bailiwick.topology.snapshot import World
from bailiwick.wire.event_streams import Streams

if TYPE_CHECKING:
    from bailiwick.bus.client import Bus

WATCH_S = 1.0
CATCH_UP_S = 10.0
DELIVER_EVERY_S = 0.25
log = structlog.get_logger()


class Node:
    """One regional transaction node."""

    def __init__(self, loaded: Loaded, bus: "Bus | None" = None) -> None:
        settings = loaded.settings
        self.settings = settings
        self.number = settings.number
        self.atlas = atlas.load(Path(settings.mmdb) if settings.mmdb else None)
        self.current = CurrentWorld(loaded.world, self._acceptable, trust=loaded.world_trust)
        self.bus = bus
        self.feed = join(self.current, bus)
        self.name, self.private_addresses = settings.name, settings.webhook_private_addresses
        self.store = Store(settings.dsn, self.writing_epoch, assembly.lanes(), settings.pool_max)
        self.gateways = Gateways(
            settings.gateways,
            loaded.accounts,
            callback_base(settings),
            lambda: self.superseded_by is not None,
            loaded.secured,
            return_base(settings),
        )
        self._looked_at: World | None = None
        self._elsewhere: str | None = None
        self.endpoints = Endpoints()
        self.configurations = Configurations()
        self.everywhere: dict[str, Endpoints | Configurations] = {
            "webhook_endpoint": self.endpoints,
            "configuration": self.configurations,
        }
        self.assemble(self.gateways)
        self.deliverer = Deliverer(
            self.store,
            self.endpoints,
            functools.partial(one, self.machine.kinds, self.store, name="event"),
            private=self.private_addresses,
            every_s=DELIVER_EVERY_S,
        )
        begins, ends = (self.store.lanes[TABLE.create_lane], self.store.lanes[TABLE.move_lane])
        self.load = Load(self.number, settings.capacity, begins, ends, settings.queue_target_ms)
        self.refusals = Refusals(loaded.internal_secret)
        self.permissions = Permissions(resources.every())
        secret = loaded.internal_secret
        self.screener = Screener(Velocity(self.store, secret), loaded.scorer)
        self.home_histories = HomeHistories(self.atlas)
        self.expansion = assembly.expansion()
        self.streams = Streams()
        self.relay: Relay | None = None
        if bus is not None and settings.events:
            self.relay = Relay(
                self.number,
                Outbox(settings.dsn, CONSUMER),
                bus,
                loaded.internal_secret,
                self.writing_epoch,
                self.store.written,
            )
        self.filler = Filler(
            SearchOutbox(settings.dsn),
            assembly.search_fills(),
            self.writing_epoch,
            self.store.written,
        )
        self._tasks: list[asyncio.Task[None]] = []

    def assemble(self, gateways: Gateways) -> None:
        """Make what orders need, over these gateways."""
        settings = self.settings
        self.machine = Machine(
            self.number,
            self.store,
            gateways,
            self.endpoints,
            lambda: self.current.world,
            assembly.kinds(),
            settings.deadline_ms / 1000,
        )
        self.callbacks = Callbacks(self.machine)
        gateways.late = self.callbacks.late
        self.resolver = Resolver(self.machine, settings.resolve_every_ms / 1000)

    @property
    def world(self) -> World:
        """The World in force."""
        return self.current.world

    @property
    def superseded_by(self) -> str | None:
        """Where the topology says that this node is served, if not here."""
        world = self.current.world
        if world is not self._looked_at:
            own = self.settings.url.rstrip("/")
            node = world.topology.by_number[self.number]
            self._elsewhere = node.url if own and node.url != own else None
            self._looked_at = world
        return self._elsewhere

    def writing_epoch(self) -> int:
        """The epoch under which this process writes: 0, which no fence lets in, once another
        process serves this node."""
        return 0 if self.superseded_by is not None else self.world.epoch

    def _acceptable(self, world: World) -> str | None:
        if self.number not in world.topology.by_number:
            return f"topology.toml: nodes: this node, number {self.number}, is not among them"
        return world.topology.geo_problem(self.atlas.digest)

    async def start(self) -> None:
        """Migrate, connect the database and the gateways, and begin to look after open ends.

        Raises:
            OSError, asyncpg.PostgresError, MigrationError: the database cannot be used.
            SettingsError: the world here is older than the database's fence asks for.
        """
        connection = await asyncpg.connect(self.settings.dsn, timeout=10)
        try:
            for name in await migrate(connection, self.number):
                log.info("migrated", migration=name)
        finally:
            await connection.close()
        if self.feed is not None:
            await self.feed.start()
        await self.store.open()
        await self._catch_up()
        for each in self.everywhere.values():
            await each.load(self.store)
        await self._look()
        await self.gateways.connect()
        loops = (
            forever("resolver", self.resolver.step),
            self.deliverer.run(),
            self.filler.run(),
            forever("watch", self._watch),
            *(forever(name, step) for name, step in assembly.tasks(self.machine).items()),
            forever("velocity", self.screener.velocity.step),
            self.current.watch(),
        )
        self._tasks = [asyncio.create_task(each) for each in loops]
        if self.relay is not None:
            self._tasks.append(asyncio.create_task(self.relay.run()))

    async def stop(self) -> None:
        """Stop looking, then disconnect. Requests under way have ended by now."""
        await end(*self._tasks)
        if self.feed is not None:
            await self.feed.stop()
        if self.bus is not None:
            await self.bus.close()
        self.screener.close()
        await self.gateways.close()
        await self.store.close()

    async def _catch_up(self) -> None:
        """Wait until the world here is one with which this database may be written."""
        deadline = asyncio.get_running_loop().time() + CATCH_UP_S
        while (lowest := (await self.store.fence()).epoch) > self.world.epoch:
            if asyncio.get_running_loop().time() > deadline:
                raise SettingsError(
                    f"the database asks for epoch {lowest} or later, but the world here is at "
                    f"{self.world.epoch}; bring the newest epoch to {self.current.directory}"
                )
            await asyncio.sleep(0.1)
            await self.current.check()

    async def _watch(self) -> float:
        try:
            async with asyncio.timeout(WATCH_S * 3):
                await self._look()
                for each in self.everywhere.values():
                    await each.load(self.store)
        except BaseException:
            self.load.database_answers = False
            raise
        return WATCH_S

    async def _look(self) -> None:
        fence = await self.store.fence()
        self.load.superseded = self.superseded_by is not None
        self.load.draining = fence.draining
        self.load.fenced = fence.fenced
        self.load.database_answers = True

    def ready(self) -> list[str]:
        """Why the node cannot take payments now; empty when it can."""
        problems = []
        if not self.load.database_answers:
            problems.append("the database does not answer")
        if self.load.fenced:
            problems.append("the node is fenced")
        if self.superseded_by is not None:
            problems.append(f"another process serves this node, at {self.superseded_by}")
        if not any(gateway.usage == "open" for gateway in self.gateways.all()):
            problems.append("no gateway is open")
        return problems


@contextlib.asynccontextmanager
async def running(loaded: Loaded):  # type: ignore[no-untyped-def]
    """A started node, stopped at the end."""
    node = Node(loaded)
    await node.start()
    try:
        yield node
    finally:
        await node.stop()
