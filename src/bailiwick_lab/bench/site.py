"""The system under load: a running demo, or one started for this purpose alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from bailiwick_lab.bench.processes import Program
from bailiwick_lab.servers.ports import free_port

_START_S = 300


class SiteError(Exception):
    """There is nothing to measure; the message has the remedy."""


class NodeOf(msgspec.Struct, frozen=True):
    """A node as ``demo.json`` has it."""

    name: str
    url: str
    pid: int
    dsn: str
    admin_dsn: str
    postgres_pid: int


class AccessOf(msgspec.Struct, frozen=True):
    """An access process."""

    url: str
    pid: int


class Site(msgspec.Struct, frozen=True):
    """The parts of ``demo.json`` that matter here."""

    secret_key: str
    other_secret_key: str
    nodes: list[NodeOf]
    access: list[AccessOf]
    sandbox: AccessOf
    world: str

    def programs(self) -> list[Program]:
        """Every process that is watched; each node and database has a role of its own."""
        found = [Program("generator", os.getpid()), Program("sandbox", self.sandbox.pid)]
        found += [Program("access", each.pid) for each in self.access]
        for node in self.nodes:
            found.append(Program(f"node {node.name}", node.pid))
            found.append(Program(f"postgres {node.name}", node.postgres_pid, tree=True))
        return found


class Charge(msgspec.Struct, frozen=True):
    """A charge in the sandbox's books."""

    reference: str
    status: str
    amount_captured: int


class _Books(msgspec.Struct, frozen=True):
    charges: list[Charge]


def read_site(data: Path) -> Site:
    """The demo that runs on a folder. Raises SiteError."""
    try:
        return msgspec.json.decode((data / "demo.json").read_bytes(), type=Site)
    except FileNotFoundError:
        raise SiteError(
            f"no demo runs in {data}: start one with 'bailiwick demo --background --data {data}', "
            "or leave --data out to have one started"
        ) from None
    except (OSError, msgspec.DecodeError) as error:
        raise SiteError(f"{data / 'demo.json'} cannot be used: {error}") from error


@contextmanager
def own_site(nodes: int, access: int) -> Iterator[Site]:
    """A demo that lives as long as the block. Raises SiteError."""
    # Not below /root or a private folder: the database's user must be able to enter it.
    place = Path(tempfile.mkdtemp(prefix="bailiwick-bench-"))
    place.chmod(0o755)
    data = place / "demo"
    port = str(free_port())
    counts = ("--nodes", str(nodes), "--access", str(access))
    try:
        said = _demo("--background", "--data", str(data), "--port", port, *counts)
        if "base_url" not in said:
            raise SiteError(f"the demo did not start: {said.get('error')}")
        yield read_site(data)
    finally:
        _demo("--remove", "--data", str(data))
        shutil.rmtree(place, ignore_errors=True)


def _demo(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-P", "-m", "bailiwick", "demo", "--json", *arguments]
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, timeout=_START_S, check=False
        )
        answer: dict[str, Any] = json.loads(done.stdout)
    except (ValueError, subprocess.TimeoutExpired) as error:
        return {"error": str(error)}
    return answer


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fetch(url: str, body: dict[str, Any] | None = None) -> bytes:
    """One plain request; loopback never goes through a proxy. Raises SiteError."""
    data = None if body is None else json.dumps(body).encode()
    return _fetched(urllib.request.Request(url, data, {"Content-Type": "application/json"}))


def ask(method: str, url: str, key: str, fields: dict[str, str] | None = None) -> dict[str, Any]:
    """One request of a merchant: ``fields`` as a form. Raises SiteError."""
    data = None if fields is None else urlencode(fields).encode("ascii")
    headers = {"Authorization": f"Bearer {key}"}
    return msgspec.json.decode(
        _fetched(urllib.request.Request(url, data, headers, method=method)), type=dict[str, Any]
    )


def _fetched(request: urllib.request.Request) -> bytes:
    try:
        with _direct.open(request, timeout=120) as response:
            answer: bytes = response.read()
    except (urllib.error.URLError, OSError) as error:
        raise SiteError(f"{request.full_url}: {error}") from error
    return answer


def charges(site: Site) -> dict[str, Charge]:
    """Every charge of every provider, by its reference; what has none, or one twice, is the
    sandbox's own defect and is refused. Raises SiteError."""
    books = msgspec.json.decode(fetch(f"{site.sandbox.url}/books"), type=_Books)
    found = {each.reference: each for each in books.charges}
    if len(found) != len(books.charges):
        raise SiteError("the sandbox's books hold two charges with one reference")
    return found


def delay(site: Site) -> dict[str, Any]:
    """The sandbox's delay setting."""
    setting = msgspec.json.decode(fetch(f"{site.sandbox.url}/delay"), type=dict[str, Any])
    return {name: value for name, value in setting.items() if value is not None}


def set_delay(site: Site, setting: dict[str, Any]) -> None:
    """Change the sandbox's delay."""
    fetch(f"{site.sandbox.url}/delay", setting)


def waited_ms(site: Site) -> dict[str, float]:
    """How long the sandbox held each recent operation back, by reference."""
    raw = fetch(f"{site.sandbox.url}/delay/waited")
    return msgspec.json.decode(raw, type=dict[str, dict[str, float]])["waited_ms"]
