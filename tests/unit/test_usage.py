"""A node's usage state: what a report says, hysteresis, history, and the board of all nodes."""

import asyncio
import itertools
import random

import msgspec
import pytest

from bailiwick.access.nodes.node_monitor import NodeMonitor, shown
from bailiwick.base.history import CHANGES_MAX
from bailiwick.interlink.usage_report import (
    CLOSED,
    OPEN,
    SPACING_MS,
    UNKNOWN,
    Report,
    Usage,
    UsageTracker,
    judge,
)
from bailiwick.topology.parts import Thresholds
from tests.waiting import until

LIMITS = Thresholds()


def usage(**changes: object) -> Usage:
    return msgspec.structs.replace(Usage(1, inflight=3, capacity=256), **changes)


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (None, "stale: no report yet"),
        (Report(None, 0, "the connection was refused"), "stale: no report yet: the connection was"),
        (Report(usage(), 10_000), "open"),
        (Report(usage(), 7_000), "open"),
        (Report(usage(), 6_999), "stale: last report 3.0 s ago"),
        (Report(usage(), 9_900, "the connection was refused"), "unreachable: the connection"),
        (Report(usage(draining=True), 10_000), "draining"),
        (Report(usage(draining=True, fenced=True), 10_000), "fenced"),
        (Report(usage(inflight=230), 10_000), "open"),
        (Report(usage(inflight=231), 10_000), "overloaded: 90% of its capacity, 231 of 256"),
        (Report(usage(capacity=0, inflight=0), 10_000), "overloaded"),
        (Report(usage(shedding=True), 10_000), "overloaded: 1% of its capacity, 3 of 256"),
        (Report(usage(error_rate=0.5), 10_000), "open"),
        (Report(usage(error_rate=0.75), 10_000), "failing: 75%"),
        (Report(usage(database_lag_ms=2001), 10_000), "database lag 2001 ms"),
        (Report(usage(draining=True), 1_000), "stale"),
    ],
)
def test_what_one_report_says(report: Report | None, expected: str) -> None:
    found = judge(report, LIMITS, 10_000).why
    assert found == expected if expected == "open" else found.startswith(expected)


class Node:
    """A watched node and its clock."""

    def __init__(self, limits: Thresholds = LIMITS) -> None:
        self.watch = UsageTracker(0)
        self.limits = limits
        self.now = 1_000_000
        self.last: Report | None = None

    def says(self, found: Usage, after_ms: int = 1_000, failure: str | None = None) -> str:
        self.now += after_ms
        self.last = Report(found, self.now, failure)
        return self.watch.see(self.last, self.limits, self.now, self.now, fresh=True)

    def later(self, after_ms: int) -> str:
        self.now += after_ms
        return self.watch.see(self.last, self.limits, self.now, self.now)

    def states(self) -> list[str]:
        return [change.after for change in reversed(self.watch.history.changes)]


BUSY = usage(inflight=250)
CALM = usage(inflight=10)
SHEDDING = usage(inflight=100, shedding=True)


def test_it_is_open_with_its_first_good_report() -> None:
    node = Node()
    assert node.watch.history.state == UNKNOWN
    assert node.later(5_000).startswith("stale: no report yet")
    assert node.says(CALM) == OPEN
    assert node.states() == [OPEN]


def test_one_bad_report_closes_nothing() -> None:
    node = Node()
    for _ in range(20):
        assert node.says(CALM, 300) == OPEN
        assert node.says(BUSY, 300) == OPEN
    assert node.states() == [OPEN]


def test_bad_reports_in_a_row_close_it() -> None:
    node = Node()
    node.says(CALM)
    fast = Thresholds(close_after_ms=600_000)
    node.limits = fast
    assert [node.says(SHEDDING, SPACING_MS) for _ in range(2)] == [OPEN, OPEN]
    assert node.says(SHEDDING, SPACING_MS).startswith("overloaded")
    change = node.watch.history.changes[0]
    assert (change.before, change.after, change.figures) == (OPEN, CLOSED, SHEDDING)
    assert change.why.startswith("overloaded")


def test_a_thousand_reports_at_once_count_as_one() -> None:
    node = Node()
    node.says(CALM)
    for _ in range(100):
        assert node.says(SHEDDING, 1) == OPEN
    assert node.says(SHEDDING, SPACING_MS) == OPEN
    assert node.says(SHEDDING, SPACING_MS) != OPEN


def test_a_short_peak_is_smoothed_away() -> None:
    node = Node()
    node.says(CALM)
    for _ in range(20):
        assert node.says(BUSY, 10) == OPEN
    for _ in range(100):
        assert node.says(CALM, 10) == OPEN
    assert node.states() == [OPEN]


def test_a_load_that_dips_now_and_then_is_overload_all_the_same() -> None:
    node = Node()
    node.says(CALM)
    for number in range(200):
        node.says(usage(inflight=5 if number % 4 == 0 else 6, capacity=6), 10)
    assert node.watch.verdict.startswith("overloaded")


def test_what_stays_bad_for_long_closes_it_with_few_reports() -> None:
    node = Node()
    node.says(CALM)
    assert node.says(BUSY) == OPEN
    assert node.says(BUSY, LIMITS.close_after_ms).startswith("overloaded")


@pytest.mark.parametrize(
    ("found", "failure", "word"),
    [
        (usage(draining=True), None, "draining"),
        (usage(fenced=True, draining=True), None, "fenced"),
        (CALM, "the connection was refused", "unreachable"),
    ],
)
def test_what_is_said_outright_closes_it_at_once(
    found: Usage, failure: str | None, word: str
) -> None:
    node = Node()
    node.says(CALM)
    assert node.says(found, 1, failure).startswith(word)


