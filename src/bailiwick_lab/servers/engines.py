"""Own PostgreSQL servers: make, start, watch and stop one per node.

Only the server's binaries are used (see `binaries`). A server made here

- keeps everything in one folder: `data/` (0700, the server user's), `sock/`, `secrets.json`
  (0600) and `postgres.log`;
- asks every connection for a password (SCRAM-SHA-256), over its socket and 127.0.0.1 alike;
- is durable: fsync, full_page_writes and synchronous_commit are on;
- is stopped by the kernel (SIGINT, a fast shutdown) when the process that started it dies,
  even by SIGKILL.

    server = await PostgresServer.start(folder)
    connection = await asyncpg.connect(server.dsn)
    await server.stop()

`python -m bailiwick_lab.servers.engines --data DIR` runs one in the foreground.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote

import asyncpg

from bailiwick_lab.servers.binaries import EngineError, Installation, ServerUser, find, server_user
from bailiwick_lab.servers.children import exit_of, life_tie
from bailiwick_lab.servers.cluster_files import (
    ADMIN,
    DEFAULTS,
    Secrets,
    data_major,
    first_number,
    home,
    is_postmaster,
    keys,
    make_cluster,
    remove,
    socket_dir,
    tail,
    take_lock,
    write_config,
)
from bailiwick_lab.servers.ports import free_port, port_is_free

__all__ = ["EngineError", "PostgresServer", "free_port", "port_is_free", "remove"]

DATABASE = "bailiwick"
ROLE = "bailiwick"
START_S = 180.0
"""A recovery, or a machine with much else to do, takes its time; an end is told at once."""
StopMode = Literal["smart", "fast", "immediate"]
_SIGNALS: dict[StopMode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}


class PostgresServer:
    """A running server. Make one with `start`; it lives no longer than this process."""

    def __init__(
        self,
        folder: Path,
        place: Path,
        installation: Installation,
        user: ServerUser,
        port: int,
        passwords: Secrets,
        lock: int,
        *,
        listen: str = "127.0.0.1",
        within: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        self.folder = folder
        self.installation = installation
        self.port = port
        self._home = place
        self._user = user
        self._keys = passwords
        self._lock: int | None = lock
        self.listen = listen
        self._within = within
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_dir = socket_dir(place, port, user)

    @classmethod
    async def start(
        cls,
        data_dir: Path | str,
        *,
        port: int | None = None,
        log: Path | int | None = None,
        settings: Mapping[str, str] | None = None,
        postgres_bin: str = "",
        timeout: float = START_S,
        listen: str = "127.0.0.1",
        within: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> Self:
        """Make the cluster at the first call, start it and return once it takes connections.

        `port` is a TCP port on `listen` (default: a free one); `log` a file or an open
        descriptor (default: `postgres.log` in the folder); `settings` are lines of
        postgresql.conf over `DEFAULTS`. `within` surrounds the making of the process, for
        one in another network namespace. Call it on the main thread: the kernel ties the
        server's life to the thread that started it. Raises EngineError.
        """
        folder = Path(data_dir).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        lock = take_lock(folder)
        try:
            user = server_user()
            place = home(folder, user)
            installation = find(user, setting=postgres_bin, major=data_major(place / "data"))
            server = cls(
                folder, place, installation, user, port or free_port(), keys(folder), lock,
                listen=listen, within=within,
            )  # fmt: skip
            # initdb takes a second: several servers are made side by side.
            await asyncio.to_thread(make_cluster, place, installation, user, server._keys.admin)
            write_config(place, user, server._values(settings or {}))
            await server._retire_predecessor()
            if not port_is_free(server.port):
                raise EngineError(f"port {server.port} on 127.0.0.1 is taken by another program")
            await server._launch(log if log is not None else folder / "postgres.log", timeout)
        except BaseException:
            os.close(lock)
            raise
        return server

    # --- what a caller needs -------------------------------------------------------------

    @property
    def dsn(self) -> str:
        """The application role's address, over the Unix socket."""
        return self._dsn(ROLE, self._keys.role, DATABASE, str(self._socket_dir))

    @property
    def tcp_dsn(self) -> str:
        """The same over TCP, for programs that do not see the socket."""
        return self._dsn(ROLE, self._keys.role, DATABASE, "")

    @property
    def admin_dsn(self) -> str:
        """The superuser's address: for extensions and faults in tests, never for a node."""
        return self._dsn(ADMIN, self._keys.admin, DATABASE, str(self._socket_dir))

    @property
    def pid(self) -> int:
        """Process id of the postmaster."""
        if self._process is None:
            raise EngineError("this server is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def wait(self) -> int:
        """Wait until the server ends, however that comes; return its exit status."""
        process = self._process
        if process is None:
            raise EngineError("this server is not running")
        status = await exit_of(process)
        self._release()
        return status

    async def stop(self, mode: StopMode = "fast", *, timeout: float = 30.0) -> None:
        """Stop the server and wait for its end; harmless when it has ended already.

        After `timeout` seconds it is stopped as by `immediate` (the next start recovers
        from the log), after that killed.
        """
        process = self._process
        if process is None:
            return
        for number in (_SIGNALS[mode], signal.SIGQUIT, signal.SIGKILL):
            if process.poll() is None:
                process.send_signal(number)
            try:
                await asyncio.wait_for(self.wait(), timeout)
            except TimeoutError:
                timeout = 5.0
                continue
            break
        self._process = None

    # --- steps of a start ----------------------------------------------------------------

    def _dsn(self, role: str, password: str, database: str, socket_dir: str) -> str:
        who = f"{quote(role)}:{quote(password)}"
        if socket_dir:
            place = quote(socket_dir, safe="/")
            return f"postgresql://{who}@/{database}?host={place}&port={self.port}"
        return f"postgresql://{who}@{self.listen}:{self.port}/{database}"

    def _values(self, settings: Mapping[str, str]) -> dict[str, str]:
        return {
            **DEFAULTS,
            **settings,
            "port": str(self.port),
            "listen_addresses": self.listen,
            "unix_socket_directories": str(self._socket_dir),
            "unix_socket_permissions": "0700",
        }

    async def _retire_predecessor(self, patience: float = 90.0) -> None:
        """Deal with a postmaster.pid that an earlier run left.

        We hold the folder's lock, so a server that still runs on it has lost its parent and
        is shutting down: give it time, then stop it. A number that now belongs to another
        program is no server: the file goes, or PostgreSQL would refuse to start.
        """
        file = self._home / "data" / "postmaster.pid"
        deadline = time.monotonic() + patience
        asked = time.monotonic() + 2.0
        while file.exists():
            pid = first_number(file)
            if pid is None or not is_postmaster(pid, self._home / "data"):
                file.unlink(missing_ok=True)
                break
            now = time.monotonic()
            if now > deadline:
                raise EngineError(
                    f"process {pid} still runs a server on {self.folder}; stop it: kill -INT {pid}"
                )
            if now > asked:
                asked = now + 5.0
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGINT)
            await asyncio.sleep(0.05)
        for left in self._socket_dir.glob(".s.PGSQL.*"):
            left.unlink(missing_ok=True)  # its lock names a process in the same way

    async def _launch(self, log: Path | int, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        last_try = time.monotonic() + min(timeout, 20.0)
        while True:
            process = self._spawn(log)
            self._process = process
            try:
                if await self._came_up(process, deadline):
                    await self._provision()
                    return
            except BaseException:
                process.send_signal(signal.SIGQUIT)
                process.wait()
                raise
            # The workers of a killed postmaster may hold its shared memory for a moment
            # more, and a start in that moment fails: try again for a while.
            if time.monotonic() > last_try or not _worth_another_try(log):
                break
            await asyncio.sleep(0.3)
        raise EngineError(
            f"PostgreSQL on {self.folder} ended with status {process.returncode} at its start; "
            f"see {log if isinstance(log, Path) else 'its log'}{tail(log)}"
        )

    def _spawn(self, log: Path | int) -> subprocess.Popen[bytes]:
        command = [
            *life_tie(signal.SIGINT),
            str(self.installation.bin_dir / "postgres"),
            "-D",
            str(self._home / "data"),
        ]
        opened = (
            os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            if isinstance(log, Path)
            else log
        )
        try:
            with self._within():
                return subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=opened,
                    stderr=opened,
                    cwd="/",
                    # An own session: Ctrl-C in the terminal reaches our process alone, which
                    # stops its children in the right order.
                    start_new_session=True,
                    user=self._user.uid if self._user.drop else None,
                    group=self._user.gid if self._user.drop else None,
                    extra_groups=[] if self._user.drop else None,
                    env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
                )
        finally:
            if isinstance(log, Path):
                os.close(opened)

    async def _came_up(self, process: subprocess.Popen[bytes], deadline: float) -> bool:
        """True when the server says it is ready, false when it ended."""
        file = self._home / "data" / "postmaster.pid"
        while process.poll() is None:
            with contextlib.suppress(OSError, ValueError):
                lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
                if len(lines) >= 8 and int(lines[0]) == process.pid and "ready" in lines[7]:
                    return True
            if time.monotonic() > deadline:
                raise EngineError(f"PostgreSQL on {self.folder} did not get ready in time")
            await asyncio.sleep(0.01)
        return False

    async def _provision(self) -> None:
        """Make the application's role and database if they are missing."""
        dsn = self._dsn(ADMIN, self._keys.admin, "postgres", str(self._socket_dir))
        connection = await asyncpg.connect(dsn)
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", ROLE):
                # The password is our own hexadecimal text: nothing in it needs quoting.
                await connection.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{self._keys.role}'")
            known = await connection.fetchval(
                "SELECT 1 FROM pg_database WHERE datname = $1", DATABASE
            )
            if not known:
                await connection.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
        finally:
            await connection.close()

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
            if not self._socket_dir.is_relative_to(self._home):
                with contextlib.suppress(OSError):
                    self._socket_dir.rmdir()  # a short path in /tmp, made anew at the next start


# --- helpers ------------------------------------------------------------------------------


def _worth_another_try(log: Path | int) -> bool:
    return not isinstance(log, Path) or "still in use" in tail(log)


async def _foreground(data: Path, port: int | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    server = await PostgresServer.start(data, port=port)
    found = server.installation
    print(f"{server.dsn}", flush=True)
    print(
        f"PostgreSQL {found.version} ({found.origin}), process {server.pid}; Ctrl-C stops it",
        file=sys.stderr,
        flush=True,
    )
    ended = asyncio.create_task(server.wait())
    asked = asyncio.create_task(stop.wait())
    await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
    if ended.done():
        raise EngineError(f"the server ended by itself with status {ended.result()}")
    await server.stop()


def main() -> None:
    """Run one server in the foreground and print its DSN."""
    import argparse

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    try:
        asyncio.run(_foreground(options.data, options.port))
    except EngineError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
