"""The demo's processes: what is started, in which order, and what `demo.json` says of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from bailiwick_lab.demo import broker as demo_broker
from bailiwick_lab.demo import lock as demo_lock
from bailiwick_lab.demo import text as demo_text
from bailiwick_lab.demo import world as demo_world
from bailiwick_lab.demo.nodes import DemoNodes
from bailiwick_lab.demo.overview import DemoOverview
from bailiwick_lab.servers.engines import EngineError
from bailiwick_lab.servers.joblog import JobLog
from bailiwick_lab.servers.supervisor import Program, Supervisor, SupervisorError

DATABASES, NODES, ACCESS = range(3)


class DemoError(Exception):
    """The demo cannot run; the message has the remedy."""


def run(
    data: Path,
    *,
    port: int | None = None,
    nodes: int | None = None,
    accesses: int | None = None,
    overview: bool = False,
    as_json: bool = False,
    ready_fd: int | None = None,
) -> None:
    """Run the demo until SIGINT or SIGTERM.

    `ready_fd` gets demo.json's text once everything answers, and is closed then; log lines
    then go to files alone. Raises DemoError.
    """
    try:
        with demo_lock.hold(data), contextlib.ExitStack() as files:
            stream = files.enter_context(Path(os.devnull).open("w")) if ready_fd else None
            log = JobLog(data / "logs", as_json=as_json, stream=stream)
            files.callback(log.close)
            demo = Demo(data, log, port=port, nodes=nodes, accesses=accesses, overview=overview)
            asyncio.run(demo.run(ready_fd))
    except (
        demo_lock.DemoLock,
        demo_world.WorldProblem,
        EngineError,
        SupervisorError,
        OSError,
    ) as error:
        raise DemoError(str(error)) from error


def tell(descriptor: int, document: dict[str, Any]) -> None:
    """Write one JSON document to whoever started us in the background, and close."""
    with contextlib.suppress(OSError):
        os.write(descriptor, msgspec.json.encode(document))
        os.close(descriptor)


class Demo:
    """One run of the demo on one folder."""

    def __init__(
        self,
        data: Path,
        log: JobLog,
        *,
        port: int | None,
        nodes: int | None,
        accesses: int | None,
        overview: bool = False,
    ) -> None:
        self._data = data
        self._log = log
        kept = _kept_ports(data)
        self._count = nodes or (len(kept.nodes) if kept else 3)
        self._accesses = accesses or (len(kept.access) if kept else 2)
        self._ports = demo_world.load_ports(data, self._count, self._accesses, port)
        self._merchants = demo_world.write_world(data, self._count, self._ports)
        demo_broker.sign_world(data)
        self._broker = demo_broker.broker(data, self._ports.nats, log)
        self._overview = DemoOverview(data, self._ports) if overview else None
        if overview and self._broker is None:
            raise demo_world.WorldProblem("--overview needs a broker, and there is none to run")
        self._supervisor = Supervisor(log, on_change=self._write_state)
        self._nodes = DemoNodes(
            data,
            self._ports,
            log,
            self._supervisor,
            command=lambda config: _bailiwick("node", "--config", str(config)),
            environ=lambda: {**self._environ(), **self._events()},
            stages=(DATABASES, NODES),
        )
        self._access: list[Program] = []
        self._sandbox: Program | None = None
        self._ready = False

    async def run(self, ready_fd: int | None) -> None:
        stop = asyncio.Event()
        self._listen_for_signals(stop)
        asked = asyncio.create_task(stop.wait())
        start = asyncio.create_task(self._start())
        tending: asyncio.Task[None] | None = None
        try:
            await asyncio.wait({start, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not start.done():
                return
            start.result()
            self._announce(ready_fd)
            tending = asyncio.create_task(self._nodes.tend(self._write_state))
            await asked
        finally:
            tasks = [task for task in (start, asked, tending) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._log.line("demo", "stopping")
            await self._supervisor.stop()
            (self._data / "demo.json").unlink(missing_ok=True)
            self._log.line("demo", "everything is stopped")

    def _listen_for_signals(self, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        hurry: list[asyncio.Task[None]] = []

        def asked() -> None:
            if stop.is_set() and not hurry:
                hurry.append(loop.create_task(self._supervisor.stop(at_once=True)))
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, asked)

    async def _start(self) -> None:
        self._add_foundations()
        await self._supervisor.start_stage(DATABASES)
        self._nodes.add_programs()
        self._add_access()
        if self._overview is not None:
            program = self._overview.program(_bailiwick("overview"), self._environ())
            self._supervisor.add(program, stage=ACCESS)
        await self._supervisor.start_stage(NODES)
        await self._supervisor.start_stage(ACCESS)
        await self._supervisor.until_ready()
        self._ready = True
        self._write_state()

    def _add_foundations(self) -> None:
        self._nodes.add_databases()
        listen = f"127.0.0.1:{self._ports.sandbox}"
        self._sandbox = Program(
            "sandbox",
            [
                sys.executable, "-P", "-m", "bailiwick_sandbox",
                "--config", str(self._data / "sandbox" / "sandbox.toml"), "--listen", listen,
            ],
            ready=f"http://{listen}/healthz",
        )  # fmt: skip
        self._supervisor.add(self._sandbox, stage=DATABASES)
        if self._broker is not None:
            self._supervisor.add(self._broker, stage=DATABASES)
        if self._overview is not None:
            self._supervisor.add(self._overview.database, stage=DATABASES)

    def _add_access(self) -> None:
        for number, (port, status) in enumerate(self._access_ports(), start=1):
            access = Program(
                f"access {number}",
                _bailiwick(
                    "access",
                    "--world", str(self._data / "world"),
                    "--world-trust", str(demo_broker.trust_of(self._data)),
                    "--listen", f"127.0.0.1:{port}",
                    "--status-listen", f"127.0.0.1:{status}",
                    "--internal-secret-file", str(self._data / "secrets" / "internal"),
                    "--connections-per-address", "0",  # every client is on loopback
                ),
                ready=demo_world.local_url(port) + "/readyz",
                environ=self._environ(),
            )  # fmt: skip
            self._access.append(access)
            self._supervisor.add(access, stage=ACCESS)

    def _access_ports(self) -> list[tuple[int, int]]:
        """Of each access process, for clients and for operators."""
        ports = self._ports
        return list(zip(ports.access, ports.status, strict=False))[: self._accesses]

    def _environ(self) -> dict[str, str]:
        # Not an option: the broker's password would show in the list of processes.
        return {"BAILIWICK_NATS": self._broker.settings.url if self._broker else ""}

    def _events(self) -> dict[str, str]:
        # Only who has readers pays for sending.
        return {"BAILIWICK_EVENTS": "true"} if self._overview is not None else {}

    def _announce(self, ready_fd: int | None) -> None:
        state = self._state()
        if ready_fd is not None:
            tell(ready_fd, state)
        self._log.line("demo", "everything answers")
        self._log.show(demo_text.summary(state, self._data, background=False))

    def _write_state(self) -> None:
        """Called whenever a pid changes; a reader never sees half a file."""
        text = msgspec.json.format(msgspec.json.encode(self._state())).decode()
        demo_world.write(self._data / "demo.json", text + "\n")

    def _state(self) -> dict[str, Any]:
        first, other = self._merchants[0], self._merchants[1]
        # A demo that an earlier version made has no such merchant.
        placed = next((each for each in self._merchants if each.country), None)
        sandbox = demo_world.local_url(self._ports.sandbox)
        ports = self._access_ports()
        running = [*self._access, *[None] * (len(ports) - len(self._access))]
        return {
            "base_url": demo_world.local_url(ports[0][0]),
            "secret_key": first.secret,
            "publishable_key": first.publishable,
            "other_secret_key": other.secret,
            "other_publishable_key": other.publishable,
            "shop_secret_key": placed.secret if placed else None,
            "shop_publishable_key": placed.publishable if placed else None,
            "shop_country": placed.country if placed else None,
            "ready": self._ready,
            "data": str(self._data),
            "world": str(self._data / "world"),
            "supervisor": {"pid": os.getpid()},
            "nodes": self._nodes.state(),
            "access": [
                {
                    "url": demo_world.local_url(port),
                    "status_url": demo_world.local_url(status),
                    "pid": program.pid if program else None,
                }
                for (port, status), program in zip(ports, running, strict=True)
            ],
            "nats": {"url": self._broker.settings.url, "pid": self._broker.pid}
            if self._broker
            else None,
            "overview": self._overview.state() if self._overview else None,
            "sandbox": {
                "url": sandbox,
                "books_url": f"{sandbox}/books",
                "pid": self._sandbox.pid if self._sandbox else None,
            },
        }


def _bailiwick(*arguments: str) -> list[str]:
    # -P: a folder called bailiwick in the current directory is not our package.
    return [sys.executable, "-P", "-m", "bailiwick", *arguments]


def _kept_ports(data: Path) -> demo_world.Ports | None:
    try:
        return msgspec.json.decode((data / "ports.json").read_bytes(), type=demo_world.Ports)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
