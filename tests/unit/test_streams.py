"""Where a client of a stream of events left off, and how many streams there may be."""

import asyncio
import gc

import pytest

from bailiwick.base.errors import ApiError
from bailiwick.interlink.event_stream import BATCH, Cursor, Place, cursor_of, place_of, wanted
from bailiwick.wire import event_streams
from bailiwick.wire.event_streams import Round, Streams

NOW_S = 1_800_000_000


def test_a_cursor_comes_back_as_it_went() -> None:
    for places in ({}, {1: "7.0"}, {1: "7.0", 65535: "999999999999999999.123456"}):
        cursor = Cursor(NOW_S, places)
        assert cursor_of(str(cursor), NOW_S) == cursor
    assert place_of("12.3") == Place(12, 3)
    assert str(Place(12, 3)) == "12.3"


@pytest.mark.parametrize(
    "text",
    ["", "x", "12", "1800000000,", "1800000000,1", "1800000000,1:2", "1800000000,1:2.",
     "1800000000,1:-2.0", "1800000000,123456:2.0", "1800000000,1:2.0,", "1800000000;1:2.0",
     "1800000000,1:1234567890123456789.0", "1800000000,1:2.0\n", "\u0661800000000,1:2.0",
     "evt_01hzzzzzzzzzzzzzzzzzzzzzzz", "1799913599,1:2.0", "1800000061,1:2.0"],
)  # fmt: skip
def test_what_is_no_cursor_or_too_old_is_refused(text: str) -> None:
    with pytest.raises(ApiError) as refused:
        cursor_of(text, NOW_S)
    assert refused.value.status == 400 and refused.value.param == "Last-Event-ID"


def test_who_wants_a_stream() -> None:
    for accept in ("text/event-stream", "Text/Event-Stream; q=1, */*", "a/b,text/event-stream"):
        assert wanted(accept) and not wanted(accept, BATCH)
    for accept in (None, "", "*/*", "text/*", "application/json", "xtext/event-stream"):
        assert not wanted(accept)
    assert wanted(BATCH, BATCH)


async def _nothing() -> Round:
    return Round([], "at")


async def test_streams_are_counted_until_nobody_has_them() -> None:
    streams = Streams(most=3, of_one=2)
    first = [streams.admit("a", _nothing, Round([], "at")) for _ in range(2)]
    with pytest.raises(ApiError) as refused:
        streams.admit("a", _nothing, Round([], "at"))
    assert refused.value.status == 429 and refused.value.code == "too_many_streams"
    other = streams.admit("b", _nothing, Round([], "at"))
    with pytest.raises(ApiError):
        streams.admit("c", _nothing, Round([], "at"))
    assert streams.open == 3
    first.clear()
    gc.collect()
    assert streams.open == 1
    again = streams.admit("c", _nothing, Round([], "at"))
    assert other is not again and streams.open == 2


async def test_a_stream_tells_waits_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_streams, "EVERY_S", 0.0)
    monkeypatch.setattr(event_streams, "SAID_EVERY_S", 0.0)
    found = [
        Round([("2", b"{}")], "3", True),
        Round([], "4", word="without: europe"),
        Round([], "5"),
    ]

    async def look() -> Round:
        if not found:
            raise ApiError.unauthorized("The key was revoked.")
        return found.pop(0)

    streams = Streams()
    stream = streams.admit("a", look, Round([("1", b"[]")], "1"))
    said = [(each.event, each.event_id, each.data, each.comment) async for each in stream]
    assert [each[1:] for each in said[:-1]] == [
        ("1", None, None), ("1", b"[]", None), ("1", None, "all told"),
        ("2", b"{}", None), ("3", None, "all told"), ("4", None, "without: europe"),
        ("5", None, "nothing new"),
    ]  # fmt: skip
    assert said[-1][0] == "error" and b"revoked" in said[-1][2]


async def test_a_stream_ends_with_its_process_and_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    streams = Streams()
    waiting = streams.admit("a", _nothing, Round([], "at"))
    count = asyncio.ensure_future(_count(waiting))
    streams.close()
    assert await count == 2, "how to come again, and where it has come to"
    monkeypatch.setattr(event_streams, "LIFE_S", 0.0)
    assert await _count(Streams().admit("a", _nothing, Round([], "at"))) == 2


async def _count(stream: event_streams.Stream) -> int:
    return len([each async for each in stream])
