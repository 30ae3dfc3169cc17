"""The system of a drill: which process runs on which host, started and stopped as a whole."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import sys
from pathlib import Path
from typing import Final

from bailiwick.checker.places import NodePlace, Places
from bailiwick.cli import demo_broker, demo_world
from bailiwick.cli.demo_world import MerchantKeys, Ports, Region
from bailiwick.drill.network import Network
from bailiwick.drill.units import Pair, Unit
from bailiwick.shell.broker import Broker, BrokerSettings, ClusterPlace
from bailiwick.shell.joblog import JobLog
from bailiwick.shell.ports import free_port
from bailiwick.shell.supervisor import Program

NODES: Final = 3
ACCESSES: Final = ("access-1", "access-2")
BROKERS: Final = ("nats-1", "nats-2", "nats-3")
PROVIDERS: Final = "providers"
CLIENT: Final = "client"
COUNTRIES: Final = {"apac": "IN", "europe": "DE", "americas": "BR"}
"""Node -> a country of its places, where the load's payers are."""


def second(node: str) -> str:
    """The host of a node's standby."""
    return f"{node}-second"


def host_names() -> list[str]:
    """Every host but the one from which the drill is led."""
    nodes = [region.name for region in demo_world.regions(NODES)]
    return [*nodes, *map(second, nodes), *ACCESSES, *BROKERS, PROVIDERS, CLIENT]


