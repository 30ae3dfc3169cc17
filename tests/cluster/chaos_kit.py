"""A demo that may be killed at named places, and the checker run over it."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from load_kit import node_of, read_demo

from bailiwick_lab.bench.modes.outage import Outage
from tests.waiting import wait_until


def bailiwick(*arguments: str, timeout: float = 600, **environment: str) -> str:
    """Run one command of the product; its standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "bailiwick", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **environment},
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


class Chaos:
    """One running demo and what tests do to it."""

    def __init__(self, data: Path) -> None:
        self.data = data

    @property
    def demo(self) -> dict[str, Any]:
        """demo.json as it is now."""
        return read_demo(self.data)

    def node(self, name: str) -> dict[str, Any]:
        """One node as it is now."""
        return node_of(self.demo, name)

    def post(
        self, url: str, form: dict[str, str] | None = None, body: bytes | None = None
    ) -> dict[str, Any]:
        """POST a form or a JSON body; the JSON answer, whatever its status."""
        data = urllib.parse.urlencode(form or {}).encode() if body is None else body
        headers = {"Authorization": f"Bearer {self.demo['secret_key']}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(url, data=data, headers=headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                found: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            found = json.load(error)
        return found

    def fault(self, **rule: Any) -> str:
        """Add a fault rule to the sandbox; its id."""
        url = f"{self.demo['sandbox']['url']}/faults"
        return str(self.post(url, body=json.dumps(rule).encode())["id"])

    def hits(self, rules: set[str]) -> int:
        """How often these fault rules have struck."""
        with urllib.request.urlopen(f"{self.demo['sandbox']['url']}/faults", timeout=60) as answer:
            found = json.load(answer)["rules"]
        return sum(each["hits"] for each in found if each["id"] in rules)

    def heal(self) -> None:
        """Remove all fault rules."""
        request = urllib.request.Request(f"{self.demo['sandbox']['url']}/faults", method="DELETE")
        urllib.request.urlopen(request, timeout=60).close()

    def arm(self, name: str, point: str, nth: int = 1) -> None:
        """Have a node kill itself at a crash point."""
        url = f"{self.node(name)['url']}/internal/crash"
        answer = self.post(url, {"point": point, "nth": str(nth)})
        assert answer == {"armed": point}, answer

    def restarted(self, name: str, pid: int) -> None:
        """Wait until a node's process has ended and another answers in its place."""
        wait_until(lambda: _another(self.node(name), pid))

    def dead(self, name: str) -> Outage:
        """A node that is killed and stays dead as long as the with-block lasts."""
        return Outage(self.data, name)

    def restart_access(self, place: int) -> None:
        """Kill an access process and wait for the one that takes its place."""
        pid = self.demo["access"][place]["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: _another(self.demo["access"][place], pid))

    def seen(self, name: str, *, is_open: bool) -> None:
        """Wait until every access process believes a node open, or not open."""
        wanted = f'bailiwick_access_node_open{{node="{name}"}} {1.0 if is_open else 0.0}'
        for access in self.demo["access"]:
            wait_until(lambda url=access["status_url"]: wanted in _metrics(url))

    def publish(self, topology: str) -> int:
        """Publish a topology; its epoch, which the processes get within moments."""
        world = self.data / "world"
        (world / "topology.toml").write_text(topology, encoding="utf-8")
        nats = self.demo["nats"]
        told = json.loads(
            bailiwick(
                "topology", "publish", "--world", str(world),
                "--key", str(self.data / "secrets" / "world.key"), "--json",
                *(["--nats", nats["url"]] if nats else []),
            )
        )  # fmt: skip
        return int(told["epoch"])

    def arrived(self, epoch: int, but: tuple[str, ...] = ()) -> None:
        """Wait until every access process has an epoch, and every node but some."""
        demo = self.demo
        urls = [each["status_url"] for each in demo["access"]]
        urls += [each["url"] for each in demo["nodes"] if each["name"] not in but]
        for url in urls:
            wait_until(lambda url=url: _epoch(url) >= epoch)

    def check(self, *arguments: str, wait_s: int = 300) -> dict[str, Any]:
        """The checker's verdict after at most ``wait_s`` of quiet; fails on any violation."""
        out = bailiwick(
            "check", "--data", str(self.data), "--json", "--wait", str(wait_s), *arguments
        )
        found: dict[str, Any] = json.loads(out)
        return found


def _another(process: dict[str, Any], pid: int) -> bool:
    """Whether a process of the demo is another than this one, and answers."""
    if process["pid"] == pid:
        return False
    try:
        urllib.request.urlopen(f"{process['url']}/readyz", timeout=20).close()
    except OSError:
        return False
    return True


def _epoch(url: str) -> int:
    found = re.search(r"bailiwick_\w*epoch(?:{[^}]*})? ([0-9.e+]+)", _metrics(url))
    assert found is not None
    return int(float(found[1]))


def _metrics(url: str) -> str:
    with urllib.request.urlopen(f"{url}/metrics", timeout=60) as answer:
        return str(answer.read().decode())
