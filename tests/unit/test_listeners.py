"""Which routes are behind which listener, read from the applications themselves."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import falcon.inspect
import pytest
from access_kit import ATLAS, access, write_world
from test_access_cli import command_line

from bailiwick import resources
from bailiwick.access.app import build
from bailiwick.access.front import Front
from bailiwick.access.nodes.forward import HopError, NodeClient
from bailiwick.access.status import build_status
from bailiwick.cli import access as access_command
from bailiwick.node.app import build as build_node
from bailiwick.node.public import build_public
from bailiwick.node.service import Node
from bailiwick.orders.machine import Machine
from bailiwick.wire import server as http
from bailiwick_lab.servers.ports import free_port

CLIENTS = {path.template for each in resources.every() for path in each.paths} | {"/v1/explain"}
ALIVE = {"/healthz", "/readyz"}
OPERATORS = {"/usage", "/metrics"}
LISTENERS = {
    # access: the only one that the world reaches
    "access listen": CLIENTS
    | ALIVE
    | {
        "/openapi.json",
        "/v1/topology",
        "/v1/nodes/{node_name}/callbacks/{gateway}",
        "/v1/nodes/{node_name}/returns/{attempt}",
    },
    "access status_listen": ALIVE | OPERATORS,
    # node: access and operators come here, with certificates where there is an authority
    "node listen": CLIENTS
    | ALIVE
    | OPERATORS
    | {
        "/v1/callbacks/{gateway}",
        "/v1/returns/{attempt}",
        "/usage/gateways",
        "/internal/refusals",
        "/internal/copies",
        "/internal/residency/{identifier}",
        "/internal/canary",
        "/internal/crash",
    },
    # node: providers come here, and payers come back
    "node callback_listen": ALIVE | {"/v1/callbacks/{gateway}", "/v1/returns/{attempt}"},
}


def test_routes_by_listener(tmp_path: Path) -> None:
    write_world(tmp_path, {"europe": (1, "http://127.0.0.1:1")})
    front = Front(tmp_path, b"internal", atlas=ATLAS)
    none = cast(Any, None)
    machine = Machine(1, none, none, none, none, none, 1.0)
    refusals = SimpleNamespace(secret=b"")
    node = cast(
        Node,
        SimpleNamespace(
            number=1, machine=machine, refusals=refusals, configurations=None, screener=None
        ),
    )  # only kept
    made: dict[str, Any] = {
        "access listen": build(front),
        "access status_listen": build_status(front),
        "node listen": build_node(node),
        "node callback_listen": build_public(node),
    }
    found = {
        name: {route.path for route in falcon.inspect.inspect_routes(app)}
        for name, app in made.items()
    }
    assert found == LISTENERS


async def test_the_world_learns_nothing_of_the_inside(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        it.nodes[0].usage["draining"] = True
        await it.front.node_monitor.ask_all()
        told = b""
        for path in ("/healthz", "/readyz", "/usage", "/metrics", "/usage/gateways"):
            told += (await it.call("GET", path, key=None)).body
        for word in (b"europe", b"apac", b"epoch", b"draining", b"open", b"127.0.0.1"):
            assert word not in told
        answer = await it.status("/readyz")
        assert "draining" in json.loads(answer.body)["nodes"]["europe"]
        usage = json.loads((await it.status("/usage")).body)
        assert [node["name"] for node in usage["nodes"]] == ["europe", "apac"]
        assert (await it.status("/v1/topology")).status == 404


@pytest.mark.parametrize(("problems", "status"), [([], 200), (["gateway bank is closed"], 503)])
async def test_providers_are_not_told_what_is_wrong(problems: list[str], status: int) -> None:
    node = cast(Node, SimpleNamespace(ready=lambda: problems))
    server = http.HttpServer(build_public(node), grace_s=1)
    await server.start()
    client = NodeClient(f"http://127.0.0.1:{server.port}")
    try:
        answer = await client.request("GET", b"/readyz")
    finally:
        client.close()
        await server.stop()
    word = "ready" if status == 200 else "not ready"
    assert (answer.status, json.loads(answer.body)) == (status, {"status": word})


@contextmanager
def process(world: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    running = subprocess.Popen(
        command_line(world, *options), stderr=subprocess.PIPE, env=os.environ
    )
    try:
        yield running
    finally:
        running.send_signal(signal.SIGKILL)
        running.communicate()


async def told(url: str, path: bytes) -> dict[str, Any]:
    """What a process that is just starting answers at last."""
    client = NodeClient(url)
    try:
        for _ in range(400):
            try:
                return cast(dict[str, Any], json.loads((await client.request("GET", path)).body))
            except HopError:
                await asyncio.sleep(0.05)
    finally:
        client.close()
    raise AssertionError(f"{url} never answered")


async def test_processes_of_one_port_each_tell_of_themselves(tmp_path: Path) -> None:
    """Two that share the clients' port take two ports for operators, one after the other."""
    write_world(tmp_path, {"europe": (1, "http://127.0.0.1:1")})
    port = free_port()
    status = free_port([port])
    options = (
        "--listen", f"127.0.0.1:{port}", "--shared-port",
        "--status-listen", f"127.0.0.1:{status}",
    )  # fmt: skip
    with process(tmp_path, *options), process(tmp_path, *options):
        for number in (status, status + 1):
            assert (await told(f"http://127.0.0.1:{number}", b"/usage"))["object"] == "usage"
        ready = {"status": "no node answers"}
        assert await told(f"http://127.0.0.1:{port}", b"/readyz") == ready


def test_a_taken_port_for_operators_is_named() -> None:
    with http.bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"status_listen.*{port}.*its own port"):
            access_command._status_socket("127.0.0.1", port, shared=False)


@pytest.mark.parametrize("listen", ["9010", "127.0.0.1:x"])
def test_a_wrong_address_for_operators_is_named(tmp_path: Path, listen: str) -> None:
    write_world(tmp_path, {"europe": (1, "http://127.0.0.1:1")})
    found = subprocess.run(
        command_line(tmp_path, "--check", "--status-listen", listen),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 1
    assert "status_listen" in found.stderr


def test_operators_may_have_no_listener(tmp_path: Path) -> None:
    write_world(tmp_path, {"europe": (1, "http://127.0.0.1:1")})
    found = subprocess.run(
        command_line(tmp_path, "--check", "--status-listen", ""),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