class Cluster:
    """All processes of one drill, on the hosts of one network."""

    def __init__(self, folder: Path, network: Network, log: JobLog, *, replicate: bool) -> None:
        self.folder = folder
        self.network = network
        self.nodes: dict[str, Unit] = {}
        self.databases: dict[str, Pair] = {}
        self.access: dict[str, Unit] = {}
        self.brokers: dict[str, Unit] = {}
        self.sandbox: Unit | None = None
        self.merchant: MerchantKeys | None = None
        self.bank_key = secrets.token_hex(24)
        self._stores: dict[str, Path] = {}
        self._log = log
        self._replicate = replicate
        self._ports = _ports(network)

    @property
    def regions(self) -> tuple[Region, ...]:
        """The nodes' regions."""
        return demo_world.regions(NODES)

    async def start(self) -> None:
        """Start everything; return when everything answers.

        Raises EngineError, SupervisorError, BrokerError.
        """
        for region in self.regions:
            node = region.name
            self._ports.doors[node] = await self.network.door(node, self._ports.nodes[node])
        self.merchant = demo_world.write_world(self.folder, NODES, self._ports)[0]
        demo_broker.sign_world(self.folder)
        self._add_sandbox()
        self._add_brokers()
        await asyncio.gather(*(unit.start() for unit in self.units()))
        await self._start_databases()
        for region in self.regions:
            self._add_node(region)
        self._add_access()
        rest = [*self.nodes.values(), *self.access.values()]
        await asyncio.gather(*(unit.start() for unit in rest))
        await self.ready()

    async def _start_databases(self) -> None:
        for region in self.regions:
            name = region.name
            self.databases[name] = Pair(
                self.network, name, (name, second(name)), self.folder / "databases" / name,
                self._ports.postgres[name],
            )  # fmt: skip
        await asyncio.gather(
            *(pair.start(replicate=self._replicate) for pair in self.databases.values())
        )

    def units(self) -> list[Unit]:
        """Every program there is, whether it runs or not."""
        found = [self.sandbox] if self.sandbox is not None else []
        for group in (self.brokers, self.nodes, self.access):
            found += group.values()
        return found

    async def ready(self, timeout: float = 60.0) -> None:
        """Wait until every program answers. Raises SupervisorError."""
        for unit in self.units():
            await unit.until_ready(timeout)

    async def stop(self) -> None:
        """Stop everything, in reverse order."""
        for group in (self.access, self.nodes, self.brokers):
            await asyncio.gather(*(unit.stop() for unit in group.values()), return_exceptions=True)
        pairs = self.databases.values()
        await asyncio.gather(*(pair.stop() for pair in pairs), return_exceptions=True)
        if self.sandbox is not None:
            await self.sandbox.stop()

    def places(self) -> Places:
        """What the checker reads."""
        nodes = [
            NodePlace(
                region.name,
                self.databases[region.name].dsn,
                {each.name: each.name for each in region.providers},
            )
            for region in self.regions
        ]
        return Places(nodes, f"http://{self.bank_key}@{self._ports.address('sandbox')}/books")

    @property
    def world(self) -> Path:
        """The folder from which a person publishes; every host has a copy of its own."""
        return self.folder / "world"

    @property
    def nats(self) -> list[str]:
        """The brokers' addresses."""
        return [f"nats://{unit.address}:{unit.port}" for unit in self.brokers.values()]

    def operator(self) -> dict[str, str]:
        """The environment of a person's commands."""
        return {
            **os.environ,
            "BAILIWICK_WORLD": str(self.world),
            "BAILIWICK_WORLD_KEY": str(self.folder / "secrets" / "world.key"),
            "BAILIWICK_NATS": " ".join(self.nats),
        }

    def _environ(self, host: str) -> dict[str, str]:
        """A process's own world folder, and the way to the brokers."""
        world = self.folder / "hosts" / host / "world"
        shutil.copytree(self.world, world)
        return {
            "BAILIWICK_WORLD": str(world),
            "BAILIWICK_NATS": " ".join(self.nats),
            "PYTHONFAULTHANDLER": "1",
        }

    def repoint(self, node: str) -> None:
        """Write the address of the node's primary into its settings, for its next start."""
        region = next(each for each in self.regions if each.name == node)
        dsn = self.databases[node].dsn
        demo_world.write_node(self.folder, region, NODES, self._ports, dsn)

    def wipe(self, broker: str) -> None:
        """Delete what a stopped broker has stored."""
        shutil.rmtree(self._stores[broker], ignore_errors=True)

    def stored(self, broker: str) -> int:
        """How many files a broker has."""
        return sum(path.is_file() for path in self._stores[broker].rglob("*"))

    # --- what runs ------------------------------------------------------------------------

    def _unit(self, host: str, program: Program, port: int) -> Unit:
        return Unit(self.network, host, program, port=port, log=self._log)

    def _add_sandbox(self) -> None:
        listen = self._ports.address("sandbox")
        file = self.folder / "sandbox" / "sandbox.toml"
        nodes = [self.network.host(region.name).address for region in self.regions]
        # Off 127.0.0.1 the bank shows its books to those with its key alone, and it calls
        # nobody that it was not told of.
        server = f'[server]\nadmin_key = "{self.bank_key}"\ncallback_hosts = {nodes}\n'
        text = file.read_text(encoding="utf-8")
        demo_world.write(file, text.replace("[server]\n", server, 1))
        program = Program(
            "sandbox",
            [
                sys.executable, "-P", "-m", "bailiwick_sandbox",
                "--config", str(file), "--listen", listen,
            ],
            ready=f"http://{listen}/healthz",
        )  # fmt: skip
        self.sandbox = self._unit(PROVIDERS, program, self._ports.sandbox)

    def _add_brokers(self) -> None:
        clients, routes = free_port(self._ports.all()), free_port(self._ports.all())
        addresses = {name: self.network.host(name).address for name in BROKERS}
        for name, address in addresses.items():
            others = tuple(
                f"nats-route://{other}:{routes}" for other in addresses.values() if other != address
            )
            place = ClusterPlace(listen=f"{address}:{routes}", routes=others, name="drill")
            self._stores[name] = self.folder / "brokers" / name
            settings = BrokerSettings(
                name=name, folder=self._stores[name], port=clients, host=address, cluster=place
            )
            config = self.folder / "brokers" / f"{name}.conf"
            self.brokers[name] = self._unit(name, Broker(settings, config, name=name), clients)

    def _add_node(self, region: Region) -> None:
        name = region.name
        dsn = self.databases[name].dsn
        config = demo_world.write_node(self.folder, region, NODES, self._ports, dsn)
        program = Program(
            f"node {name}",
            _bailiwick("node", "--config", str(config)),
            ready=f"http://{self._ports.address(name)}/readyz",
            environ={
                **self._environ(name),
                "BAILIWICK_CRASH_POINTS": "1",
                "BAILIWICK_EVENTS": "true",
            },
        )
        self.nodes[name] = self._unit(name, program, self._ports.nodes[name])

    def _add_access(self) -> None:
        for name, port in zip(ACCESSES, self._ports.access, strict=True):
            listen = f"{self.network.host(name).address}:{port}"
            program = Program(
                name.replace("-", " "),
                _bailiwick(
                    "access",
                    "--listen", listen,
                    "--internal-secret-file", str(self.folder / "secrets" / "internal"),
                ),
                ready=f"http://{listen}/readyz",
                environ=self._environ(name),
            )  # fmt: skip
            self.access[name] = self._unit(name, program, port)


def _ports(network: Network) -> Ports:
    taken: list[int] = []
    names = [region.name for region in demo_world.regions(NODES)]

    def port() -> int:
        taken.append(free_port(taken))
        return taken[-1]

    return Ports(
        access=[port() for _ in ACCESSES],
        sandbox=port(),
        nodes={name: port() for name in names},
        postgres={name: port() for name in names},
        hosts={
            "sandbox": network.host(PROVIDERS).address,
            **{name: network.host(name).address for name in names},
        },
    )


def _bailiwick(*arguments: str) -> list[str]:
    # -P: a folder called bailiwick in the current directory is not our package.
    return [sys.executable, "-P", "-m", "bailiwick", *arguments]
