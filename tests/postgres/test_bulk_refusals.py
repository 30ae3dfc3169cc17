"""Refusals in bulk at the node: each by the load of the moment, each a committed tombstone."""

from types import SimpleNamespace
from typing import Any, cast

import asyncpg
import msgspec
import pytest

from bailiwick.admission.load import REFUSING_MAX, Load
from bailiwick.base.clock import now_ms
from bailiwick.base.keys import key_identity
from bailiwick.idempotency.requests import Refused
from bailiwick.interlink import admission_query
from bailiwick.interlink.admission_query import (
    FULL,
    KNOWN,
    MISMATCH,
    SEND,
    AdmissionQueries,
    AdmissionQuery,
    AdmissionVerdict,
)
from bailiwick.interlink.refusals import Refusals
from bailiwick.jurisdiction.home_history import Held
from bailiwick.node.bulk_admission import BulkAdmission
from tests.postgres.node_kit import MERCHANT, Region, asked


class Door:
    """A turnstile on a node's pieces, with room for ``room`` payments."""

    def __init__(self, region: Region, room: int = 0) -> None:
        self.load = Load(1, 64, region.store.creates, region.store.moves)
        self.load.inflight = 64 - room
        self.refusals = Refusals(b"shared")
        merchants = SimpleNamespace(by_id={MERCHANT.id: MERCHANT})
        self.node: Any = SimpleNamespace(
            number=1,
            load=self.load,
            machine=region.machine,
            refusals=self.refusals,
            world=SimpleNamespace(epoch=3, merchants=merchants),
        )

    async def tell(self, *asks: AdmissionQuery, epoch: int = 3) -> list[AdmissionVerdict]:
        batch = AdmissionQueries(1, now_ms(), "a" * 32, 1, epoch, list(asks))
        return await BulkAdmission(cast(Any, self.node))._tell(batch)


def ask(key: str, *, elsewhere: bool = True, merchant: str = MERCHANT.id) -> AdmissionQuery:
    digest = asked("create", key, {"amount": 1000}).request_hash
    return AdmissionQuery(merchant, False, key_identity(merchant, False, key), digest, elsewhere)


async def tombstones(sql: asyncpg.Connection, among: int = 200) -> set[str]:
    """Which of the keys k0, k1, ... are refused; no others are."""
    found = await sql.fetch(
        "SELECT identity::text AS it, key FROM idempotency_key WHERE refused = 'overloaded'"
    )
    names = {key_identity(MERCHANT.id, False, f"k{n}"): f"k{n}" for n in range(among)}
    assert all(row["key"] is None for row in found), "the key itself is not known"
    return {names[row["it"].replace("-", "")] for row in found}


def token(door: "Door", told: AdmissionVerdict, of: AdmissionQuery) -> str:
    """What access makes of a node's word."""
    assert told.word == "refused"
    return admission_query.token(door.refusals.secret, 1, Held(told.reason, told.epoch), of)


async def test_a_full_node_refuses_all_with_tokens(region: Region, sql: asyncpg.Connection) -> None:
    door = Door(region)
    batches = region.store.refusals.batches
    told = await door.tell(*(ask(f"k{n}") for n in range(200)))
    assert {each.word for each in told} == {"refused"}
    assert region.store.refusals.batches <= batches + 2
    assert await tombstones(sql) == {f"k{n}" for n in range(200)}
    request = asked("create", "k7", {"amount": 1000})
    proof = token(door, told[7], ask("k7"))
    assert door.refusals.read(proof, request.named)[1] == Held("overloaded", 3)
    assert door.load.usage(3).shedding
    with pytest.raises(Refused):
        await region.keys.replay(request)


async def test_half_of_the_room_is_given_to_the_first(
    region: Region, sql: asyncpg.Connection
) -> None:
    told = await Door(region, room=4).tell(*(ask(f"k{n}") for n in range(5)))
    assert [each.word for each in told] == ["send", "send", "refused", "refused", "refused"]
    assert await tombstones(sql) == {"k2", "k3", "k4"}


async def test_nobody_else_may_take_it(region: Region, sql: asyncpg.Connection) -> None:
    assert await Door(region).tell(ask("k1", elsewhere=False)) == [FULL]
    assert await tombstones(sql) == set()


