"""The demo as a user starts it: one command, everything answers, nothing is left behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from bailiwick.cli.main import bailiwick
from bailiwick.topology import snapshot
from bailiwick_lab.demo import world as demo_world
from bailiwick_lab.servers import engines
from bailiwick_lab.servers.ports import free_port
from bailiwick_sandbox import config as sandbox_config
from tests.waiting import wait_until

COMPLETE = all(bailiwick.get_command(None, name) for name in ("node", "access"))  # type: ignore[arg-type]


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not pytest's tmp_path: the database's user could not enter it when we are root.
    place = Path(tempfile.mkdtemp(prefix="bw-"))
    place.chmod(0o755)
    data = place / "demo"
    yield data
    call("--stop", "--data", data)
    for cluster in data.glob("nodes/*/postgres"):
        engines.remove(cluster)
    shutil.rmtree(place, ignore_errors=True)


def call(*arguments: object) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "bailiwick", "demo", "--json", *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=600,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


def state(data: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((data / "demo.json").read_text())
    return found


def pids(demo: dict[str, Any]) -> list[int]:
    nodes = [pid for node in demo["nodes"] for pid in (node["pid"], node["postgres_pid"])]
    return [*nodes, *(one["pid"] for one in demo["access"]), demo["sandbox"]["pid"]]


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=20) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@pytest.mark.parametrize("count", range(1, demo_world.MOST_NODES + 1))
def test_the_written_world_is_valid_and_complete(tmp_path: Path, count: int) -> None:
    ports = demo_world.load_ports(tmp_path, count, 2, None)
    merchants = demo_world.write_world(tmp_path, count, ports)
    world = snapshot.load(tmp_path / "world")
    principal = world.merchants.by_key(merchants[0].secret)
    assert principal is not None
    assert principal.merchant.id == "acct_demo"
    sandbox_config.load(tmp_path / "sandbox" / "sandbox.toml")
    homes = demo_world.homes(count)
    assert all(homes[region.name] for region in demo_world.regions(count))
    assert sorted(place for places in homes.values() for place in places) == sorted(
        place for region in demo_world.REGIONS for place in region.places
    )


def test_a_changed_world_file_and_the_ports_survive(tmp_path: Path) -> None:
    ports = demo_world.load_ports(tmp_path, 3, 2, None)
    keys = demo_world.write_world(tmp_path, 3, ports)
    topology = tmp_path / "world" / "topology.toml"
    topology.write_text(topology.read_text() + "# mine\n")
    again = demo_world.load_ports(tmp_path, 3, 2, None)
    assert again == ports
    assert demo_world.write_world(tmp_path, 3, again) == keys
    assert topology.read_text().endswith("# mine\n")
    with pytest.raises(demo_world.WorldProblem, match="made with 3 nodes"):
        demo_world.load_ports(tmp_path, 2, 2, None)


def test_a_dsn_that_moved_is_written_anew(tmp_path: Path) -> None:
    ports = demo_world.load_ports(tmp_path, 1, 1, None)
    demo_world.write_world(tmp_path, 1, ports)
    region = demo_world.REGIONS[0]
    demo_world.write_node(tmp_path, region, 1, ports, "postgresql://old")
    file = demo_world.write_node(tmp_path, region, 1, ports, r"postgresql://new\1")
    text = file.read_text()
    assert "old" not in text
    assert text.count("dsn = ") == 1
    assert file.stat().st_mode & 0o777 == 0o600


def test_remove_leaves_other_folders_alone(folder: Path) -> None:
    folder.mkdir()
    (folder / "precious").write_text("x")
    status, said = call("--remove", "--data", folder)
    assert status == 1
    assert "left alone" in said["error"]
    assert (folder / "precious").exists()


@pytest.mark.skipif(not COMPLETE, reason="the node and access commands are not here")
def test_the_whole_life_of_a_demo(folder: Path) -> None:
    port = free_port()
    arguments = ("--background", "--data", folder, "--port", port, "--nodes", 2, "--access", 1)
    status, said = call(*arguments)
    assert status == 0, said
    assert said["base_url"] == f"http://127.0.0.1:{port}"
    assert said == state(folder)
    urls = [one["url"] for one in (*said["nodes"], *said["access"])]
    assert all(answers(url + "/readyz") for url in urls)
    assert answers(said["sandbox"]["books_url"])

    status, refused = call(*arguments)
    assert status == 1
    assert f"process {said['supervisor']['pid']}" in refused["error"]

    # What dies comes back, a database included, and demo.json follows.
    dead = [said["nodes"][0]["pid"], said["nodes"][1]["postgres_pid"]]
    for pid in dead:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: None not in pids(state(folder)) and not set(dead) & set(pids(state(folder))))
    wait_until(lambda: all(answers(url + "/readyz") for url in urls))

    # A killed supervisor takes everything with it.
    before = state(folder)
    os.kill(before["supervisor"]["pid"], signal.SIGKILL)
    wait_until(lambda: all(gone(pid) for pid in pids(before)))

    # Keys, ports and data are still there.
    status, again = call("--background", "--data", folder)
    assert status == 0, again
    for name in ("base_url", "secret_key", "world"):
        assert again[name] == said[name]
    assert [node["dsn"] for node in again["nodes"]] == [node["dsn"] for node in said["nodes"]]

    assert call("--stop", "--data", folder) == (0, {"stopped": True})
    assert all(gone(pid) for pid in pids(again))
    assert not (folder / "demo.json").exists()
    assert call("--stop", "--data", folder) == (0, {"stopped": False})
    assert call("--remove", "--data", folder) == (0, {"removed": True})
    assert not folder.exists()
