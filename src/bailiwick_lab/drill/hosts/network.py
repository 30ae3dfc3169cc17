"""The hosts of a drill and what lies between them.

`Bridged`: every host is a network namespace with one interface on one bridge; a direction
between two hosts is cut by giving the sender a link address for the other that nobody has, so
that its packets are lost in silence, as on a broken line, and those of the other direction are
not. `Loopback`: where namespaces are not allowed, every host is an address in 127.0.0.0/8, and
what access sends to a node goes through a fault proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Final, Literal, Protocol

import msgspec

from bailiwick_lab.drill.hosts.namespaces import Namespace
from bailiwick_lab.drill.hosts.proxy import FaultProxy, Stream

PROBE_PORT: Final = 7007
NOBODY: Final = "02:00:00:00:00:01"
"""A link address (locally administered) that no interface of ours has."""
_PREFIX: Final = "10.88.0."
_FIRST: Final = 10
_PROBES: Final = 3
"""Datagrams sent for one answer: the first may be dropped while the neighbour is looked up."""
_ASK: Final = b"GET /healthz HTTP/1.1\r\nhost: probe\r\nconnection: close\r\n\r\n"
Mode = Literal["namespaces", "loopback"]


class Unproven(Exception):
    """A fault that was to be there is not, or one that was healed still is."""


class Host(msgspec.Struct, frozen=True):
    """A machine of the drill."""

    name: str
    address: str


class Network(Protocol):
    """What scenarios need of a network."""

    mode: Mode

    def host(self, name: str) -> Host: ...
    def entered(self, name: str) -> AbstractContextManager[None]: ...
    async def door(self, name: str, port: int) -> str: ...
    async def cut(self, source: str, target: str) -> None: ...
    async def mend(self) -> None: ...
    async def passes(self, source: str, target: str) -> bool: ...
    async def close(self) -> None: ...


class Bridged:
    """Hosts in namespaces on one bridge; this process becomes the host `control`."""

    mode: Mode = "namespaces"

    def __init__(self, names: Iterable[str]) -> None:
        wanted = ["control", *names]
        self._switch = Namespace.make()
        self._spaces = {name: Namespace.make() for name in wanted}
        self._hosts = {
            name: Host(name, f"{_PREFIX}{_FIRST + number}") for number, name in enumerate(wanted)
        }
        self._cuts: set[tuple[str, str]] = set()
        self._home: int | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._probes: dict[str, socket.socket] = {}
        self._switch.ip(["link add bridge0 type bridge", "link set bridge0 up"])
        for name in wanted:
            self._connect(name)
        self._move_in()

    def _connect(self, name: str) -> None:
        host, space = self._hosts[name], self._spaces[name]
        port = f"port{host.address.rpartition('.')[2]}"
        self._switch.ip(
            [
                f"link add {port} type veth peer name eth0 netns {space.path}",
                f"link set {port} master bridge0 up",
            ]
        )
        space.ip(
            [
                "link set lo up",
                f"address add {host.address}/24 dev eth0",
                "link set eth0 up",
            ]
        )

    def _move_in(self) -> None:
        """What this process opens from now on is the control host's."""
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._spaces["control"].stay()
        self._renew_threads()
        for name, host in self._hosts.items():
            with self.entered(name):
                probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            probe.bind((host.address, PROBE_PORT))
            probe.setblocking(False)
            self._probes[name] = probe

    def _renew_threads(self) -> None:
        """A thread stays in the network in which it was made: let none of earlier ones work."""
        earlier, self._threads = self._threads, ThreadPoolExecutor(thread_name_prefix="drill")
        asyncio.get_running_loop().set_default_executor(self._threads)
        if earlier is not None:
            earlier.shutdown(wait=False)

    def host(self, name: str) -> Host:
        """A host by name."""
        return self._hosts[name]

    def entered(self, name: str) -> AbstractContextManager[None]:
        """Start processes and make sockets on that host; not across an await."""
        return self._spaces[name].entered()

    async def door(self, name: str, port: int) -> str:
        """The URL by which access reaches a service of the host."""
        return f"http://{self._hosts[name].address}:{port}"

    async def cut(self, source: str, target: str) -> None:
        """Lose what `source` sends to `target`, and nothing else."""
        address = self._hosts[target].address
        self._spaces[source].ip(
            [f"neighbour replace {address} lladdr {NOBODY} dev eth0 nud permanent"]
        )
        self._cuts.add((source, target))

    async def mend(self) -> None:
        """Let everything pass again."""
        for source, target in sorted(self._cuts):
            self._spaces[source].ip([f"neighbour del {self._hosts[target].address} dev eth0"])
        self._cuts.clear()

    async def passes(self, source: str, target: str) -> bool:
        """Whether a datagram that `source` sends now arrives at `target`."""
        loop = asyncio.get_running_loop()
        mark = secrets.token_bytes(8)
        sender, receiver = self._probes[source], self._probes[target]
        where = (self._hosts[target].address, PROBE_PORT)
        for _ in range(_PROBES):
            with contextlib.suppress(OSError):
                await loop.sock_sendto(sender, mark, where)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.4):
                    while await loop.sock_recv(receiver, 64) != mark:
                        pass
                    return True
        return False

    async def close(self) -> None:
        """Give this process its own network back and let the hosts go."""
        for probe in self._probes.values():
            probe.close()
        if self._home is not None:
            Namespace(self._home).stay()
            os.close(self._home)
            self._home = None
            self._renew_threads()
        for space in (*self._spaces.values(), self._switch):
            space.close()


