"""The demo's nodes: those of the topology in force run, and new ones join while it runs.

Who joins asks by a file in `requests/`: the demo makes the database, and starts the process once
the topology has the node. A node that leaves the topology is stopped; its database stays, because
it holds the books of what was paid there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from bailiwick.topology.epochs import Epochs, world_in_force
from bailiwick.topology.snapshot import WorldError
from bailiwick.topology.topology import Topology
from bailiwick_lab.demo import world as demo_world
from bailiwick_lab.demo.regions import REGIONS, Region
from bailiwick_lab.demo.world import Ports, WorldProblem
from bailiwick_lab.servers.engines import EngineError
from bailiwick_lab.servers.joblog import JobLog
from bailiwick_lab.servers.supervisor import Database, Program, Supervisor, SupervisorError

LOOK_S: Final = 0.2
_FAULTS: Final = (EngineError, SupervisorError, WorldProblem, WorldError, OSError)


class JoinRequest(msgspec.Struct, frozen=True):
    """`requests/<node>.json`: make this node's database; its process will listen there."""

    node: str
    port: int


class DemoNodes:
    """The nodes of one demo and their databases.

    Args:
        command: the program and its arguments, for a node's settings.
        stages: of databases and of nodes.
    """

    def __init__(
        self,
        data: Path,
        ports: Ports,
        log: JobLog,
        supervisor: Supervisor,
        *,
        command: Callable[[Path], list[str]],
        environ: Callable[[], dict[str, str]],
        stages: tuple[int, int],
    ) -> None:
        self._data = data
        self._ports = ports
        self._log = log
        self._supervisor = supervisor
        self._command = command
        self._environ = environ
        self._stages = stages
        self._databases: dict[str, Database] = {}
        self._programs: dict[str, Program] = {}
        self._trust = data / demo_world.TRUST
        self._epochs = Epochs(data / "world", self._trust)
        self._stamp: tuple[int, ...] = ()
        self._topology = world_in_force(data / "world", self._trust).topology
        self._changed: Callable[[], None] = lambda: None

    @property
    def regions(self) -> tuple[Region, ...]:
        """Those that have, or had, a node here."""
        return tuple(region for region in REGIONS if region.name in self._ports.nodes)

    def add_databases(self) -> None:
        """Have the supervisor start them with its first stage."""
        for region in self.regions:
            self._supervisor.add(self._database(region), stage=self._stages[0])

    def add_programs(self) -> None:
        """The same for the nodes of the topology in force, unless they were adopted elsewhere.

        Raises SupervisorError.
        """
        for region in self.regions:
            node = self._topology.by_number.get(region.number)
            if node is not None and node.url == demo_world.url_of(region, self._ports):
                self._supervisor.add(self._program(region), stage=self._stages[1])

    def _database(self, region: Region) -> Database:
        database = Database(
            f"postgres {region.name}",
            self._data / "nodes" / region.name / "postgres",
            port=self._ports.postgres[region.name],
        )
        self._databases[region.name] = database
        return database

    def _program(self, region: Region) -> Program:
        server = self._databases[region.name].server
        if server is None:
            raise SupervisorError(f"the database of node {region.name} does not run")
        config = demo_world.write_node(
            self._data, region, len(self._ports.nodes), self._ports, server.dsn
        )
        program = Program(
            f"node {region.name}",
            self._command(config),
            ready=demo_world.local_url(self._ports.nodes[region.name]) + "/readyz",
            environ=self._environ(),
        )
        self._programs[region.name] = program
        return program

    # --- while it runs ------------------------------------------------------------------------

    async def tend(self, changed: Callable[[], None]) -> None:
        """Follow the topology and requests for ever; `changed` when `demo.json` has to."""
        self._changed = changed
        requests = self._data / "requests"
        while True:
            for file in sorted(requests.glob("*.json")):
                await self._join(file)
            try:
                await self._follow()
            except _FAULTS as error:
                self._log.line("demo", f"the topology is not followed: {error}", level="error")
            await asyncio.sleep(LOOK_S)

    async def _join(self, file: Path) -> None:
        """Make a database that was asked for; a refusal is left beside the request."""
        try:
            asked = msgspec.json.decode(file.read_bytes(), type=JoinRequest)
            region = demo_world.region_named(asked.node)
            if region.name not in self._ports.nodes:
                self._ports.nodes[region.name] = asked.port
                self._ports.postgres[region.name] = demo_world.free_port(self._ports.all())
                demo_world.write_ports(self._data, self._ports)
            if region.name not in self._databases:
                await self._supervisor.launch(self._database(region), stage=self._stages[0])
            self._changed()
        except (*_FAULTS, msgspec.DecodeError) as error:
            self._log.line("demo", f"{file.name}: {error}", level="error")
            demo_world.write(file.with_suffix(".error"), f"{error}\n")
        file.unlink(missing_ok=True)

    async def _follow(self) -> None:
        stamp = self._epochs.stamp()
        if stamp == self._stamp:
            return
        topology = world_in_force(self._data / "world", self._trust).topology
        for region in self.regions:
            runs = self._programs.get(region.name)
            wanted = region.number in topology.by_number
            if wanted and runs is None and region.name in self._databases:
                await self._supervisor.launch(self._program(region), stage=self._stages[1])
            elif runs is not None and not wanted:
                await self._supervisor.retire(self._programs.pop(region.name))
        self._stamp, self._topology = stamp, topology
        self._changed()

    # --- what is said of them -----------------------------------------------------------------

    def state(self) -> list[dict[str, Any]]:
        """What `demo.json` says."""
        homes = _homes(self._topology)
        return [self._state(region, homes.get(region.number, [])) for region in self.regions]

    def _state(self, region: Region, places: list[str]) -> dict[str, Any]:
        database = self._databases.get(region.name)
        server = database.server if database else None
        node = self._programs.get(region.name)
        return {
            "name": region.name,
            "number": region.number,
            "title": region.title,
            "url": demo_world.local_url(self._ports.nodes[region.name]),
            "pid": node.pid if node else None,
            "dsn": server.dsn if server else None,
            "admin_dsn": server.admin_dsn if server else None,
            "postgres_pid": database.pid if database else None,
            "config": str(self._data / "nodes" / region.name / "node.toml"),
            "jurisdictions": places,
        }


def _homes(topology: Topology) -> dict[int, list[str]]:
    """Node number -> the places whose home it is."""
    found: dict[int, list[str]] = {}
    for rule in topology.rules:
        if rule.takers:
            found.setdefault(rule.takers[0], []).extend(rule.places)
    return found
