"""The system that is played to: the demo's real processes, with PostgreSQL and the sandbox.

Merchants and keys are laid in its folder before it starts. Then a second epoch is published, so
that rules of all kinds are there, and with thresholds that a busy machine does not reach.

Nothing of the product is imported here, only its commands are run, so that all of its code may be
rearranged.
"""

import contextlib
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_PATIENCE_S = 60.0
_MERCHANTS: dict[str, tuple[str, str]] = {
    "demo": ("Demo Store", 'strategy = "priority"\ncascade = true'),
    "other": ("Other Store", 'strategy = "priority"\ncascade = true'),
    "home": ("Home Store", 'default_country = "DE"\nstrategy = "cost"\ncascade = false'),
}


def _key(kind: str, mode: str, merchant: str) -> str:
    return f"{kind}_{mode}_{merchant}{'Golden' * 5}"[:40]


KEYS = {
    "demo": _key("sk", "test", "demo"),
    "demo.pk": _key("pk", "test", "demo"),
    "other": _key("sk", "test", "other"),
    "other.pk": _key("pk", "test", "other"),
    "home": _key("sk", "test", "home"),
    "home.pk": _key("pk", "test", "home"),
    "home.live": _key("sk", "live", "home"),
    "wrong": "sk_test_nobodyHasThisKey00000000000000000",
}

_RULES = """
[[rules]]
places = ["US-CA"]
nodes = ["europe", "americas"]
residency = "free"
evidence = "explicit"

[[rules]]
places = ["area:munich-fair"]
nodes = ["americas"]
residency = "free"

[[areas]]
name = "munich-fair"
polygon = [[11.68, 48.13], [11.71, 48.13], [11.71, 48.145], [11.68, 48.145]]

[thresholds]
stale_after_ms = 60000
database_lag_max_ms = 60000
close_after_ms = 60000
close_after_reports = 100
"""


class System:
    """One running demo.

    Attributes:
        addresses: every address of this run and the name it goes by in recorded answers.
        keys: API keys by name.
    """

    def __init__(self, data: Path, demo: dict[str, Any]) -> None:
        self._data = data
        self._urls = {"access": str(demo["base_url"]), "sandbox": str(demo["sandbox"]["url"])}
        self._urls["operators"] = str(demo["access"][0]["status_url"])
        self._urls |= {node["name"]: node["url"] for node in demo["nodes"]}
        self._nats = demo["nats"]
        self.nodes = [node["name"] for node in demo["nodes"]]
        self.addresses = {url: name for name, url in self._urls.items()}
        self.keys = KEYS

    def url(self, name: str) -> str:
        """Where a process listens."""
        return self._urls[name]

    def publish(self, changes: list[list[str]]) -> None:
        """Change texts of the topology, publish it as the next epoch, and wait until every process
        goes by it."""
        file = self._data / "world" / "topology.toml"
        text = file.read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text, f"the topology has no {old!r}"
            text = text.replace(old, new)
        self._publish(text)

    def _publish(self, topology: str) -> None:
        world = self._data / "world"
        (world / "topology.toml").write_text(topology, encoding="utf-8")
        key = str(self._data / "secrets" / "world.key")
        arguments = ["topology", "publish", "--world", str(world), "--key", key, "--json"]
        told = _bailiwick(*arguments, *(["--nats", self._nats["url"]] if self._nats else []))
        epoch = int(json.loads(told)["epoch"])
        _wait_for(lambda: _epochs(self) == {epoch}, f"epoch {epoch} everywhere")

    def start(self) -> None:
        """What the demo's own world has not."""
        file = self._data / "world" / "topology.toml"
        self._publish(file.read_text(encoding="utf-8") + _RULES)
        # Two changes of one payment shall not fall into one millisecond: events sort by it.
        slow = {"kind": "lognormal", "p50_ms": 3.0, "p99_ms": 3.5}
        body = json.dumps(slow).encode()
        kind = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url("sandbox") + "/delay", body, kind)
        urllib.request.urlopen(request, timeout=30).close()


def _epochs(system: System) -> set[int]:
    """By which epochs access and the nodes, as access has heard of them, go."""
    with urllib.request.urlopen(system.url("operators") + "/usage", timeout=30) as answer:
        usage = json.load(answer)
    return {usage["epoch"], *(each["report"]["epoch"] for each in usage["nodes"])}


def _wait_for(reached: Any, what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)


def _bailiwick(*arguments: str) -> str:
    """Run one command of the product; its standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "bailiwick", *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def _lay_world(data: Path) -> None:
    """Merchants and secrets, the same in every run."""
    (data / "secrets").mkdir(parents=True)
    (data / "world").mkdir()
    _keep(data / "secrets" / "internal", "5" * 64 + "\n")
    seeded = [
        {
            "id": f"acct_{name}",
            "name": title,
            "secret": KEYS[name],
            "publishable": KEYS[f"{name}.pk"],
        }
        for name, (title, _) in _MERCHANTS.items()
    ]
    _keep(data / "secrets" / "merchants.json", json.dumps(seeded))
    _keep(data / "world" / "merchants.toml", _merchants_toml())


def _keep(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")


def _merchants_toml() -> str:
    lines = []
    for name, (title, more) in _MERCHANTS.items():
        lines += ["[[merchants]]", f'id = "acct_{name}"', f'name = "{title}"', more]
        for key, mode in ((name, "test"), (f"{name}.pk", "test"), (f"{name}.live", "live")):
            if key in KEYS:
                kind = "publishable" if key.endswith(".pk") else "secret"
                digest = hashlib.sha256(KEYS[key].encode()).hexdigest()
                lines += ["[[merchants.keys]]", f'sha256 = "{digest}"']
                lines += [f'kind = "{kind}"', f'mode = "{mode}"']
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def running() -> Iterator[System]:
    """A fresh system, stopped and removed at the end, also when its start fails half-way."""
    # Not pytest's folder: the database's user could not enter it when we are root.
    place = Path(tempfile.mkdtemp(prefix="bwg-"))
    place.chmod(0o755)
    data = place / "demo"
    try:
        _lay_world(data)
        started = _bailiwick(
            "demo", "--background", "--json", "--data", str(data), "--nodes", "3", "--access", "1"
        )
        system = System(data, json.loads(started))
        system.start()
        yield system
    finally:
        try:
            _bailiwick("demo", "--remove", "--data", str(data))
        finally:
            shutil.rmtree(place, ignore_errors=True)
