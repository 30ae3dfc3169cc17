"""A synchronous standby of a PostgreSQL server of ours: made, watched, promoted.

    primary = await PostgresServer.start(folder, listen=address)
    link = await standby.admit(primary, ["10.0.0.0/24"], "second")
    replica = await standby.make(other_folder, link, port=5432, listen=other_address)
    await standby.require(primary, link)      # from now on a commit waits for the standby
    ...
    await primary.stop("immediate")
    await standby.promote(replica)            # nothing that was acknowledged is missing

While a standby is required and away, the primary acknowledges nothing: its payments wait. That
is the price of losing none.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from ipaddress import ip_network
from pathlib import Path
from typing import Final, Protocol

import asyncpg
import msgspec

from bailiwick.control.database import promote_over
from bailiwick.control.plans import ControlError
from bailiwick_lab.servers.binaries import EngineError, ServerUser, find, server_user
from bailiwick_lab.servers.cluster_files import data_major, home, private_folder
from bailiwick_lab.servers.engines import PostgresServer

ROLE: Final = "bailiwick_standby"
_POLL_S: Final = 0.05
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,40}")


class Primary(Protocol):
    """A server that can have a standby; ``folder`` has its `secrets.json`."""

    @property
    def admin_dsn(self) -> str: ...
    @property
    def listen(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def folder(self) -> Path: ...


class Link(msgspec.Struct, frozen=True):
    """How a standby reaches its primary. `secrets_file`: the primary's passwords, which the
    copy has too."""

    name: str
    host: str
    port: int
    password: str
    secrets_file: Path


async def admit(primary: Primary, networks: Iterable[str], name: str) -> Link:
    """Let these networks (CIDR) connect to the primary, and a standby called `name` follow it.

    Raises EngineError, ValueError for a name or network that is none.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"standby name {name!r}: write small letters, digits and _")
    password = secrets.token_hex(24)
    connection = await asyncpg.connect(primary.admin_dsn)
    try:
        known = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", ROLE)
        verb = "ALTER" if known else "CREATE"
        # Both are our own plain text: nothing in them needs quoting.
        await connection.execute(f"{verb} ROLE {ROLE} REPLICATION LOGIN PASSWORD '{password}'")
        file = Path(await connection.fetchval("SHOW hba_file"))
        text = file.read_text(encoding="utf-8")
        wanted = [
            line
            for each in networks
            for line in (
                f"host all all {ip_network(each)} scram-sha-256",
                f"host replication {ROLE} {ip_network(each)} scram-sha-256",
            )
            if line not in text
        ]
        # Its owner is the server's user; writing into it changes neither that nor its mode.
        file.write_text(text + "".join(f"{line}\n" for line in wanted), encoding="utf-8")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()
    return Link(name, primary.listen, primary.port, password, primary.folder / "secrets.json")


async def make(
    folder: Path,
    link: Link,
    *,
    port: int,
    listen: str,
    settings: Mapping[str, str] | None = None,
    log: Path | int | None = None,
    within: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> PostgresServer:
    """Copy the primary into an empty folder and start the copy as its standby.

    Call it on the main thread, as `PostgresServer.start`. Raises EngineError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "secrets.json").exists():
        raise EngineError(f"{folder} holds a server already; give an empty folder")
    user = server_user()
    place = home(folder, user)
    await _copy(place, link, user, within)
    shutil.copyfile(link.secrets_file, folder / "secrets.json")
    (folder / "secrets.json").chmod(0o600)
    return await PostgresServer.start(
        folder, port=port, listen=listen, settings=settings, log=log, within=within
    )


async def require(primary: Primary, link: Link, *, timeout: float = 120.0) -> None:
    """Wait until the standby has caught up, then have every commit wait for it.

    Raises EngineError when it does not catch up in time.
    """
    connection = await asyncpg.connect(primary.admin_dsn)
    try:
        async with asyncio.timeout(timeout):
            await _until(connection, "state = 'streaming'", link.name)
            await connection.execute(
                f"ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 ({link.name})'"
            )
            await connection.execute("SELECT pg_reload_conf()")
            await _until(connection, "sync_state = 'sync'", link.name)
    except TimeoutError:
        raise EngineError(
            f"standby {link.name} does not follow after {timeout:.0f} s; see its postgres.log"
        ) from None
    finally:
        await connection.close()


async def _until(connection: asyncpg.Connection, condition: str, name: str) -> None:
    """Wait until the primary says this of its standby."""
    sql = f"SELECT 1 FROM pg_stat_replication WHERE application_name = $1 AND {condition}"
    while True:
        if await connection.fetchval(sql, name) is not None:
            return
        await asyncio.sleep(_POLL_S)


async def promote(standby: PostgresServer, *, timeout: float = 30.0) -> None:
    """Make the standby a primary that waits for no standby of its own.

    The old primary can acknowledge nothing any more, because it waits for this server. Its
    folder is of no further use: make a new standby of this one. Raises EngineError.
    """
    connection = await asyncpg.connect(standby.admin_dsn)
    try:
        await promote_over(connection, str(standby.folder), timeout=timeout)
    except ControlError as error:
        raise EngineError(str(error)) from None
    finally:
        await connection.close()


async def _copy(
    place: Path, link: Link, user: ServerUser, within: Callable[[], AbstractContextManager[None]]
) -> None:
    """pg_basebackup, with the password in a file that only the server's user can read."""
    installation = find(user, major=data_major(place / "data"))
    program = installation.bin_dir / "pg_basebackup"
    if not program.exists():
        raise EngineError(f"{installation.bin_dir} has no pg_basebackup; install all of PostgreSQL")
    fresh = place / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    private_folder(fresh, user)
    inside = place / "standby"
    private_folder(inside, user)
    password_file = inside / "pgpass"
    descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(f"{link.host}:{link.port}:*:{ROLE}:{link.password}\n")
        if user.drop:
            os.fchown(stream.fileno(), user.uid, user.gid)
    source = (
        f"host={link.host} port={link.port} user={ROLE} passfile={password_file} "
        f"application_name={link.name} connect_timeout=5"
    )
    with within():
        process = subprocess.Popen(  # noqa: ASYNC220 (only the main thread is in the namespace)
            [
                str(program), "--pgdata", str(fresh), "--dbname", source,
                "--write-recovery-conf", "--wal-method", "stream", "--checkpoint", "fast",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
            user=user.uid if user.drop else None,
            group=user.gid if user.drop else None,
            extra_groups=[] if user.drop else None,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        )  # fmt: skip
    try:
        _, said = await asyncio.to_thread(process.communicate, timeout=120)
    except BaseException:
        process.kill()
        raise
    if process.returncode != 0:
        shutil.rmtree(fresh, ignore_errors=True)
        words = said.decode(errors="replace").strip()[-600:]
        raise EngineError(f"pg_basebackup of {link.host}:{link.port} failed: {words}")
    fresh.rename(place / "data")
