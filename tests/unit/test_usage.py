"""Verdicts on a node's usage state, and the board that collects reports."""

import asyncio

import msgspec
import pytest

from bailiwick.access.usage import Board, Report, Usage, monotonic_ms, verdict


class Limits(msgspec.Struct, frozen=True):
    inflight_max_ratio: float = 0.9
    error_rate_max: float = 0.5
    database_lag_max_ms: int = 2000
    stale_after_ms: int = 3000


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
        (Report(usage(inflight=230), 10_000), "open"),
        (Report(usage(inflight=231), 10_000), "overloaded: 231 of 256"),
        (Report(usage(capacity=0, inflight=0), 10_000), "overloaded"),
        (Report(usage(error_rate=0.5), 10_000), "open"),
        (Report(usage(error_rate=0.75), 10_000), "failing: 75%"),
        (Report(usage(database_lag_ms=2001), 10_000), "database lag 2001 ms"),
        (Report(usage(draining=True), 1_000), "stale"),
    ],
)
def test_verdict(report: Report | None, expected: str) -> None:
    found = verdict(report, Limits(), 10_000)
    assert found == expected if expected == "open" else found.startswith(expected)


async def test_board_hears_of_headers_and_ignores_nonsense() -> None:
    board = Board({1: "http://127.0.0.1:1", 2: "http://127.0.0.1:1"})
    board.observe(1, b'{"node":1,"inflight":255,"capacity":256}')
    board.observe(2, b'{"node":1}')
    board.observe(2, b"{")
    board.observe(2, None)
    verdicts = board.verdicts(Limits(), monotonic_ms())
    assert verdicts[1].startswith("overloaded")
    assert verdicts[2].startswith("stale")
    assert board.answering(Limits()) == [1]


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
    board = Board({1: f"http://127.0.0.1:{port}"})
    await board.ask_all()
    assert board.verdicts(Limits()) == {1: "open"}
    server.close()
    board.set_nodes({1: "http://127.0.0.1:1"})
    await board.ask_all()
    assert board.verdicts(Limits())[1].startswith("unreachable")
    assert board.answering(Limits()) == []
    board.set_nodes({})
    assert board.verdicts(Limits()) == {}
    board.close()
