"""Events over server-sent events: through access and at a node, over whole nodes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from bailiwick.resources.events import stream
from tests.postgres.lists_kit import SECRET, Site, site
from tests.postgres.stream_kit import listening
from tests.postgres.test_lists import PAID
from tests.waiting import PATIENCE_S, until

NAMES = ("europe", "apac", "americas")
PLACES = ("DE", "IN", "US")


@pytest.fixture
async def three(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with site(server_dsn, tmp_path, NAMES) as made:
        yield made


async def paid(it: Site, at: int = 0, *, key: str = SECRET) -> str:
    wish = {"amount": 1000, "currency": "eur", "location[country]": PLACES[at % 3], **PAID}
    status, made = await it.ask("POST", "/v1/payment_intents", wish, key=key)
    assert status == 200, made
    return str(made["id"])


def at_node(it: Site) -> str:
    return f"http://127.0.0.1:{it.nodes[0].server.port}"


async def no_answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 503, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def listed(it: Site, **params: Any) -> dict[str, dict[str, Any]]:
    _, page = await it.ask("GET", "/v1/events", {"limit": 100, **params})
    assert not page["has_more"]
    return {each["id"]: each for each in page["data"]}


async def test_all_nodes_in_order_of_each_payment(three: Site) -> None:
    before = await paid(three)
    async with listening(three.url) as client:
        assert client.status == 200
        assert client.head["content-type"].startswith("text/event-stream")
        made = [await paid(three, at) for at in range(6)]
        events = await client.events(18)
        every = await listed(three)
        assert {each["payment"] for each in events} == set(made), "and nothing of before"
        assert all(each == every[each["id"]] for each in events)
        for payment in made:
            told = [each for each in events if each["payment"] == payment]
            assert [each["sequence"] for each in told] == sorted(each["sequence"] for each in told)
            assert len({each["id"] for each in told}) == 3
    assert before not in made


async def test_it_goes_on_where_a_client_left_off(three: Site) -> None:
    """After every single event: each of the others comes once."""
    async with listening(three.url) as client:
        begun = (await client.block(), client.last)[1]
        for at in range(4):
            await paid(three, at)
        told = [each["id"] for each in await client.events(12)]
        places = [each.id for each in client.blocks if each.event is not None]
    async with listening(three.url, last=begun) as client:
        assert {each["id"] for each in await client.events(12)} == set(told)
    for at, place in enumerate(places[:-1]):
        await until(lambda: three.front.streams.open == 0)
        async with listening(three.url, last=place) as client:
            rest = [each["id"] for each in await client.events(11 - at)]
            assert sorted(rest) == sorted(told[at + 1 :])
    await until(lambda: three.front.streams.open == 0)
    async with listening(three.url, last=places[-1]) as client:
        last = await paid(three)
        assert {each["payment"] for each in await client.events(3)} == {last}


async def test_a_merchant_hears_of_its_own_and_of_what_it_asked_for(three: Site) -> None:
    async with (
        listening(three.url, key="sk_test_other") as other,
        listening(three.url, key="sk_live_first") as live,
        listening(three.url, type="charge.*") as charges,
        listening(three.url, **{"types[0]": "payment_intent.succeeded"}) as some,
        listening(at_node(three)) as node,
    ):
        made = [await paid(three, at) for at in range(3)]
        theirs = await paid(three, key="sk_test_other")
        assert [each["type"] for each in await charges.events(3)] == ["charge.succeeded"] * 3
        assert {each["payment"] for each in await some.events(3)} == set(made)
        assert {each["payment"] for each in await node.events(3)} == {made[0]}
        assert {each["payment"] for each in await other.events(3)} == {theirs}
        wish = {"name": "Jenny", "location[country]": "IN"}
        status, customer = await three.ask("POST", "/v1/customers", wish, key="sk_live_first")
        assert status == 200, customer
        (told,) = await live.events(1)
        assert (told["type"], told["livemode"]) == ("customer.created", True)
        assert told["data"]["object"]["id"] == customer["id"]


async def test_a_node_that_is_away_is_named_and_catches_up(three: Site) -> None:
    apac = three.nodes[1]
    async with listening(three.url) as client:
        await paid(three, 1)
        await client.events(3)
        whole, apac._build = apac._build, no_answer
        await paid(three, 0)
        async with asyncio.timeout(PATIENCE_S):
            while client.blocks[-1].comment != "without: apac":
                await client.block()
        told = [each.event for each in client.blocks if each.event is not None]
        place = client.last
        apac._build = whole
        late = await paid(three, 1)
        assert len(told) == 6
        assert {each["payment"] for each in await client.events(3)} == {late}
    async with listening(three.url, last=place) as client:
        assert {each["payment"] for each in await client.events(3)} == {late}


async def test_what_is_committed_late_is_told_nevertheless(three: Site) -> None:
    """A transaction under way holds back what comes after it; nothing is passed over."""
    europe = three.nodes[0]
    made = await paid(three)
    slow = await asyncpg.connect(europe.dsn)
    try:
        async with listening(three.url) as client:
            open_one = slow.transaction()
            await open_one.start()
            await slow.execute("SELECT pg_current_xact_id()")
            await slow.execute(
                "INSERT INTO event (id, subject, seq, merchant, livemode, type, body, writer,"
                " created_ms) SELECT left(id, 29) || '0', subject, 99, merchant, livemode, type,"
                " body, 1, created_ms FROM event WHERE subject = $1 AND body IS NOT NULL LIMIT 1",
                made,
            )
            later = await paid(three)
            async with listening(three.url) as second:
                await second.block()
                place = second.last
            await open_one.commit()
            events = await client.events(4)
            assert events[0]["sequence"] == 99
            assert {each["payment"] for each in events[1:]} == {later}
            async with listening(three.url, last=place) as second:
                assert (await second.events(1))[0]["sequence"] == 99
    finally:
        await slow.close()


async def test_what_is_wrong_is_refused_before_it_begins(three: Site) -> None:
    async with listening(three.url, key="sk_test_nobody") as client:
        assert client.status == 401
    for url in (three.url, at_node(three)):
        for wrong, last in (("x", "x"), ("1", "1700000000,1:1.0")):
            async with listening(url, last=last) as client:
                assert client.status == 400, wrong
                assert client.error["param"] == "Last-Event-ID"
        async with listening(url, limit=3) as client:
            assert client.status == 400 and client.error["param"] == "limit"
    async with listening(three.url) as client:
        await client.block()
        stamp = client.last.split(",", 1)[0]
    async with listening(three.url, last=f"{stamp},1:99999999999.0") as client:
        assert client.status == 400 and client.error["code"] == "stream_too_old"


async def test_there_are_so_many_and_no_more(three: Site) -> None:
    streams = three.front.streams
    async with listening(three.url), listening(three.url), listening(three.url):
        async with listening(three.url):
            async with listening(three.url) as fifth:
                assert fifth.status == 429 and fifth.error["code"] == "too_many_streams"
            async with listening(three.url, key="sk_test_other") as other:
                assert other.status == 200
        assert streams.open >= 3


async def test_a_client_that_has_gone_is_let_go(three: Site) -> None:
    async with listening(three.url) as client:
        await client.block()
        assert three.front.streams.open == 1
    await until(lambda: three.front.streams.open == 0)


async def test_long_ones_come_in_pieces(three: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the pieces in which a node reads, all comes, each once."""
    monkeypatch.setattr("bailiwick.interlink.event_stream.BATCH_EVENTS", 2)
    monkeypatch.setattr(stream, "WINDOW", 3)
    async with listening(three.url) as client:
        await client.block()
        begun = client.last
        for at in range(8):
            await paid(three, at)
        told = [each["id"] for each in await client.events(24)]
        assert len(set(told)) == 24
    async with listening(three.url, last=begun) as client:
        assert sorted(each["id"] for each in await client.events(24)) == sorted(told)
    monkeypatch.setattr("bailiwick.interlink.event_stream.BATCH_BYTES", 1)
    async with listening(three.url, last=begun) as client:
        assert sorted(each["id"] for each in await client.events(24)) == sorted(told)
