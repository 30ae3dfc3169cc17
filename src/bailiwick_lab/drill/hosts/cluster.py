"""The system of a drill: which process runs on which host, started and stopped as a whole."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bailiwick.checker.places import NodePlace, Places
from bailiwick.control.toml_edit import top_set
from bailiwick_lab.demo import broker as demo_broker
from bailiwick_lab.demo import world as demo_world
from bailiwick_lab.demo.world import MerchantKeys, Ports, Region
from bailiwick_lab.drill.hosts.network import Network
from bailiwick_lab.drill.hosts.units import Pair, Unit
from bailiwick_lab.servers.broker import Broker, BrokerSettings, ClusterPlace
from bailiwick_lab.servers.joblog import JobLog
from bailiwick_lab.servers.ports import free_port
from bailiwick_lab.servers.supervisor import Program

NODES: Final = 3
ACCESSES: Final = ("access-1", "access-2")
BROKERS: Final = ("nats-1", "nats-2", "nats-3")
PROVIDERS: Final = "providers"
CLIENT: Final = "client"
COUNTRIES: Final = {"apac": "IN", "europe": "DE", "americas": "BR"}
"""Node -> a country of its places, where the load's payers are."""
JOINER: Final = "africa"
"""The node that is not there at first and joins."""


def second(node: str) -> str:
    """The host of a node's standby."""
    return f"{node}-second"


def host_names() -> list[str]:
    """Every host but the one from which the drill is led."""
    nodes = [region.name for region in demo_world.regions(NODES)]
    return [*nodes, *map(second, nodes), JOINER, *ACCESSES, *BROKERS, PROVIDERS, CLIENT]


