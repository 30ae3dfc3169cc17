"""The drill's parts: figures, the scenarios' names, the folders of dead drills, the network."""

import asyncio
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

import bailiwick
from bailiwick.access.nodes.forward import HopError
from bailiwick.wire.client import Answer
from bailiwick_lab.drill.engine import lacking_success
from bailiwick_lab.drill.hosts import folders, namespaces
from bailiwick_lab.drill.hosts.network import Bridged, Loopback, Unproven
from bailiwick_lab.drill.hosts.processes import FREEZE_POINTS, freeze_at
from bailiwick_lab.drill.load import LAST, METHODS, Told, read
from bailiwick_lab.drill.measure import Window, figures, quantile
from bailiwick_lab.drill.scenarios.catalogue import ALL, SCENARIOS
from bailiwick_lab.drill.scenarios.several import drawn_faults
from bailiwick_lab.drill.scenarios.worlds import with_home

WINDOW = Window(start=0, fault=10, proven=11, heal=20, whole=22, end=30)


def told(due: float, *, status: str = "ok", good: bool = True, done_s: float = 0.1) -> Told:
    return Told(
        key="k", operation="create", status=status, payment="pi_1", node="europe", kind="sale",
        access=0, due=due, done_s=done_s, tries=1, good=good,
    )  # fmt: skip


def test_figures_of_an_outage() -> None:
    history = [
        told(5),
        told(10.5, good=False, done_s=10.5),  # between fault and proof: of no phase
        told(12, good=False, done_s=9.0),
        told(15, good=False, status="in_doubt"),
        told(25),
    ]
    found = figures(history, WINDOW, ["europe", "apac"])
    europe = found.nodes["europe"]
    assert (found.requests, found.ok, found.in_doubt) == (5, 4, 1)
    assert (europe.before.good, europe.during.good, europe.after.good) == (1.0, 0.0, 1.0)
    assert europe.during.requests == 2
    assert europe.longest_gap_s == pytest.approx(11.0)  # from the fault at 10 to 21
    assert europe.recover_s == pytest.approx(1.0)
    assert found.nodes["apac"].before.good is None
    assert found.nodes["apac"].longest_gap_s is None


def test_a_gap_that_lasts_to_the_end_is_counted() -> None:
    found = figures([told(11)], WINDOW, ["europe"])
    assert found.nodes["europe"].longest_gap_s == pytest.approx(18.9)


def test_quantiles() -> None:
    assert quantile([], 0.5) is None
    assert [quantile([3, 1, 2, 4], share) for share in (0.01, 0.5, 0.99)] == [1, 2, 4]


def answer(status: int, document: object) -> Answer:
    return Answer(status, {}, msgspec.json.encode(document))


@pytest.mark.parametrize(
    ("status", "document", "expected"),
    [
        (200, {"id": "pi_1", "status": "succeeded"}, "ok"),
        (200, {"id": "pi_1", "status": "requires_capture"}, "ok"),
        (200, {"id": "pi_1", "status": "requires_confirmation"}, "ok"),
        (200, {"id": "pi_1", "status": "processing"}, "in_doubt"),
        (503, {"error": {"code": "node_unavailable"}}, "in_doubt"),
        (409, {"error": {"code": "idempotency_key_in_use"}}, "in_doubt"),
        (402, {"error": {"code": "card_declined", "payment_intent": {"id": "pi_1"}}}, "fail"),
        # A capture that was not sent leaves the payment as it was: that is no success.
        (400, {"error": {"payment_intent": {"id": "pi_1", "status": "requires_capture"}}}, "fail"),
    ],
)
def test_what_an_answer_means(status: int, document: object, expected: str) -> None:
    line = told(0, status="in_doubt")
    read(answer(status, document), line)
    assert line.status == expected


def test_every_crash_point_is_frozen() -> None:
    source = Path(bailiwick.__file__).parent
    points = {
        name
        for file in source.rglob("*.py")
        # Operators' commands: no drill runs them.
        if not {"erasure", "deletion"} & {*file.parts} and file.parts[-3:-1] != ("node", "gateways")
        for name in re.findall(r'^\s+crash_point\("([a-z.]+)"\)', file.read_text(), re.MULTILINE)
    }
    assert set(FREEZE_POINTS) == points


def test_scenarios_have_names_and_words() -> None:
    assert len(SCENARIOS) == len(ALL), "two scenarios have one name"
    for kind in ALL:
        assert re.fullmatch(r"[a-z][a-z-]+", kind.name)
        assert kind.about
        assert set(kind.kinds) <= set(METHODS)
    assert {"node-drained", "node-adopted", "node-evacuated", "node-joined"} <= set(SCENARIOS)
    assert set(LAST) <= set(METHODS)


