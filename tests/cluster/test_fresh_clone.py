"""What a newcomer does: clone, `make demo`, paste the printed commands, look, check, stop."""

import base64
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from bailiwick_lab.servers import engines
from bailiwick_lab.servers.ports import free_port
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(1_800)  # it installs an environment

REPO = Path(__file__).parents[2]
HOMES = {"# Munich": "europe", "# Mumbai": "apac", "# São Paulo": "americas"}


class Clone:
    """A fresh clone, and a shell in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder.parent / "data"
        kept = {name: value for name, value in os.environ.items() if name[:10] != "BAILIWICK_"}
        # The environment of the tests must not shine through into the clone's.
        for name in ("VIRTUAL_ENV", "PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "ARGS"):
            kept.pop(name, None)
        mine = str(Path(sys.executable).parent)
        paths = [path for path in kept["PATH"].split(os.pathsep) if path != mine]
        kept["PATH"] = os.pathsep.join(paths)
        self.environment = kept

    def shell(self, command: str, seconds: float = 900) -> str:
        """The standard output of a command that must succeed."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def demo(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.data / "demo.json").read_text())
        return found


@pytest.fixture(scope="module")
def clone() -> Iterator[Clone]:
    # Not pytest's tmp_path: the database's user could not enter it when we are root.
    place = Path(tempfile.mkdtemp(prefix="bwclone-"))
    place.chmod(0o755)
    fresh = Clone(place / "repo")
    try:
        source = ["git", "clone", "--quiet", "--no-hardlinks", str(REPO), str(fresh.folder)]
        done = subprocess.run(source, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"the working folder cannot be cloned: {done.stderr}"
        yield fresh
    finally:
        program = fresh.folder / ".venv" / "bin" / "bailiwick"
        if program.exists():
            stop = [str(program), "demo", "--stop", "--data", str(fresh.data)]
            subprocess.run(stop, check=False, timeout=600, stdout=subprocess.DEVNULL)
        for cluster in fresh.data.glob("nodes/*/postgres"):
            engines.remove(cluster)
        shutil.rmtree(place, ignore_errors=True)


def processes(demo: dict[str, Any]) -> list[int]:
    nodes = [pid for node in demo["nodes"] for pid in (node["pid"], node["postgres_pid"])]
    single = [demo["supervisor"]["pid"], demo["sandbox"]["pid"]]
    return [*nodes, *(one["pid"] for one in demo["access"]), *single]


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def all_end(pids: list[int]) -> None:
    """Wait until all have ended: the supervisor itself ends a moment after it says so."""
    wait_until(lambda: all(gone(pid) for pid in pids))


def printed_commands(text: str) -> dict[str, str]:
    """The commands that the demo prints, by the comment over each."""
    found = re.findall(r"^  (# .+)\n  (curl .+)$", text, re.MULTILINE)
    return dict(found)


def pasted(clone: Clone, command: str) -> dict[str, Any]:
    """What a printed command answers: by curl, or where there is none, as curl would ask."""
    if shutil.which("curl") is not None:
        found: dict[str, Any] = json.loads(clone.shell(command.replace("curl ", "curl -sS ", 1)))
        return found
    words = shlex.split(command)
    user = words[words.index("-u") + 1]
    form = "&".join(words[place + 1] for place, word in enumerate(words) if word == "-d")
    request = urllib.request.Request(words[1], data=form.encode(), method="POST")
    request.add_header("Authorization", "Basic " + base64.b64encode(user.encode()).decode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        return dict(json.load(answer))


async def test_a_newcomer_s_first_minute(clone: Clone) -> None:
    data = clone.data
    text = clone.shell(f'make demo ARGS="--background --data {data} --port {free_port()}"')
    demo = clone.demo()
    commands = printed_commands(text)
    assert set(commands) == set(HOMES)

    payments = {}
    for title, command in commands.items():
        payment = pasted(clone, command)
        assert payment["status"] == "succeeded", payment
        assert payment["node"] == HOMES[title]
        payments[payment["id"]] = payment

    # Each stands in the database of its home and in no other.
    for node in demo["nodes"]:
        connection = await asyncpg.connect(node["dsn"])
        try:
            rows = await connection.fetch("SELECT id, state FROM payment")
        finally:
            await connection.close()
        assert [row["state"] for row in rows] == ["succeeded"]
        assert payments[rows[0]["id"]]["node"] == node["name"]

    # And at the bank: three providers, one charge each, under our reference.
    with urllib.request.urlopen(demo["sandbox"]["books_url"], timeout=60) as response:
        charges = json.load(response)["charges"]
    assert len(charges) == 3
    banks = {charge["provider"] for charge in charges}
    assert len(banks) == 3
    assert banks == {payment["routing"]["gateway"] for payment in payments.values()}
    assert {charge["reference"] for charge in charges} == {
        payment["latest_charge"] for payment in payments.values()
    }
    assert {charge["status"] for charge in charges} == {"captured"}

    told = json.loads(clone.shell(f'make --silent run ARGS="check --data {data} --json"'))
    assert (told["ok"], told["payments"], told["attempts"]) == (True, 3, 3)

    # What the README and the pages say next.
    line = f'eval "$(python3 docs/env.py {data})"; echo $BASE_URL $NODE_URL'
    assert clone.shell(line).split()[0] == demo["base_url"]

    clone.shell(f'make demo ARGS="--stop --data {data}"')
    all_end(processes(demo))
    assert not (data / "demo.json").exists()


def test_in_the_foreground_and_ctrl_c(clone: Clone) -> None:
    """`make demo` by itself; the data of the first start is still there."""
    running = subprocess.Popen(
        ["make", "demo", f"DEMO_DATA={clone.data}"],
        cwd=clone.folder,
        env=clone.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert running.stdout is not None
        seen = ""
        while "Bailiwick is running at" not in seen:
            line = running.stdout.readline()
            assert line, f"it ended:\n{seen}"
            seen += line
        pids = processes(clone.demo())
        os.killpg(running.pid, signal.SIGINT)
        running.communicate(timeout=600)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGTERM)
            running.communicate(timeout=600)
    all_end(pids)