def test_it_gets_stale_without_a_report() -> None:
    node = Node()
    node.says(CALM)
    assert node.later(LIMITS.stale_after_ms) == OPEN
    assert node.later(1).startswith("stale")


def test_what_a_person_ended_opens_at_once() -> None:
    node = Node()
    node.says(CALM)
    node.says(usage(draining=True))
    assert node.says(CALM, 10) == OPEN


@pytest.mark.parametrize("failure", [None, "no answer in time"])
def test_after_trouble_it_opens_when_it_was_calm_for_a_while(failure: str | None) -> None:
    node = Node()
    node.says(CALM)
    for _ in range(4):
        node.says(BUSY if failure is None else CALM, 500, failure)
    assert node.watch.verdict != OPEN
    assert node.says(CALM, 1_000).endswith("opens after 2 s of calm")
    assert node.says(CALM, 900) != OPEN
    # Between the two thresholds (0.72 and 0.9 of the capacity) it is neither bad nor calm.
    assert node.says(usage(inflight=200), 1_000).startswith("overloaded: 77% of its capacity")
    assert node.says(CALM, 1_000) != OPEN
    assert node.says(CALM, LIMITS.open_after_ms - 1) != OPEN
    assert node.later(1) == OPEN


def test_draining_does_not_hide_that_it_is_overloaded_too() -> None:
    node = Node()
    node.says(usage(draining=True))
    assert node.says(BUSY, 1_000).startswith("overloaded")
    assert node.says(CALM, 1_000) != OPEN
    assert node.says(CALM, LIMITS.open_after_ms) == OPEN


def test_noise_around_the_threshold_does_not_make_it_flap() -> None:
    chance = random.Random(7)
    node = Node()
    node.says(CALM)
    plain: list[bool] = []
    for _ in range(600):
        found = usage(inflight=round(chance.gauss(230, 20)))
        node.says(found, 100)
        plain.append(judge(node.last, LIMITS, node.now).word == OPEN)
    flips = sum(a != b for a, b in itertools.pairwise(plain))
    assert flips > 200, "without hysteresis"
    assert len(node.states()) <= 4


def test_a_node_that_comes_and_goes_changes_no_faster_than_it_may_open() -> None:
    node = Node()
    for second in range(60):
        node.says(CALM, 1_000, "the connection was refused" if second % 3 == 2 else None)
    assert len(node.states()) <= 60_000 / LIMITS.open_after_ms + 2


def test_history_is_bounded_and_counts_go_on() -> None:
    node = Node()
    for _ in range(CHANGES_MAX):
        node.says(CALM)
        node.says(usage(draining=True))
    history = node.watch.history
    assert len(history.changes) == CHANGES_MAX
    assert history.counts == {OPEN: CHANGES_MAX, CLOSED: CHANGES_MAX}
    assert history.changes[0].after == CLOSED and history.since_ms == node.now


async def test_board_hears_of_headers_and_ignores_nonsense() -> None:
    node_monitor = NodeMonitor({1: "http://127.0.0.1:1", 2: "http://127.0.0.1:1"})
    node_monitor.set_nodes(
        {1: "http://127.0.0.1:1", 2: "http://127.0.0.1:1"}, Thresholds(close_after_reports=1)
    )
    node_monitor.observe(1, b'{"node":1,"inflight":255,"capacity":256,"shedding":true}')
    node_monitor.observe(2, b'{"node":1}')
    node_monitor.observe(2, b"{")
    node_monitor.observe(2, None)
    node_monitor.observe(3, b'{"node":3}')
    node_monitor.failed(3, "gone")
    verdicts = node_monitor.verdicts()
    assert verdicts[1].startswith("overloaded")
    assert verdicts[2].startswith("stale")
    assert node_monitor.answering() == [1]
    assert [node_monitor.shedding(number) for number in (1, 2, 3)] == [True, False, False]
    found = msgspec.json.decode(msgspec.json.encode(shown(node_monitor, {1: "europe"})))
    assert [(each["name"], each["state"]) for each in found] == [
        ("europe", "closed"), ("2", "unknown")
    ]  # fmt: skip
    assert found[0]["changes"][0]["figures"]["inflight"] == 255
    assert found[1]["report"] is None


async def test_board_asks_soon_again_who_was_never_heard_of() -> None:
    asked = 0

    async def node(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"node":1}' if asked > 3 else b"{}"
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        writer.close()

    server = await asyncio.start_server(node, "127.0.0.1", 0)
    node_monitor = NodeMonitor({1: f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"})
    running = asyncio.create_task(node_monitor.run(3_600))
    await until(lambda: node_monitor.answering() == [1])
    assert asked == 4
    running.cancel()
    node_monitor.close()
    server.close()


async def test_board_asks_each_second_and_sees_a_node_go_and_come_back() -> None:
    async def node(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                body = b'{"node":1,"inflight":0,"capacity":8}'
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(node, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    node_monitor = NodeMonitor({1: f"http://127.0.0.1:{port}"})
    await node_monitor.ask_all()
    assert node_monitor.verdicts() == {1: "open"}
    server.close()
    node_monitor.set_nodes({1: "http://127.0.0.1:1"})
    await node_monitor.ask_all()
    assert node_monitor.verdicts()[1].startswith("unreachable")
    assert node_monitor.answering() == []
    node_monitor.set_nodes({})
    assert node_monitor.verdicts() == {}
    node_monitor.close()
