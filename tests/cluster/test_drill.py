"""A sample of the drill: hosts of their own where that is allowed, else loopback."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest

from bailiwick_lab.drill.hosts import folders
from bailiwick_lab.drill.scenarios import catalogue as scenarios
from tests.campaign import WHOLE, part
from tests.waiting import wait_until

EVERY = list(scenarios.SCENARIOS)
"""All scenarios, each once."""
TODAY = part(EVERY, of=3)
PATIENT = [] if WHOLE else ["--any-outage"]
"""A campaign has the machine for itself."""
QUARTERS = 4
"""Those that follow each other share a cluster. Each quarter is a class of its own, so that
several run at a time (``make test`` gives a worker a class or a file)."""
HANG_S = 1_800
"""A group of scenarios takes minutes by itself."""


def drill(*arguments: str, timeout: float = HANG_S - 60) -> tuple[int, dict[str, Any], str]:
    done = subprocess.run(
        [sys.executable, "-m", "bailiwick", "drill", "--sample", *PATIENT, "--json", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    document: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
    return done.returncode, document, done.stderr


def require_held(status: int, document: dict[str, Any], said: str, runs: int) -> None:
    assert status == 0, said
    assert document["ok"]
    assert len(document["runs"]) == runs
    for run in document["runs"]:
        assert run["verdict"] == "held"
        assert run["proofs"], "a fault that was not shown proves nothing"
        assert run["lost"] == []
        assert run["check"]["violations"] == 0
        assert run["figures"]["in_doubt"] == 0
        assert run["figures"]["nodes"][run["victim"]]["during"]["requests"] >= 5
    compared = {name for line in document["summary"] for name in line["compared"]}
    assert {"history_agrees", "one_live_charge", "no_call_without_attempt"} <= compared
    assert document["version"]


@pytest.mark.timeout(HANG_S)
class Quarter:
    """The scenarios of one quarter of today's."""

    number: ClassVar[int]

    def test_money_stays_exact(self) -> None:
        first, end = (at * len(TODAY) // QUARTERS for at in (self.number, self.number + 1))
        names = TODAY[first:end]
        chosen = [word for name in names for word in ("--scenario", name)]
        status, document, said = drill(*chosen, "--seed", "7")
        skipped = document.get("skipped", {})
        require_held(status, document, said, len(names) - len(skipped))
        assert document["mode"] == "loopback" or not skipped
        assert document["seed"] == 7


class TestFirstQuarter(Quarter):
    number = 0


class TestSecondQuarter(Quarter):
    number = 1


class TestThirdQuarter(Quarter):
    number = 2


class TestLastQuarter(Quarter):
    number = 3


def test_the_same_on_loopback() -> None:
    status, document, said = drill("--loopback", "--scenario", "partition-to-node")
    require_held(status, document, said, 1)
    assert document["mode"] == "loopback"


def test_nothing_outlives_a_killed_drill() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "bailiwick", "drill", "--scenario", "node-killed"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "hosts" in line and " in " in line:
                break
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) > 20
        spaces = {_space(child) for child in children} - {_space(psutil.Process()), ""}
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_until(lambda: not any(_lives(child) for child in children))
    assert not spaces & {_space(each) for each in psutil.process_iter()}
    folders.sweep()
    assert not list(Path(tempfile.gettempdir()).glob(f"bailiwick-drill-{process.pid}-*"))


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _space(process: psutil.Process) -> str:
    try:
        return os.readlink(f"/proc/{process.pid}/ns/net")
    except OSError:
        return ""


def test_the_list_and_wrong_names() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "bailiwick", "drill", "--list", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert list(json.loads(listed.stdout)) == EVERY
    wrong = subprocess.run(
        [sys.executable, "-m", "bailiwick", "drill", "--scenario", "nothing"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert wrong.returncode == 2
    assert "--list" in wrong.stderr
