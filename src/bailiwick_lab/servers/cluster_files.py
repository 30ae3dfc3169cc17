"""What lies in the folder of one PostgreSQL server, and who may touch it.

`data/` and `sock/` belong to the server's user alone; `secrets.json`, `lock` and the log to
the process that starts it. Where the server's user cannot live in the folder itself, `home`
links to a place under /var/lib/bailiwick.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec
import psutil

from bailiwick_lab.servers.binaries import (
    EngineError,
    Installation,
    ServerUser,
    root_safe,
    shared_folder,
)

ADMIN = "postgres"
SOCKET_LIMIT = 107
"""Longest path of a Unix socket in bytes on Linux (sun_path is 108 with its final NUL)."""

DEFAULTS: dict[str, str] = {
    "shared_buffers": "64MB",
    "max_connections": "60",
    "max_wal_size": "1GB",
    "min_wal_size": "128MB",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "password_encryption": "scram-sha-256",
    "deadlock_timeout": "200ms",
    "jit": "off",
    "autovacuum": "on",
    "autovacuum_naptime": "60s",
    "checkpoint_timeout": "10min",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
    # Statements can carry payer data: a failed one is logged without its text and values.
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
}


class Secrets(msgspec.Struct, frozen=True):
    """Passwords of one server, kept in its `secrets.json`."""

    admin: str
    role: str


def take_lock(folder: Path) -> int:
    """Hold the folder for as long as this process or its server object lives."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise EngineError(
            f"{folder} is in use by another running server; stop that one first"
        ) from error
    return descriptor


def home(folder: Path, user: ServerUser) -> Path:
    """Where `data` and `sock` go: the folder itself, if the server's user can live there.

    As root the folder may lie under a private one (/root), or in one where somebody else
    could put a link in our place; then the home is under /var/lib/bailiwick and the folder
    holds a link to it.
    """
    if not user.drop:
        return folder
    link = folder / "home"
    if link.is_symlink():
        return link.resolve()
    if user.can_enter(folder) and root_safe(folder):
        return folder
    # A new name each time: a home whose folder was deleted still holds somebody's payments.
    place = shared_folder("postgres") / secrets.token_hex(6)
    place.mkdir(mode=0o755)
    (place / "belongs-to").write_text(f"{folder}\n", encoding="utf-8")
    link.symlink_to(place)
    return place


def private_folder(path: Path, user: ServerUser) -> None:
    """Make `path` a folder (0700) of the server's user; raises EngineError if it cannot be.

    A folder that is there already is never taken over: in a shared place (/tmp) it may be
    somebody else's trap.
    """
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        pass
    else:
        if user.drop:
            os.chown(path, user.uid, user.gid, follow_symlinks=False)
    info = path.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != user.uid or info.st_mode & 0o077:
        raise EngineError(f"{path} is not a private folder (0700) of {user.name}; remove it")


def socket_dir(home: Path, port: int, user: ServerUser) -> Path:
    """A folder for the socket whose full path fits the kernel's limit."""
    name = f".s.PGSQL.{port}"
    place = home / "sock"
    if len(os.fsencode(place / name)) > SOCKET_LIMIT:
        mark = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
        place = Path(f"/tmp/bailiwick-{user.uid}-{mark}")
    private_folder(place, user)
    return place


def data_major(data: Path) -> int | None:
    try:
        return int((data / "PG_VERSION").read_text(encoding="ascii").split(".")[0])
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise EngineError(f"{data}/PG_VERSION is damaged; restore the folder") from error


def keys(folder: Path) -> Secrets:
    file = folder / "secrets.json"
    try:
        return msgspec.json.decode(file.read_bytes(), type=Secrets)
    except FileNotFoundError:
        pass
    except msgspec.DecodeError as error:
        raise EngineError(f"{file} is damaged ({error}); restore it") from error
    keys = Secrets(admin=secrets.token_hex(24), role=secrets.token_hex(24))
    partial = file.with_suffix(".new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(msgspec.json.encode(keys))
        stream.flush()
        os.fsync(stream.fileno())
    partial.rename(file)
    return keys


def make_cluster(place: Path, installation: Installation, user: ServerUser, password: str) -> None:
    """Make `data` in a home by initdb, unless it is there; `password` is the superuser's. Raises
    EngineError."""
    data = place / "data"
    if (data / "PG_VERSION").exists():
        return
    # Made beside and renamed: an initdb that was cut off never looks like a cluster.
    fresh = place / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    private_folder(fresh, user)
    password_file = place / f"initdb-{secrets.token_hex(8)}"
    descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, password.encode() + b"\n")
        if user.drop:
            os.fchown(descriptor, user.uid, user.gid)
        done = user.run(
            installation.bin_dir / "initdb",
            "--pgdata", fresh,
            "--username", ADMIN,
            "--pwfile", password_file,
            "--auth", "scram-sha-256",
            "--encoding", "UTF8",
            "--locale", "C",
            "--data-checksums",
            "--no-instructions",
        )  # fmt: skip
    finally:
        os.close(descriptor)
        password_file.unlink()
    if done.returncode != 0:
        shutil.rmtree(fresh, ignore_errors=True)
        raise EngineError(f"initdb failed: {(done.stderr or done.stdout).strip()[-600:]}")
    fresh.rename(data)


def write_config(place: Path, user: ServerUser, values: Mapping[str, str]) -> None:
    """Write a home's postgresql.conf anew; `ALTER SYSTEM` (postgresql.auto.conf) still wins."""
    target = place / "data" / "postgresql.conf"
    partial = target.with_suffix(".conf.new")
    partial.write_text(config_text(values), encoding="utf-8")
    partial.chmod(0o600)
    if user.drop:
        os.chown(partial, user.uid, user.gid)
    partial.replace(target)


def config_text(values: Mapping[str, str]) -> str:
    """postgresql.conf with these values."""
    lines = ["# Written at every start; your own values belong in ALTER SYSTEM."]
    for name, value in values.items():
        quoted = value.replace("'", "''")
        lines.append(f"{name} = '{quoted}'")
    return "\n".join(lines) + "\n"


def remove(data_dir: Path | str) -> None:
    """Delete a stopped server's folder, wherever its data was put. Raises EngineError."""
    folder = Path(data_dir).absolute()
    if not folder.exists():
        return
    lock = take_lock(folder)
    try:
        link = folder / "home"
        if link.is_symlink():
            shutil.rmtree(link.resolve(), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def first_number(file: Path) -> int | None:
    """The number on a file's first line, None when there is none."""
    try:
        return int(file.read_text(encoding="utf-8", errors="replace").split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def is_postmaster(pid: int, data: Path) -> bool:
    """True when process `pid` is a PostgreSQL server working in `data`."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return Path(process.cwd()).resolve() == data.resolve()
    except psutil.AccessDenied:
        return "postgres" in psutil.Process(pid).name()
    except psutil.Error:
        return False


def tail(log: Path | int) -> str:
    """The last lines of a log file; nothing of one that is a descriptor."""
    if not isinstance(log, Path) or not log.exists():
        return ""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
    return "\n" + "\n".join(lines)