class Cluster:
    """All processes of one drill, on the hosts of one network."""

    def __init__(self, folder: Path, network: Network, log: JobLog, *, replicate: bool) -> None:
        self.folder = folder
        self.network = network
        self.nodes: dict[str, Unit] = {}
        self.databases: dict[str, Pair] = {}
        self.access: dict[str, Unit] = {}
        self.brokers: dict[str, Unit] = {}
        self.configs: dict[str, Path] = {}
        self.sandbox: Unit | None = None
        self.merchant: MerchantKeys | None = None
        self.bank_key = secrets.token_hex(24)
        self._stores: dict[str, Path] = {}
        self._superseded: list[Unit] = []
        self._log = log
        self._replicate = replicate
        self._ports = _ports(network)

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions of the nodes that are there from the beginning."""
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
            self.add_node(region.name)
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

    async def ready(self, timeout: float = 180.0) -> None:
        """Wait until every program answers. Raises SupervisorError."""
        for unit in self.units():
            await unit.until_ready(timeout)

    async def stop(self) -> None:
        """Stop everything, in reverse order."""
        nodes = [*self.nodes.values(), *self._superseded]
        for group in (self.access.values(), nodes, self.brokers.values()):
            await asyncio.gather(*(unit.stop() for unit in group), return_exceptions=True)
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
            for region in map(demo_world.region_named, self.databases)
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
            "BAILIWICK_FLEET": str(self._fleet()),
        }

    def _fleet(self) -> Path:
        """Where the operator's commands find nodes and databases, as it is now."""
        lines = {
            "world": str(self.world),
            "world_key": str(self.folder / "secrets" / "world.key"),
            "internal_secret_file": str(self.folder / "secrets" / "internal"),
            "nats": self.nats,
        }
        tables = []
        for name, pair in self.databases.items():
            entry = {"name": name, "dsn": pair.dsn, "config": str(self.configs.get(name, ""))}
            if pair.standby is not None:
                entry["standby_dsn"] = pair.standby.admin_dsn
            tables += ["", "[[nodes]]", *_toml(entry)]
        file = self.folder / "fleet.toml"
        demo_world.write(file, "\n".join([*_toml(lines), *tables]) + "\n")
        return file

    def _environ(self, host: str) -> dict[str, str]:
        """A process's own world folder, and the way to the brokers."""
        world = self.folder / "hosts" / host / "world"
        shutil.copytree(
            self.world, world, dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("*.new"),  # gone before it is copied
        )  # fmt: skip
        return {
            "BAILIWICK_WORLD": str(world),
            "BAILIWICK_WORLD_TRUST": str(self.folder / demo_world.TRUST),
            "BAILIWICK_NATS": " ".join(self.nats),
            "PYTHONFAULTHANDLER": "1",
        }

    def repoint(self, node: str) -> None:
        """Write the address of the node's primary into its settings, for its next start."""
        file = self.configs[node]
        text = file.read_text(encoding="utf-8")
        demo_world.write(file, top_set(text, dsn=self.databases[node].dsn))

    def wipe(self, broker: str) -> None:
        """Delete what a stopped broker has stored."""
        shutil.rmtree(self._stores[broker], ignore_errors=True)

    def stored(self, broker: str) -> int:
        """How many files a broker has."""
        return sum(path.is_file() for path in self._stores[broker].rglob("*"))

    # --- what runs ------------------------------------------------------------------------

    def _unit(self, host: str, program: Program, port: int, status_port: int = 0) -> Unit:
        return Unit(self.network, host, program, port=port, status_port=status_port, log=self._log)

    def _add_sandbox(self) -> None:
        listen = self._ports.address("sandbox")
        file = self.folder / "sandbox" / "sandbox.toml"
        names = [region.name for region in self.regions]
        hosts = [*names, *map(second, names), JOINER]
        nodes = [self.network.host(name).address for name in hosts]
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

    def add_node(self, name: str, host: str = "", config: Path | None = None) -> Unit:
        """A node's process, not started yet; what ran as this node before is superseded by it.

        Args:
            host: where it runs; without it the node's own.
            config: its settings; without it they are made.
        """
        host = host or name
        config = config or self.write_config(name)
        port = self._ports.nodes[name]
        program = Program(
            f"node {name}",
            _bailiwick("node", "--config", str(config)),
            ready=f"http://{self.network.host(host).address}:{port}/readyz",
            environ={
                **self._environ(host),
                "BAILIWICK_CRASH_POINTS": "1",
                "BAILIWICK_EVENTS": "true",
            },
        )
        if name in self.nodes:
            self._superseded.append(self.nodes[name])
        self.configs[name] = config
        self.nodes[name] = self._unit(host, program, port)
        return self.nodes[name]

    def write_config(self, name: str) -> Path:
        """A node's settings for its own host; those that are there get the database of today."""
        region, dsn = demo_world.region_named(name), self.databases[name].dsn
        return demo_world.write_node(self.folder, region, NODES, self._ports, dsn)

    def leave(self, name: str) -> Unit:
        """A node that is no longer of the cluster; its database, which holds the books, stays."""
        unit = self.nodes.pop(name)
        self._superseded.append(unit)
        return unit

    async def add_database(self, name: str) -> None:
        """An empty database for a node that is to join, without a standby."""
        pair = Pair(
            self.network, name, (name, name), self.folder / "databases" / name,
            self._ports.postgres[name],
        )  # fmt: skip
        await pair.start(replicate=False)
        self.databases[name] = pair
        self._ports.doors[name] = await self.network.door(name, self._ports.nodes[name])

    def address(self, name: str) -> str:
        """The URL by which access reaches a node that is where it belongs."""
        return self._ports.doors[name]

    def _add_access(self) -> None:
        ports = self._ports
        for name, port, status in zip(ACCESSES, ports.access, ports.status, strict=True):
            address = self.network.host(name).address
            listen = f"{address}:{port}"
            program = Program(
                name.replace("-", " "),
                _bailiwick(
                    "access",
                    "--listen", listen,
                    "--status-listen", f"{address}:{status}",
                    "--internal-secret-file", str(self.folder / "secrets" / "internal"),
                ),
                ready=f"http://{listen}/readyz",
                environ=self._environ(name),
            )  # fmt: skip
            self.access[name] = self._unit(name, program, port, status)


def _ports(network: Network) -> Ports:
    taken: list[int] = []
    names = [*(region.name for region in demo_world.regions(NODES)), JOINER]

    def port() -> int:
        taken.append(free_port(taken))
        return taken[-1]

    return Ports(
        access=[port() for _ in ACCESSES],
        status=[port() for _ in ACCESSES],
        sandbox=port(),
        nodes={name: port() for name in names},
        postgres={name: port() for name in names},
        hosts={
            "sandbox": network.host(PROVIDERS).address,
            **{name: network.host(name).address for name in names},
        },
    )


def _toml(table: Mapping[str, object]) -> list[str]:
    # JSON's strings and lists of them are also TOML's.
    return [f"{name} = {json.dumps(value)}" for name, value in table.items()]


def _bailiwick(*arguments: str) -> list[str]:
    # -P: a folder called bailiwick in the current directory is not our package.
    return [sys.executable, "-P", "-m", "bailiwick", *arguments]
