"""The overview's database and reader: whatever comes twice, late or wrong, it ends up right."""

import asyncio
import random
import re
from collections.abc import AsyncIterator
from typing import Any, cast

import asyncpg
import msgspec
import pytest

from bailiwick.base import events
from bailiwick.base.errors import ApiError
from bailiwick.base.events import PaymentEvent, RelayReport
from bailiwick.base.ids import new_id, time_of
from bailiwick.bus.client import Message
from bailiwick.overview import database as database_module
from bailiwick.overview import questions
from bailiwick.overview.database import OverviewDatabase, Taken
from bailiwick.overview.reader import Reader, read
from bailiwick.store.migrate import MigrationError, migrate

NOW = 1_750_000_000_000
COLUMNS = (
    "payment, node, state, amount, amount_received, amount_refunded, version, seen, highest,"
    " gap_since IS NULL AS whole"
)


@pytest.fixture
async def overview(schema_dsn: str) -> AsyncIterator[OverviewDatabase]:
    database = OverviewDatabase(schema_dsn, 3)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def own(schema_dsn: str, overview: OverviewDatabase) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(schema_dsn)
    yield connection
    await connection.close()


def event(payment: str, seq: int, **values: Any) -> PaymentEvent:
    """The event of a payment's version; its amounts grow with it."""
    node = values.get("node", 1)
    at = time_of(payment)
    given: dict[str, Any] = {
        "event": new_id("evt", node, at + seq), "type": "payment_intent.updated", "seq": seq,
        "payment": payment, "node": node, "merchant": "acct_1", "livemode": False,
        "created_ms": at + seq, "version": seq, "state": "processing" if seq == 1 else "succeeded",
        "amount": 1000, "currency": "EUR", "amount_capturable": 0,
        "amount_received": 0 if seq == 1 else 1000, "amount_refunded": max(0, seq - 2),
        "attempts": 1, "epoch": 1, "payment_created_ms": at,
    }  # fmt: skip
    return PaymentEvent(**{**given, **values})


def payment_id(node: int = 1, ms: int = NOW) -> str:
    return new_id("pi", node, ms)


async def views(own: asyncpg.Connection) -> list[dict[str, Any]]:
    return [
        dict(r) for r in await own.fetch(f"SELECT {COLUMNS} FROM payment_view ORDER BY payment")
    ]


# What is taken


async def test_events_in_order_and_repeated(
    overview: OverviewDatabase, own: asyncpg.Connection
) -> None:
    identifier = payment_id()
    story = [event(identifier, seq) for seq in (1, 2, 3)]
    for each in story:
        assert await overview.take([each]) == Taken(1)
    expected = [{
        "payment": identifier, "node": 1, "state": "succeeded", "amount": 1000,
        "amount_received": 1000, "amount_refunded": 1, "version": 3, "seen": 3, "highest": 3,
        "whole": True,
    }]  # fmt: skip
    assert await views(own) == expected
    for _ in range(2):
        assert await overview.take(story) == Taken(0)
    assert await views(own) == expected
    assert await own.fetchval("SELECT events FROM node_view WHERE node = 1") == 3