def test_faults_that_come_together_are_all_of_another_kind() -> None:
    seen: set[str] = set()
    for seed in range(200):
        drawn = [each.name for each in drawn_faults(random.Random(seed), 3)]
        assert len(set(drawn)) == 3
        assert sum(name.startswith("partition") for name in drawn) <= 1  # one mending ends all
        seen |= set(drawn)
    assert {"node-killed", "postgres-crashed", "partition-to-access"} <= seen
    assert sum(name.startswith("node-frozen") for name in seen) == 4


def test_an_outage_that_lasts_too_long_breaks_the_run() -> None:
    found = figures([told(12), told(26)], WINDOW, ["europe", "apac"])
    assert lacking_success(found.nodes["europe"], None) == ""
    assert lacking_success(found.nodes["europe"], 14.5) == ""
    assert "14.0 s" in lacking_success(found.nodes["europe"], 13.0)
    assert "to the end" in lacking_success(found.nodes["apac"], 30.0)


def test_a_place_gets_a_rule_of_its_own() -> None:
    text = 'epoch = 1\n\n[[rules]]\nplaces = ["IN"]\nnodes = ["apac"]\nresidency = "strict"\n'
    assert 'nodes = ["europe", "apac"]\nresidency = "strict"' in with_home(
        text, "IN", ["europe", "apac"]
    )
    moved = with_home(text, "DE", ["apac"])
    assert moved.startswith(text.rstrip())
    assert 'places = ["DE"]\nnodes = ["apac"]\nresidency = "prefer"' in moved


def test_only_folders_of_dead_drills_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    mine = folders.make()
    # Our own process number with another beginning: the number has come again.
    dead = tmp_path / f"bailiwick-drill-{os.getpid()}-1000-abc"
    kept = tmp_path / f"bailiwick-drill-{os.getpid()}-1001-abc"
    others = tmp_path / "bailiwick-drill-notes"
    for folder in (dead, kept, others):
        folder.mkdir()
    folders.keep(kept)
    assert folders.sweep() == [dead]
    assert all(folder.exists() for folder in (mine, kept, others))


@pytest.fixture
def allowed() -> None:
    why = namespaces.why_not()
    if why:
        pytest.skip(why)


@pytest.mark.usefixtures("allowed")
async def test_one_direction_is_cut_and_the_other_is_not() -> None:
    network = Bridged(["a", "b"])
    before = os.readlink("/proc/self/ns/net")
    try:
        assert await network.passes("a", "b")
        await network.cut("a", "b")
        assert not await network.passes("a", "b")
        assert await network.passes("b", "a")
        assert await network.passes("control", "b")
        await network.mend()
        assert await network.passes("a", "b")
    finally:
        await network.close()
    assert os.readlink("/proc/self/ns/net") != before, "we are back in our own network"


async def test_loopback_cuts_what_goes_through_the_door() -> None:
    network = Loopback(["access-1", "node"])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, network.host("node").address, 0)
    try:
        await network.door("node", server.sockets[0].getsockname()[1])
        for source, target in (("access-1", "node"), ("node", "access-1")):
            assert await network.passes(source, target)
            await network.cut(source, target)
            assert not await network.passes(source, target)
            await network.mend()
            assert await network.passes(source, target)
        with pytest.raises(Unproven, match="use namespaces"):
            await network.cut("control", "access-1")
    finally:
        await network.close()
        server.close()


_STANDS_STILL = """
import os, signal, socket
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
connection, _ = server.accept()
connection.recv(65536)
{ending}
"""


class _Stub:
    """A node of one request: all that ``freeze_at`` needs of a unit."""

    name = "node europe"

    def __init__(self, ending: str) -> None:
        script = _STANDS_STILL.format(ending=ending)
        self.process = psutil.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
        )
        self.url = f"http://127.0.0.1:{self.process.stdout.readline().strip()}"

    @property
    def frozen(self) -> bool:
        return bool(self.process.status() == psutil.STATUS_STOPPED)


@pytest.fixture
def stub() -> Iterator[Callable[[str], Any]]:
    made: list[_Stub] = []

    def make(ending: str) -> _Stub:
        made.append(_Stub(ending))
        return made[-1]

    yield make
    for each in made:
        each.process.kill()
        each.process.wait()


async def test_a_node_may_stand_still_before_it_has_said_so(stub: Callable[[str], Any]) -> None:
    node = stub("os.kill(os.getpid(), signal.SIGSTOP)")
    await freeze_at(node, "next.permitted")
    assert node.frozen


async def test_a_node_that_ends_instead_is_an_error(stub: Callable[[str], Any]) -> None:
    with pytest.raises(HopError):
        await freeze_at(stub("connection.close()"), "next.permitted")
