"""What the routes of one access process share."""

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from bailiwick import resources
from bailiwick.access.fanout.reserve import PAGES_BYTES, Reserve
from bailiwick.access.metrics import Metrics
from bailiwick.access.nodes.admission_batcher import AdmissionBatcher
from bailiwick.access.nodes.forward import HopLimits, NodeClient
from bailiwick.access.nodes.node_monitor import NodeMonitor
from bailiwick.access.peers.key_homes import KeyHomes
from bailiwick.access.rates import Rates
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import is_id, node_of
from bailiwick.geo import atlas as atlas_module
from bailiwick.geo.atlas import Atlas
from bailiwick.interlink.permissions import Permissions
from bailiwick.interlink.regional import Region
from bailiwick.jurisdiction.home_history import HomeHistories
from bailiwick.runtime.tls import Outgoing
from bailiwick.topology.current import CurrentWorld
from bailiwick.topology.joining import join
from bailiwick.topology.snapshot import World
from bailiwick.topology.topology import Node
from bailiwick.wire.event_streams import Streams

if TYPE_CHECKING:
    from bailiwick.access.peers.gossip import Gossip
    from bailiwick.bus.client import Bus


class Front:
    """World, node clients, usage board and metrics.

    Args:
        directory: the world's files.
        internal_secret: the secret that access and nodes share.
        region: name of the node whose region this process stands in; places with strict
            residency elsewhere are turned away. None: all places are served.
        ip_file: an operator's MaxMind DB file.
        rate_per_second, public_rate_per_second: see ``Rates``.
        tls: what nodes are shown and held against.
        trust: the file of the keys that may sign the world; None: the one in ``directory``.
        bus: brings new epochs; closed at the end.

    Attributes:
        clients: the connections to each node of the world in use, by number.
        key_homes: where recent idempotency keys were sent. gossip: tells the region's peers of
            them, and of what rates were spent; None without a broker.

    Raises:
        WorldError: no usable world.
    """

    def __init__(
        self,
        directory: Path,
        internal_secret: bytes,
        *,
        region: str | None = None,
        ip_file: Path | None = None,
        limits: HopLimits | None = None,
        rate_per_second: float = 0.0,
        public_rate_per_second: float = 0.0,
        atlas: Atlas | None = None,
        tls: Outgoing | None = None,
        trust: Path | None = None,
        bus: "Bus | None" = None,
    ) -> None:
        self.atlas = atlas or atlas_module.load(ip_file)
        self.home_histories = HomeHistories(self.atlas)
        self.region = None if region is None else Region(region)
        self.internal_secret = internal_secret
        self.permissions = Permissions(resources.every())
        self.rates = Rates(rate_per_second, public_rate_per_second)
        self.pages = Reserve(PAGES_BYTES)
        self.streams = Streams()
        self._limits = limits or HopLimits()
        self._tls = tls
        self.current = CurrentWorld(directory, self._problem_with, trust=trust)
        self.world: World = self.current.world
        self.bus = bus
        self.feed = join(self.current, bus)
        self.key_homes = KeyHomes()
        self.gossip = None if bus is None else _gossip(self, bus, region)
        self.clients: dict[int, NodeClient] = {}
        self.node_monitor = NodeMonitor({}, tls)
        self._admission_batchers: dict[int, tuple[str, AdmissionBatcher]] = {}
        self.metrics = Metrics(
            self.verdicts_by_name,
            self.current.freshness,
            self.changes_by_name,
            self.clocks_by_name,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._checks: set[asyncio.Task[bool]] = set()
        self._use(self.world)
        self.current.on_change(self._use)

    def _problem_with(self, world: World) -> str | None:
        region = self.region
        if region is not None and world.topology.node_named(region.name) is None:
            names = ", ".join(node.name for node in world.topology.nodes)
            return f"no node is named '{region.name}', this process's region; known: {names}"
        return world.topology.geo_problem(self.atlas.digest)

    def _use(self, world: World) -> None:
        self.world = world
        self.epoch_line = b"bailiwick-epoch: %d\r\n" % world.epoch
        self.region_line = b"" if self.region is None else self.region.line(world.topology)
        urls = {node.number: node.url for node in world.topology.nodes}
        for number, client in list(self.clients.items()):
            if urls.get(number) != client.url:
                del self.clients[number]
                client.retire()
        for number, url in urls.items():
            if number not in self.clients:
                self.clients[number] = NodeClient(url, self._limits, tls=self._tls)
        self.node_monitor.set_nodes(urls, world.topology.thresholds)

    def admission_batcher(self, node: Node) -> AdmissionBatcher:
        """Where a node is asked about keys alone."""
        known = self._admission_batchers.get(node.number)
        if known is None or known[0] != node.url:
            if known is not None:
                known[1].close()
            made = AdmissionBatcher(
                node.number,
                lambda limits: NodeClient(node.url, limits, tls=self._tls),
                self.internal_secret,
                lambda raw: self.node_monitor.observe(node.number, raw),
                lambda: self.node_monitor.node_clock_ms(node.number),
            )
            known = self._admission_batchers[node.number] = (node.url, made)
        return known[1]

    def node_for(self, identifier: str, prefix: str, kind: str, *, param: str = "id") -> Node:
        """The node that an object lives on, by its id alone; ``param``: where the id stood. Raises
        ApiError (404)."""
        known = is_id(identifier, prefix)
        node = self.world.topology.by_number.get(node_of(identifier)) if known else None
        if node is None:
            raise ApiError.missing(kind, identifier, param=param)
        return node

    def verdicts_by_name(self) -> dict[str, str]:
        """Usage verdict by node name."""
        topology = self.world.topology
        found = self.node_monitor.verdicts()
        return {node.name: found.get(node.number, "stale") for node in topology.nodes}

    def clocks_by_name(self) -> dict[str, int]:
        """How many milliseconds each node's clock is ahead of ours, by name."""
        ahead = self.node_monitor.clocks_ahead_ms()
        nodes = self.world.topology.nodes
        return {node.name: ahead[node.number] for node in nodes if node.number in ahead}

    def changes_by_name(self) -> dict[tuple[str, str], int]:
        """How often each node's usage state became which, by name and state."""
        watches = self.node_monitor.watches()
        return {
            (node.name, state): count
            for node in self.world.topology.nodes
            if node.number in watches
            for state, count in watches[node.number].history.counts.items()
        }

    def suspect_world(self) -> None:
        """A node knows another world: look at the files at once."""
        task = asyncio.get_running_loop().create_task(self.current.check())
        self._checks.add(task)
        task.add_done_callback(self._checks.discard)

    def reload(self) -> None:
        """Read the world's files again, whether they look changed or not (SIGHUP)."""
        task = asyncio.get_running_loop().create_task(self.current.check(force=True))
        self._checks.add(task)
        task.add_done_callback(self._checks.discard)

    async def start(self) -> None:
        """Ask the nodes once, then keep asking and keep watching the world's files."""
        from bailiwick.access.fanout import copies  # it stands on this module

        if self.feed is not None:
            await self.feed.start()
        if self.gossip is not None:
            await self.gossip.start()
        await self.node_monitor.ask_all()
        seconds = self.world.topology.thresholds.report_every_ms / 1000
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self.node_monitor.run(seconds)),
            loop.create_task(self.current.watch()),
            loop.create_task(copies.run(self)),
        ]

    async def stop(self) -> None:
        """Stop asking and close the connections."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for client in self.clients.values():
            client.close()
        for _, admission_batcher in self._admission_batchers.values():
            admission_batcher.close()
        self.node_monitor.close()
        if self.gossip is not None:
            await self.gossip.stop()
        if self.feed is not None:
            await self.feed.stop()
        if self.bus is not None:
            await self.bus.close()


def _gossip(front: Front, bus: "Bus", region: str | None) -> "Gossip":
    from bailiwick.access.peers.gossip import Gossip

    return Gossip(bus, front.internal_secret, region or "", front.key_homes, front.rates)
