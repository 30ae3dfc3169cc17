"""Run a set of processes as one: start in order, restart what dies, stop in reverse.

    supervisor = Supervisor(log, on_change=write_pids)
    supervisor.add(Database("postgres apac", folder, port=15432), stage=0)
    supervisor.add(Program("node apac", ["bailiwick", "node", ...], ready="http://..."), stage=1)
    await supervisor.start()
    await stop.wait()
    await supervisor.stop()

A child never outlives the supervisor, not even one that was killed: see `children.life_tie`.
Everything here runs on the main thread, because that tie is to a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

from bailiwick.runtime import crash
from bailiwick_lab.servers.children import describe, exit_of, life_tie
from bailiwick_lab.servers.engines import EngineError, PostgresServer
from bailiwick_lab.servers.joblog import JobLog

FIRST_DELAY_S: Final = 0.1
MOST_DELAY_S: Final = 5.0
STABLE_S: Final = 20.0
"""A child that lived this long has its restart delay forgotten."""
READY_S: Final = 180.0
"""For what hangs; what ends is told after `STARTUP_DEATHS`."""
STARTUP_DEATHS: Final = 3
"""So many ends of one child before everything was ready give the start up."""
_MOST_LINE = 16 * 1024


class SupervisorError(Exception):
    """The set of processes cannot be brought up; the message has the child's last words."""


class Child(Protocol):
    """What the supervisor needs of a process."""

    name: str

    @property
    def pid(self) -> int | None: ...
    async def start(self, log: JobLog) -> None: ...
    async def wait(self) -> int: ...
    async def ready(self) -> bool: ...
    async def stop(self, *, at_once: bool) -> None: ...


class LineReader:
    """Carries the lines of a pipe into the log until its writers are gone."""

    def __init__(self, descriptor: int, name: str, log: JobLog) -> None:
        self._descriptor = descriptor
        self._name = name
        self._log = log
        self._rest = b""
        os.set_blocking(descriptor, False)
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, 65_536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _MOST_LINE or not data:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            if line:
                self._log.line(self._name, line.decode(errors="replace").rstrip())
        if not data:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)


