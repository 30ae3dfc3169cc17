"""The same key with other evidence, which leads to another home: refused by who knows the key."""

import contextlib
import itertools
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from access_kit import SECRET as SECRET_KEY
from access_kit import Access, access, refusal
from broker_kit import Server

from bailiwick.access.peers.gossip import FRESH_MS, News, opened, sealed
from bailiwick.access.peers.key_homes import KeyHomes, key_digest, packed
from bailiwick.base.errors import ApiError
from bailiwick.bus.client import Bus
from bailiwick.jurisdiction.locate import Evidence
from tests.waiting import until

CREATE = "/v1/payment_intents"
IN = "amount=100&currency=inr&location[country]=IN"
DE = "amount=100&currency=eur&location[country]=DE"
KEYED = {"idempotency-key": "k1"}
SECRET = b"internal"


def value(country: str, home: int) -> int:
    return packed(SECRET, Evidence(country=country), home)


# --- the map --------------------------------------------------------------------------------


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def test_other_evidence_is_refused_only_where_it_leads_elsewhere() -> None:
    homes = KeyHomes()
    assert homes.claim(key(1), 1, value("DE", 1), 0.0)
    assert not homes.claim(key(1), 1, value("DE", 1), 1.0)
    assert not homes.claim(key(1), 1, value("FR", 1), 1.0)  # its home sees that itself
    assert not homes.claim(key(1), 2, value("DE", 2), 1.0)  # the place was moved by an epoch
    with pytest.raises(ApiError) as refused:
        homes.claim(key(1), 2, value("IN", 2), 1.0)
    assert (refused.value.status, refused.value.type) == (400, "idempotency_error")
    assert homes.claim(key(2), 2, value("IN", 2), 1.0)


def test_a_key_is_known_for_the_time_said_and_memory_is_bounded() -> None:
    homes = KeyHomes(most=100, remembered_s=600.0)
    homes.claim(key(1), 1, value("DE", 1), 0.0)
    homes.claim(key(2), 1, value("DE", 1), 599.0)
    homes.claim(key(3), 1, value("DE", 1), 700.0)
    for known in (2, 3):
        with pytest.raises(ApiError):
            homes.claim(key(known), 2, value("IN", 2), 1199.0)
    homes.claim(key(4), 1, value("DE", 1), 1400.0)
    homes.claim(key(5), 1, value("DE", 1), 2100.0)
    assert homes.claim(key(3), 2, value("IN", 2), 2100.0)
    for number in range(10, 10_010):
        homes.claim(key(number), 1, value("DE", 1), 2100.0)
        assert len(homes) <= 201
    with pytest.raises(ApiError):  # of the last hundred all are known
        homes.claim(key(9_910), 2, value("IN", 2), 2100.0)


def test_a_key_that_was_not_used_up_is_free() -> None:
    homes, peer = KeyHomes(), KeyHomes()
    homes.claim(key(1), 1, value("DE", 1), 0.0)
    peer.learn(homes.fresh, homes.gone, 0.0)
    with pytest.raises(ApiError):
        peer.claim(key(1), 2, value("IN", 2), 0.0)
    homes.forgotten(key(1), value("DE", 1))
    peer.learn([], homes.gone, 0.0)
    assert homes.claim(key(1), 2, value("IN", 2), 0.0) and peer.claim(
        key(1), 2, value("IN", 2), 0.0
    )


def test_what_is_known_first_stays() -> None:
    homes = KeyHomes()
    homes.claim(key(1), 1, value("DE", 1), 0.0)
    homes.learn([(key(1), value("IN", 2))], [(key(1), value("IN", 2))], 0.0)
    assert not homes.claim(key(1), 1, value("DE", 1), 0.0)


def test_digests_tell_nothing_and_keep_merchants_and_modes_apart() -> None:
    made = {
        key_digest(secret, merchant, live, "k1")
        for secret in (b"a", b"b")
        for merchant in ("acct_1", "acct_2")
        for live in (False, True)
    }
    assert len(made) == 8
    assert packed(b"a", Evidence(country="DE"), 1) != packed(b"b", Evidence(country="DE"), 1)
    assert packed(b"a", Evidence(country="DE"), 65_535) & 0xFFFF == 65_535


def test_news_that_are_not_genuine_or_old_are_not_taken() -> None:
    news = News("me", 1_000_000, [(key(1), value("DE", 1))])
    data = sealed(SECRET, news)
    assert opened(SECRET, data, 1_000_000 + FRESH_MS) == news
    assert opened(SECRET, data, 1_000_001 + FRESH_MS) is None
    assert opened(b"other", data, 1_000_000) is None
    assert opened(SECRET, data[:-1] + bytes([data[-1] ^ 1]), 1_000_000) is None
    for junk in (b"", b"\n", b"junk", b"junk\n", os.urandom(64)):
        assert opened(SECRET, junk, 1_000_000) is None


# --- one access process ---------------------------------------------------------------------


@pytest.mark.parametrize("confirm", ["", "&confirm=true"])
async def test_a_key_with_other_evidence_is_a_mismatch(tmp_path: Path, confirm: str) -> None:
    async with access(tmp_path) as it:
        assert await it.json("POST", CREATE, IN + confirm, headers=KEYED) == (200, {"node": "apac"})
        status, body = await it.json("POST", CREATE, DE + confirm, headers=KEYED)
        assert (status, body["error"]["type"]) == (400, "idempotency_error")
        assert it.nodes[0].calls == []
        again = await it.json("POST", CREATE, IN + confirm, headers=KEYED)
        assert again == (200, {"node": "apac"})
        # Another key, none, and another merchant's are not concerned.
        for other in ({"idempotency-key": "k2"}, {}):
            assert (await it.json("POST", CREATE, DE + confirm, headers=other))[0] == 200