async def test_what_is_known_here_is_sent(region: Region, sql: asyncpg.Connection) -> None:
    await region.pay("k1")
    door = Door(region)
    told = await door.tell(ask("k1"), ask("k2"), ask("k2"))
    assert [each.word for each in told] == ["send", "refused", "refused"]
    assert await door.tell(ask("k2")) == told[1:2], "the same refusal again"
    assert await tombstones(sql) == {"k2"}


async def test_another_request_under_a_refused_key_shows_itself(region: Region) -> None:
    door = Door(region)
    await door.tell(ask("k1"))
    assert await door.tell(msgspec.structs.replace(ask("k1"), request_hash="other")) == [SEND]


@pytest.mark.parametrize("why", ["epoch", "draining", "merchant"])
async def test_what_needs_a_closer_look_is_sent(
    region: Region, sql: asyncpg.Connection, why: str
) -> None:
    door = Door(region)
    door.load.draining = why == "draining"
    merchant = "acct_9" if why == "merchant" else MERCHANT.id
    assert await door.tell(ask("k1", merchant=merchant), epoch=2 if why == "epoch" else 3) == [SEND]
    assert await tombstones(sql) == set()


async def test_too_many_refusals_write_nothing(region: Region, sql: asyncpg.Connection) -> None:
    door = Door(region)
    door.load.refusing = REFUSING_MAX
    assert await door.tell(ask("k1")) == [FULL]
    assert await tombstones(sql) == set()


async def test_a_fenced_node_refuses_nothing(region: Region, sql: asyncpg.Connection) -> None:
    await sql.execute("UPDATE fence SET fenced_at = now()")
    assert await Door(region).tell(ask("k1")) == [FULL]
    assert await tombstones(sql) == set()


# --- asked as an earlier home, on behalf of a later epoch's home ------------------------------


def earlier(key: str, **more: Any) -> AdmissionQuery:
    return msgspec.structs.replace(ask(key), earlier=True, **more)


async def test_an_earlier_home_refuses_what_it_does_not_know(
    region: Region, sql: asyncpg.Connection
) -> None:
    door = Door(region, room=9)
    told = await door.tell(earlier("k1"), ask("k2"), epoch=5)
    assert [each.word for each in told] == ["refused", "send"]
    request = asked("create", "k1", {"amount": 1000})
    proof = token(door, told[0], earlier("k1"))
    assert door.refusals.read(proof, request.named)[1] == Held("moved", 5)
    stored = await sql.fetchval("SELECT refused FROM idempotency_key WHERE refused IS NOT NULL")
    assert stored == "moved:5"
    assert await door.tell(earlier("k1"), epoch=6) == told[:1], "the first refusal counts for ever"


async def test_an_earlier_home_says_what_it_knows(region: Region, sql: asyncpg.Connection) -> None:
    await region.pay("k1")
    digest = await sql.fetchval("SELECT request_hash FROM idempotency_key WHERE key = 'k1'")
    door = Door(region)
    told = await door.tell(earlier("k1", request_hash=digest), earlier("k1", request_hash="other"))
    assert told == [KNOWN, MISMATCH]


async def test_an_earlier_home_says_what_is_under_way(
    region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door(region)
    digest = earlier("k1").request_hash
    monkeypatch.setattr(region.keys, "under_way", lambda _: digest)
    told = await door.tell(earlier("k1"), earlier("k1", request_hash="other"))
    assert told == [KNOWN, MISMATCH]


async def test_an_earlier_home_that_may_be_the_home_again_refuses_nothing(
    region: Region, sql: asyncpg.Connection
) -> None:
    door = Door(region)
    assert await door.tell(earlier("k1"), epoch=2) == [AdmissionVerdict("behind", epoch=3)]
    assert await door.tell(earlier("k1", merchant="acct_9")) == [FULL]
    assert await sql.fetchval("SELECT count(*) FROM idempotency_key") == 0


@pytest.mark.parametrize("draining", [False, True])
async def test_an_overloaded_or_draining_earlier_home_answers_too(
    region: Region, draining: bool
) -> None:
    door = Door(region)
    door.load.draining = draining
    assert [each.word for each in await door.tell(earlier("k1"))] == ["refused"]
    door.load.refusing = REFUSING_MAX
    assert await door.tell(earlier("k2")) == [FULL]
