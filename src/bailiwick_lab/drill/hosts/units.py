"""What runs on the hosts: programs and databases that can be killed, frozen and started again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import psutil

from bailiwick_lab.drill.hosts.network import Network, Unproven
from bailiwick_lab.servers import standby
from bailiwick_lab.servers.engines import PostgresServer
from bailiwick_lab.servers.joblog import JobLog
from bailiwick_lab.servers.standby import Link
from bailiwick_lab.servers.supervisor import Program, SupervisorError

_POLL_S = 0.05
# When the drill is killed its lines go with it: a primary that shuts down then waits so long
# for its standby to confirm what it was sent.
_SETTINGS = {"wal_sender_timeout": "5s"}


class Unit:
    """One program on one host. Nobody restarts it but the scenario.

    ``status_port``: where it tells operators, if not on its ``port``.
    """

    def __init__(
        self,
        network: Network,
        host: str,
        program: Program,
        *,
        port: int,
        log: JobLog,
        status_port: int = 0,
    ) -> None:
        self.name = program.name
        self.host = host
        self.port = port
        self.status_port = status_port or port
        self.address = network.host(host).address
        self._network = network
        self._log = log
        self._program = program

    @property
    def url(self) -> str:
        """Its own address, past everything that a scenario puts in the way."""
        return f"http://{self.address}:{self.port}"

    @property
    def status_url(self) -> str:
        """Where it has its metrics."""
        return f"http://{self.address}:{self.status_port}"

    @property
    def pid(self) -> int | None:
        """Process id, None when it does not run."""
        return self._program.pid

    async def start(self) -> None:
        """Start it; `until_ready` waits for its first answer."""
        with self._network.entered(self.host):
            starting = self._program.start(self._log)
            # Another task must never find us in that network: no step of this may wait.
            with contextlib.suppress(StopIteration):
                starting.send(None)
                raise AssertionError("starting a program waited for something")

    async def until_ready(self, timeout: float = 180.0) -> None:
        """Wait until it answers. Raises SupervisorError with its last words: of one that
        hangs, where it does so, for which it is ended."""
        deadline = time.monotonic() + timeout
        while not await self._program.ready():
            if self.pid is None or time.monotonic() > deadline:
                what = "ended" if self.pid is None else f"is not ready after {timeout:.0f} s"
                self._send(signal.SIGABRT)  # Python prints where each thread is
                await asyncio.sleep(1.0)
                said = self._log.tail(self.name) or "(it said nothing)"
                raise SupervisorError(f"{self.name} {what}. It said last:\n{said}")
            await asyncio.sleep(_POLL_S)

    async def kill(self) -> None:
        """End it at once, as a power cut does."""
        self._send(signal.SIGKILL)
        await self._program.wait()

    async def stop(self) -> None:
        """End it in order; a frozen one is woken for that."""
        with contextlib.suppress(ProcessLookupError):
            self.wake()
        await self._program.stop(at_once=False)

    def freeze(self) -> None:
        """Stop it where it stands."""
        self._send(signal.SIGSTOP)

    def wake(self) -> None:
        """Let a frozen one go on."""
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        if self.pid is not None:
            os.kill(self.pid, number)

    @property
    def frozen(self) -> bool:
        """Whether it stands still."""
        pid = self.pid
        with contextlib.suppress(psutil.Error):
            return pid is not None and psutil.Process(pid).status() == psutil.STATUS_STOPPED
        return False

    async def accepts(self) -> bool:
        """Whether its port takes connections now (a frozen program's port still does)."""
        return await accepts(self.address, self.port)

    async def answers(self) -> bool:
        """Whether it answers its ready question with 200 within two seconds."""
        return await self._program.ready()


class Pair:
    """One node's database: a primary, and a synchronous standby on another host."""

    def __init__(
        self, network: Network, name: str, hosts: tuple[str, str], folder: Path, port: int
    ) -> None:
        self.name = name
        self.hosts = hosts
        self.port = port
        self.primary: PostgresServer | None = None
        self.standby: PostgresServer | None = None
        self._network = network
        self._folder = folder
        self._made = 0
        self._link: Link | None = None

    @property
    def dsn(self) -> str:
        """Where the node connects: the primary, over TCP."""
        return self._running().tcp_dsn

    @property
    def running(self) -> bool:
        """Whether the primary runs."""
        return self.primary is not None and self.primary.running

    def _running(self) -> PostgresServer:
        if self.primary is None:
            raise Unproven(f"the database of {self.name} has no primary")
        return self.primary

    async def start(self, *, replicate: bool) -> None:
        """Make the primary and, if asked for, its standby."""
        self.primary = await self._server(self.hosts[0], self._new_folder())
        await self._follow(replicate=replicate)

    async def _server(self, host: str, folder: Path) -> PostgresServer:
        return await PostgresServer.start(
            folder,
            port=self.port,
            listen=self._network.host(host).address,
            settings=_SETTINGS,
            within=lambda: self._network.entered(host),
        )

    async def _follow(self, *, replicate: bool) -> None:
        network = self._network.host(self.hosts[0]).address.rpartition(".")[0] + ".0/24"
        self._link = await standby.admit(self._running(), [network], "second")
        if not replicate:
            return
        host = self.hosts[1]
        self.standby = await standby.make(
            self._new_folder(),
            self._link,
            port=self.port,
            listen=self._network.host(host).address,
            settings=_SETTINGS,
            within=lambda: self._network.entered(host),
        )
        await standby.require(self._running(), self._link)

    def _new_folder(self) -> Path:
        self._made += 1
        return self._folder / f"postgres-{self._made}"

    async def crash(self) -> None:
        """Stop the primary hard: nothing is written down on the way out."""
        await self._running().stop("immediate")

    async def restart(self) -> None:
        """Start the primary again on what its disk holds."""
        self.primary = await self._server(self.hosts[0], self._running().folder)

    async def promote(self) -> None:
        """The standby becomes the primary; the hosts change their parts."""
        if self.standby is None:
            raise Unproven(f"the database of {self.name} has no standby")
        await standby.promote(self.standby)
        self.promoted()

    def promoted(self) -> None:
        """Note that the standby has become the primary, by whoever's hand."""
        self.primary, self.standby = self.standby, None
        self.hosts = (self.hosts[1], self.hosts[0])

    async def rebuild(self) -> None:
        """A new standby, where the old primary was."""
        await self._follow(replicate=True)

    async def accepts(self) -> bool:
        """Whether the primary's host takes connections on its port."""
        return await accepts(self._network.host(self.hosts[0]).address, self.port)

    async def stop(self, *, at_once: bool = False) -> None:
        """Stop both, the primary first: it must not wait for a standby that is gone."""
        for server in (self.primary, self.standby):
            if server is not None:
                await server.stop("immediate" if at_once else "fast")


async def accepts(address: str, port: int, timeout: float = 1.0) -> bool:
    """Whether a TCP connection can be made."""
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