async def test_other_places_count_too(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        assert (await it.json("POST", "/v1/customers", "location[country]=IN", headers=KEYED))[
            0
        ] == 200
        assert (await it.json("POST", CREATE, DE, headers=KEYED))[0] == 400


@pytest.mark.parametrize(
    ("status", "free"),
    [(400, True), (404, True), (402, False), (409, False), (500, False), (503, False)],
)
async def test_a_request_that_was_refused_as_it_stands_leaves_its_key(
    tmp_path: Path, status: int, free: bool
) -> None:
    async with access(tmp_path) as it:
        it.nodes[1].answer = lambda call: (status, {}, {"error": {}})
        assert (await it.json("POST", CREATE, IN, headers=KEYED))[0] == status
        told = (await it.json("POST", CREATE, DE, headers=KEYED))[0]
        assert told == (200 if free else 400)


async def test_a_tombstone_uses_a_key_up_for_other_evidence(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        it.nodes[1].answer = lambda call: refusal(2)
        moved = await it.json("POST", CREATE, f"{IN}&confirm=true", headers=KEYED)
        assert moved == (200, {"node": "europe"})
        assert (await it.json("POST", CREATE, f"{DE}&confirm=true", headers=KEYED))[0] == 400
        assert await it.json("POST", CREATE, f"{IN}&confirm=true", headers=KEYED) == moved


# --- two of them ----------------------------------------------------------------------------


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Server]:
    it = Server(tmp_path / "nats")
    await it.start()
    yield it
    it.stop()


@contextlib.asynccontextmanager
async def peers(tmp_path: Path, url: str, **more: float) -> AsyncIterator[list[Access]]:
    """Two access processes of one region, each with stub nodes of its own."""
    async with contextlib.AsyncExitStack() as stack:
        made = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            bus = Bus([url], name)
            it = await stack.enter_async_context(access(tmp_path / name, bus=bus, **more))
            await it.front.start()
            made.append(it)
        await until(lambda: all(it.front.bus and it.front.bus.connected for it in made))
        yield made


def knows(it: Access, text: str) -> bool:
    return it.front.key_homes.knows(key_digest(SECRET, "acct_demo", False, text))


async def listening(one: Access, two: Access) -> None:
    """Until the second hears the first: what is told before is lost."""
    assert two.front.gossip is not None
    before, numbers = two.front.gossip.heard, itertools.count()

    async def heard() -> bool:
        headers = {"idempotency-key": f"{before}-{next(numbers)}"}
        assert (await one.json("POST", CREATE, IN, headers=headers))[0] == 200
        return two.front.gossip is not None and two.front.gossip.heard > before

    await until(heard)


async def test_a_peer_hears_of_a_key(tmp_path: Path, broker: Server) -> None:
    async with peers(tmp_path, broker.url) as (one, two):
        await listening(one, two)
        assert (await one.json("POST", CREATE, IN, headers=KEYED))[0] == 200
        await until(lambda: knows(two, "k1"))
        status, body = await two.json("POST", CREATE, DE, headers=KEYED)
        assert (status, body["error"]["type"]) == (400, "idempotency_error")
        assert (await two.json("POST", CREATE, IN, headers=KEYED))[0] == 200
        # What was refused as it stands is free again, here and there.
        one.nodes[1].answer = lambda call: (400, {}, {"error": {}})
        assert (await one.json("POST", CREATE, IN, headers={"idempotency-key": "k2"}))[0] == 400
        one.nodes[1].answer = lambda call: (200, {}, {"node": "apac"})
        assert (await one.json("POST", CREATE, IN, headers={"idempotency-key": "k3"}))[0] == 200
        await until(lambda: knows(two, "k3"))
        assert not knows(two, "k2")
        # What it heard it does not tell again, and its own news it does not take for a peer's.
        assert two.front.gossip is not None and two.front.gossip.dropped == 0
        assert two.front.key_homes.fresh == []


async def test_a_rate_is_that_of_all_processes_of_the_region(
    tmp_path: Path, broker: Server
) -> None:
    async with peers(tmp_path, broker.url, rate_per_second=0.001) as (one, two):
        assert one.front.gossip is not None and two.front.gossip is not None
        before = two.front.gossip.heard

        async def heard() -> bool:
            one.front.key_homes.fresh.append((os.urandom(16), 1))
            return two.front.gossip is not None and two.front.gossip.heard > before

        await until(heard)
        who = two.front.world.merchants.by_key(SECRET_KEY)
        assert who is not None
        assert (
            (await one.call("POST", CREATE, IN))
            .headers[b"ratelimit"]
            .startswith(b'"merchant";r=0;')
        )

        def spent() -> bool:
            it = two.front.rates
            return any(bucket.tokens < 1 for _, _, bucket in it.bounds(who, time.monotonic()))

        await until(spent)
        answer = await two.call("POST", CREATE, IN)
        assert answer.status == 429
        assert 900 <= int(answer.headers[b"retry-after"]) <= 1000
        assert two.nodes[1].calls == []
        # A peer's news are not told on.
        assert two.front.rates.spent == {}


async def test_without_the_broker_each_goes_on(tmp_path: Path, broker: Server) -> None:
    async with peers(tmp_path, broker.url) as (one, two):
        broker.stop()
        await until(lambda: not (one.front.bus and one.front.bus.connected))
        assert (await one.json("POST", CREATE, IN, headers=KEYED))[0] == 200
        assert (await one.json("POST", CREATE, DE, headers=KEYED))[0] == 400
        assert (await two.json("POST", CREATE, DE, headers={"idempotency-key": "k9"}))[0] == 200
        await broker.start()
        await until(lambda: all(it.front.bus and it.front.bus.connected for it in (one, two)))
        await listening(one, two)