class Loopback:
    """Hosts as addresses of this machine; what comes to a node from access can be cut."""

    mode: Mode = "loopback"

    def __init__(self, names: Iterable[str]) -> None:
        # Two drills at once, and whatever else listens on 127.0.0.1, keep out of each other's way.
        prefix = f"127.{64 + secrets.randbelow(128)}.{secrets.randbelow(256)}."
        wanted = ["control", *names]
        self._hosts = {
            name: Host(name, f"{prefix}{_FIRST + number}") for number, name in enumerate(wanted)
        }
        self._doors: dict[str, FaultProxy] = {}

    def host(self, name: str) -> Host:
        """A host by name."""
        return self._hosts[name]

    def entered(self, name: str) -> AbstractContextManager[None]:
        """Nothing to enter."""
        return contextlib.nullcontext()

    async def door(self, name: str, port: int) -> str:
        """The URL by which access reaches a service of the host: that of its fault proxy."""
        proxy = self._doors.get(name)
        if proxy is None:
            proxy = self._doors[name] = FaultProxy(self._hosts[name].address, port)
            await proxy.up()
        return f"http://127.0.0.1:{proxy.port}"

    async def cut(self, source: str, target: str) -> None:
        """Lose what access sends to a node, or what the node sends back."""
        proxy, stream = self._way(source, target)
        # Toxiproxy's timeout of 0: data is lost and the connection stays open.
        if not any(toxic.stream == stream for toxic in proxy.toxics):
            proxy.add("timeout", stream, timeout=0)

    def _way(self, source: str, target: str) -> tuple[FaultProxy, Stream]:
        if target in self._doors:
            return self._doors[target], "upstream"
        if source in self._doors:
            return self._doors[source], "downstream"
        raise Unproven(f"on loopback nothing lies between {source} and {target}; use namespaces")

    async def mend(self) -> None:
        """Let everything pass again; connections that lost data are reset."""
        for proxy in self._doors.values():
            if proxy.toxics:
                proxy.clear()
                proxy.reset_all()

    async def passes(self, source: str, target: str) -> bool:
        """Whether what is sent now comes through the proxy in that direction."""
        proxy, stream = self._way(source, target)
        before = proxy.passed[stream]
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
                try:
                    writer.write(_ASK)
                    await reader.read(1)
                finally:
                    writer.close()
        return proxy.passed[stream] > before

    async def close(self) -> None:
        """End the proxies."""
        for proxy in self._doors.values():
            await proxy.down()