class Program:
    """A command that serves HTTP; ready when `ready` (a URL) answers 200."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        ready: str,
        environ: Mapping[str, str] | None = None,
        patience: float = 10.0,
    ) -> None:
        self.name = name
        self._command = list(command)
        self._ready = ready
        self._environ = {**os.environ, "PYTHONUNBUFFERED": "1", **(environ or {})}
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        running = self._process is not None and self._process.poll() is None
        return self._process.pid if self._process is not None and running else None

    async def start(self, log: JobLog) -> None:
        reader, writer = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: ASYNC220 (a thread would break the tie)
                [*life_tie(signal.SIGKILL), *self._command],
                stdin=subprocess.DEVNULL,
                stdout=writer,
                stderr=writer,
                start_new_session=True,
                env=self._environ,
            )
        except OSError as error:
            os.close(reader)
            raise SupervisorError(
                f"{self.name}: {self._command[0]} cannot be started: {error.strerror}"
            ) from error
        finally:
            os.close(writer)
        LineReader(reader, self.name, log)

    async def wait(self) -> int:
        return await exit_of(self._process) if self._process is not None else 0

    async def ready(self) -> bool:
        return await http_status(self._ready) == 200

    async def stop(self, *, at_once: bool) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGKILL if at_once else signal.SIGTERM)
        try:
            await asyncio.wait_for(exit_of(process), self._patience)
        except TimeoutError:
            process.kill()
            await exit_of(process)


class Database:
    """A PostgreSQL server; ready when it takes connections."""

    def __init__(self, name: str, folder: Path, *, port: int) -> None:
        self.name = name
        self.folder = folder
        self.port = port
        self.server: PostgresServer | None = None

    @property
    def pid(self) -> int | None:
        return self.server.pid if self.server is not None and self.server.running else None

    async def start(self, log: JobLog) -> None:
        self.server = None
        reader, writer = os.pipe()
        LineReader(reader, self.name, log)
        try:
            self.server = await PostgresServer.start(self.folder, port=self.port, log=writer)
        finally:
            os.close(writer)

    async def wait(self) -> int:
        return await self.server.wait() if self.server is not None else 0

    async def ready(self) -> bool:
        return self.server is not None and self.server.running

    async def stop(self, *, at_once: bool) -> None:
        if self.server is not None:
            await self.server.stop("immediate" if at_once else "fast")


class Supervisor:
    """Keeps children alive until it is stopped."""

    def __init__(self, log: JobLog, *, on_change: Callable[[], None]) -> None:
        self._log = log
        self._on_change = on_change
        self._stages: dict[int, list[Child]] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._deaths: dict[str, int] = {}
        self._stopping = False

    def add(self, child: Child, *, stage: int) -> None:
        """Stages start in order and stop in reverse; within one, all at once."""
        self._stages.setdefault(stage, []).append(child)

    async def start_stage(self, stage: int) -> None:
        """Start one stage's children; return when they run, not yet when they are ready.

        Raises SupervisorError or EngineError for the first that cannot be started.
        """
        children = self._stages.get(stage, [])
        results = await asyncio.gather(
            *(child.start(self._log) for child in children), return_exceptions=True
        )
        for child, result in zip(children, results, strict=True):
            if isinstance(result, BaseException):
                raise result
            self._begin_keeping(child)
        self._on_change()

    def _begin_keeping(self, child: Child) -> None:
        self._log.line("demo", f"{child.name} runs as process {child.pid}")
        self._keepers[child.name] = asyncio.create_task(self._keep(child))

    async def launch(self, child: Child, *, stage: int) -> None:
        """Start one more child now; return when it runs. Raises SupervisorError or EngineError."""
        await child.start(self._log)
        self.add(child, stage=stage)
        self._begin_keeping(child)
        self._on_change()

    async def retire(self, child: Child) -> None:
        """Stop one child for good."""
        keeper = self._keepers.pop(child.name, None)
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        for children in self._stages.values():
            if child in children:
                children.remove(child)
        await child.stop(at_once=False)
        self._log.line("demo", f"{child.name} is stopped")
        self._on_change()

    async def until_ready(self, *, timeout: float = READY_S) -> None:
        """Wait until every child started so far says that it is ready.

        Raises SupervisorError naming the child that is not, with its last lines.
        """
        deadline = time.monotonic() + timeout
        for child in [child for stage in sorted(self._stages) for child in self._stages[stage]]:
            while not await child.ready():
                dead = self._deaths.get(child.name, 0) >= STARTUP_DEATHS
                if dead or time.monotonic() > deadline:
                    what = "keeps ending" if dead else f"is not ready after {timeout:.0f} s"
                    said = self._log.tail(child.name) or "(it said nothing)"
                    raise SupervisorError(f"{child.name} {what}. It said last:\n{said}")
                await asyncio.sleep(0.03)

    async def stop(self, *, at_once: bool = False) -> None:
        """Stop everything in reverse order; safe to call again, and again with `at_once`."""
        self._stopping = True
        keepers = list(self._keepers.values())
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        for stage in sorted(self._stages, reverse=True):
            children = self._stages[stage]
            await asyncio.gather(
                *(child.stop(at_once=at_once) for child in children), return_exceptions=True
            )

    async def _keep(self, child: Child) -> None:
        """Restart one child for ever, ever more slowly while it keeps dying."""
        delay = FIRST_DELAY_S
        most = FIRST_DELAY_S if crash.enabled() else MOST_DELAY_S  # tests kill on purpose
        while True:
            since = time.monotonic()
            status = await child.wait()
            if self._stopping:
                return
            self._deaths[child.name] = self._deaths.get(child.name, 0) + 1
            if time.monotonic() - since > STABLE_S:
                delay = FIRST_DELAY_S
            self._log.line(
                "demo",
                f"{child.name} ended with {describe(status)}; starting it again",
                level="warning",
            )
            self._on_change()
            await asyncio.sleep(delay)
            delay = min(delay * 2, most)
            try:
                await child.start(self._log)
            except (EngineError, SupervisorError, OSError) as error:
                self._log.line("demo", f"{child.name}: {error}", level="error")
                continue
            self._log.line("demo", f"{child.name} runs again as process {child.pid}")
            self._on_change()


async def http_status(url: str, *, timeout: float = 2.0) -> int | None:
    """The status of a GET, or None when nothing answers. Loopback and plain HTTP only."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                path = parts.path or "/"
                writer.write(
                    f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
                    "Connection: close\r\n\r\n".encode()
                )
                line = await reader.readline()
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
        return int(line.split()[1])
    except (OSError, ValueError, IndexError, TimeoutError):
        return None