async def test_any_order_with_repeats_ends_the_same(
    overview: OverviewDatabase, own: asyncpg.Connection
) -> None:
    chance = random.Random(7)
    ids = [payment_id(node, NOW + node) for node in (1, 2, 3) for _ in range(4)]
    story = [
        event(identifier, seq, node=place // 4 + 1)
        for place, identifier in enumerate(ids)
        for seq in range(1, 2 + place % 4)
    ]
    told = story * 3
    chance.shuffle(told)
    while told:
        size = chance.randint(1, 9)
        batch, told = told[:size], told[size:]
        await overview.take(batch)
    for row in await views(own):
        place = ids.index(row["payment"])
        assert row["version"] == row["seen"] == row["highest"] == 1 + place % 4
        assert row["whole"]
        assert row["node"] == place // 4 + 1
    counted = dict(await own.fetch("SELECT node, events FROM node_view"))
    assert sum(counted.values()) == len(story) == await own.fetchval("SELECT count(*) FROM inbox")
    found: Any = await questions.totals(overview, {"since": "2025-06-01", "until": "2025-06-30"})
    assert sum(row["payments"] for row in found["data"]) == len(ids)
    assert sum(row["amount"] for row in found["data"]) == 1000 * len(ids)


async def test_a_gap_is_noticed_and_filled(
    overview: OverviewDatabase, own: asyncpg.Connection
) -> None:
    identifier = payment_id()
    await overview.take([event(identifier, 3)])
    assert [(r["seen"], r["highest"], r["whole"]) for r in await views(own)] == [(1, 3, False)]
    found: Any = await questions.payments(overview, {"gap": "true"})
    assert [row["id"] for row in found["data"]] == [identifier]
    assert (await overview.rows("counts"))[0]["gaps"] == 1
    await overview.take([event(identifier, 1), event(identifier, 2)])
    row = (await views(own))[0]
    assert (row["seen"], row["highest"], row["whole"], row["version"]) == (3, 3, True, 3)
    assert row["amount_refunded"] == 1, "an older event does not bring older amounts"
    found = await questions.payments(overview, {"gap": "true"})
    assert found["data"] == []


async def test_an_event_may_tell_of_a_newer_version(
    overview: OverviewDatabase, own: asyncpg.Connection
) -> None:
    """The relay reads the payment as it is, which may be ahead of the event."""
    identifier = payment_id()
    newest = event(identifier, 3)
    ahead = msgspec.structs.replace(newest, event="evt_a", seq=1)
    await overview.take([ahead])
    assert (await views(own))[0]["version"] == 3
    assert (await views(own))[0]["whole"]
    await overview.take([event(identifier, 2), newest])
    row = (await views(own))[0]
    assert (row["version"], row["seen"], row["highest"]) == (3, 3, 3)


async def test_a_key_with_two_payments_is_found(
    overview: OverviewDatabase, own: asyncpg.Connection
) -> None:
    here, there, alone = payment_id(1), payment_id(2), payment_id(3)
    assert await overview.take([event(here, 1, key_hash="h1")]) == Taken(1)
    assert await overview.take([event(alone, 1, node=3, key_hash="h2")]) == Taken(1)
    again = event(there, 1, node=2, key_hash="h1")
    assert await overview.take([again]) == Taken(1, duplicates=1)
    assert await overview.take([again]) == Taken(0)
    found: Any = await questions.duplicates(overview, {})
    assert [row["key_hash"] for row in found["keys"]] == ["h1"]
    assert [each["node"] for each in found["keys"][0]["payments"]] == [1, 2]
    assert found["forks"] == []


async def test_both_in_one_batch_are_found_too(overview: OverviewDatabase) -> None:
    batch = [event(payment_id(n), 1, node=n, key_hash="h1") for n in (1, 2)]
    assert await overview.take(batch) == Taken(2, duplicates=1)


async def test_processes_on_one_database_miss_nothing_between_them(
    overview: OverviewDatabase, own: asyncpg.Connection, schema_dsn: str
) -> None:
    other = OverviewDatabase(schema_dsn, 2)
    await other.open()
    pairs = [(payment_id(1), payment_id(2)) for _ in range(30)]
    here = [event(one, 1, key_hash=f"h{n}") for n, (one, _) in enumerate(pairs)]
    there = [event(two, 1, node=2, key_hash=f"h{n}") for n, (_, two) in enumerate(pairs)]
    both = [event(one, 2) for one, _ in pairs]
    await asyncio.gather(
        *(overview.take([each, more]) for each, more in zip(here, both, strict=True)),
        *(other.take([each, more]) for each, more in zip(there, reversed(both), strict=True)),
    )
    await other.close()
    assert (await overview.rows("counts"))[0] == {
        "duplicates": 30, "forks": 0, "gaps": 0, "events": 90,
    }  # fmt: skip
    assert all(row["whole"] for row in await views(own))


async def test_two_histories_of_one_node_are_noticed(
    overview: OverviewDatabase, own: asyncpg.Connection
) -> None:
    """An outbox that was set back goes on from an earlier place with other events."""
    identifier = payment_id()
    await overview.take([event(identifier, 1), event(identifier, 2)])
    other = event(identifier, 2, event="evt_other", state="canceled")
    assert await overview.take([other]) == Taken(1, forks=1)
    assert (await views(own))[0]["seen"] == 2
    found: Any = await questions.duplicates(overview, {})
    assert [(row["payment"], row["seq"]) for row in found["forks"]] == [(identifier, 2)]
    assert len(found["forks"][0]["events"]) == 2


# What is asked


async def test_payments_are_found_by_what_is_known_of_them(overview: OverviewDatabase) -> None:
    made = [
        event(
            payment_id(n % 3 + 1, NOW + 1000 * n), 1, node=n % 3 + 1, merchant=f"acct_{n % 2}",
            amount=100 * n + 1, currency="INR" if n % 2 else "EUR",
        )
        for n in range(12)
    ]  # fmt: skip
    await overview.take(made)

    async def found(**params: str) -> list[int]:
        answer: Any = await questions.payments(overview, params)
        ids = [row["id"] for row in answer["data"]]
        assert ids == sorted(ids, reverse=True)
        return sorted(next(n for n, e in enumerate(made) if e.payment == each) for each in ids)

    assert await found() == list(range(12))
    assert await found(merchant="acct_1") == [1, 3, 5, 7, 9, 11]
    assert await found(merchant="acct_1", node="2") == [1, 7]
    assert await found(currency="inr", amount_min="500", amount_max="800") == [5, 7]
    assert await found(amount="301") == [3]
    assert await found(since_ms=str(NOW + 3000), until_ms=str(NOW + 5000)) == [3, 4, 5]
    assert await found(id=made[4].payment[:14]) == [4]
    assert await found(id=made[4].payment) == [4]
    assert await found(state="succeeded") == []
    assert await found(livemode="true") == []
    first: Any = await questions.payments(overview, {"limit": "5"})
    assert first["has_more"]
    after = first["data"][-1]["id"]
    second: Any = await questions.payments(overview, {"limit": "7", "after": after})
    assert not second["has_more"]
    assert len({row["id"] for row in first["data"] + second["data"]}) == 12
    for wrong in ({"id": "pi_%"}, {"state": "lost"}, {"limit": "0"}, {"amont": "1"}):
        with pytest.raises(ApiError):
            await questions.payments(overview, wrong)


async def test_one_payment_comes_with_its_events(overview: OverviewDatabase) -> None:
    identifier = payment_id()
    await overview.take([event(identifier, 2), event(identifier, 1)])
    found: Any = await questions.payment(overview, identifier, {})
    assert [each["seq"] for each in found["events"]] == [1, 2]
    assert found["state"] == "succeeded"
    for missing in (payment_id(), "pi_1", "x"):
        with pytest.raises(ApiError) as refused:
            await questions.payment(overview, missing, {})
        assert refused.value.status == 404


async def test_totals_are_by_day_and_state(overview: OverviewDatabase) -> None:
    day = 86_400_000
    for offset, state in ((0, 1), (0, 2), (1, 2)):
        identifier = payment_id(1, NOW + offset * day)
        await overview.take([event(identifier, seq) for seq in range(1, state + 1)])
    found: Any = await questions.totals(overview, {"since": "2025-06-15", "until": "2025-06-16"})
    rows = [(row["day"], row["state"], row["payments"], row["amount_received"])
            for row in found["data"]]  # fmt: skip
    assert rows == [
        ("2025-06-16", "succeeded", 1, 1000),
        ("2025-06-15", "processing", 1, 0),
        ("2025-06-15", "succeeded", 1, 1000),
    ]
    found = await questions.totals(overview, {"since": "2025-06-16", "until": "2025-06-16"})
    assert len(found["data"]) == 1
    for wrong in ({"since": "2025-02-30"}, {"since": "2020-01-01"}, {"since": "1-1-1"}):
        with pytest.raises(ApiError):
            await questions.totals(overview, wrong)


# The reader


class AdmissionVerdict:
    """A message, and what was answered to it."""

    def __init__(self) -> None:
        self.answers: list[str] = []

    async def ack(self) -> None:
        self.answers.append("ack")

    async def term(self) -> None:
        self.answers.append("term")


def told(data: bytes, subject: str = "bailiwick.events.1") -> tuple[Message, AdmissionVerdict]:
    handle = AdmissionVerdict()
    return Message(subject, data, 1, {}, 1, 0, handle), handle


async def test_what_is_no_event_of_that_node_is_given_up(
    overview: OverviewDatabase, own: asyncpg.Connection
) -> None:
    reader = Reader(cast(Any, None), overview)
    good = [event(payment_id(1), 1) for _ in range(3)]
    bad = [
        event(payment_id(2), 1, node=2),
        event(payment_id(2), 1, node=1),
        event(payment_id(1), 0),
        msgspec.structs.replace(good[0], event="evt_x", payment="pi_x"),
        event(payment_id(1), 1, merchant="a" * 500),
        event(payment_id(1), 1, merchant="a\0b"),
    ]
    deep = b'[{"x":' + b"[" * 5_000 + b"]" * 5_000 + b"}]"
    batch = [told(message_of(each)) for each in (good[:1], [*bad, good[1]], [])]
    batch += [told(data) for data in (b"{", b"[1]", b"[{}]", deep, events.encode(good[2]))]
    await reader.take([message for message, _ in batch])
    assert [handle.answers for _, handle in batch] == [
        ["ack"], ["ack"], ["ack"], ["term"], ["ack"], ["ack"], ["term"], ["term"]
    ]  # fmt: skip
    assert {row["payment"] for row in await views(own)} == {each.payment for each in good[:2]}
    assert (reader.taken, reader.repeated, reader.rejected) == (2, 0, 11)
    again, _ = told(message_of([good[1], good[2]]))
    await reader.take([again])
    assert (reader.taken, reader.repeated, reader.rejected) == (3, 1, 11)


def message_of(batch: list[PaymentEvent]) -> bytes:
    return events.join([events.encode(each) for each in batch])


async def test_nothing_is_acknowledged_before_it_is_written(
    overview: OverviewDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> Taken:
        raise ConnectionResetError

    reader = Reader(cast(Any, None), overview)
    message, handle = told(message_of([event(payment_id(1), 1)]))
    with monkeypatch.context() as patch:
        patch.setattr(overview, "take", fail)
        with pytest.raises(ConnectionResetError):
            await reader.take([message])
    assert handle.answers == []
    await reader.take([message])
    assert handle.answers == ["ack"]


async def test_lag_has_both_accounts(overview: OverviewDatabase) -> None:
    reader = Reader(cast(Any, None), overview)
    await overview.take([event(payment_id(1), 2)])
    for number in (1, 2):
        report = RelayReport(number, NOW, 17, False, 5, 3, NOW - 4000, 1)
        await reader.hear(Message(f"bailiwick.relay.{number}", events.encode(report)))
    await reader.hear(Message("bailiwick.relay.9", events.encode(report)))
    await reader.hear(Message("bailiwick.relay.9", b"?"))
    found: Any = await questions.lag(overview, reader, True, {})
    assert [row["node"] for row in found["nodes"]] == [1, 2]
    first, second = found["nodes"]
    assert (first["events"], first["gaps"], first["relay"]["lag_ms"]) == (1, 1, 4000)
    assert (second["events"], second["last_event_ms"]) == (0, None)
    assert second["relay"]["waiting"] == 3
    assert second["relay"]["parked"] == 1


def test_a_node_tells_of_its_own_payments_only() -> None:
    good, other = event(payment_id(3), 1, node=3), event(payment_id(1), 1)
    assert read("bailiwick.events.3", message_of([good, other])) == ([good], 1)
    assert read("bailiwick.events.1", message_of([good, other])) == ([other], 1)


# The schema


async def test_every_statement_prepares(own: asyncpg.Connection) -> None:
    assert len(database_module.names()) >= 10
    for name in database_module.names():
        text = database_module.statement(name)
        prepared = await own.prepare(text)
        plain = re.sub(r"--[^\n]*", "", text)
        numbers = {int(found) for found in re.findall(r"\$(\d+)", plain)}
        assert numbers == set(range(1, len(prepared.get_parameters()) + 1)), name
        assert text.startswith("-- "), name


async def test_every_field_of_a_message_arrives(own: asyncpg.Connection) -> None:
    text = database_module.statement("apply")
    body = re.search(r"json_to_recordset\(\$1::json\) AS i \((.*?)\)\n", text, re.DOTALL)
    assert body is not None
    fields = {part.split()[0] for part in body[1].split(",")}
    assert fields == set(PaymentEvent.__struct_fields__)


async def test_it_takes_no_node_s_database(schema_dsn: str) -> None:
    connection = await asyncpg.connect(schema_dsn)
    await migrate(connection, 1)
    await connection.close()
    with pytest.raises(MigrationError, match="used for something else"):
        await OverviewDatabase(schema_dsn).open()


async def test_a_fresh_database_reads_from_the_beginning(
    overview: OverviewDatabase, schema_dsn: str
) -> None:
    again = OverviewDatabase(schema_dsn)
    await again.open()
    assert again.durable == overview.durable
    assert overview.durable.startswith("overview-")
    await again.close()
