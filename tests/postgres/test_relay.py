"""The relay against a real outbox: nothing is lost, whatever commits when and whoever dies."""

import asyncio
import re

import asyncpg
import pytest

from bailiwick.base import events
from bailiwick.base.events import key_hash
from bailiwick.delivery import relay as relay_module
from bailiwick.delivery.relay import Relay
from bailiwick.store.statements import statement
from tests.postgres.relay_kit import SECRET, Broker, drain, outbox, pay, plain, relay_on
from tests.postgres.rows_kit import create, done, move
from tests.store_kit import NodeStore

# What is sent


async def test_every_event_is_sent_once_and_each_payment_s_in_order(
    store: NodeStore, sql: asyncpg.Connection, broker: Broker, relay: Relay
) -> None:
    before = await pay(store, 3)
    await drain(relay)
    after = await pay(store, 3)
    await drain(relay)
    await drain(relay)
    assert broker.order() == {identifier: [1, 2] for identifier in before + after}
    assert len(broker.asked) == 12, "nothing was sent twice"
    assert relay.published == 12
    assert await sql.fetchval("SELECT published FROM relay") == 12


async def test_pages_follow_each_other(
    store: NodeStore, broker: Broker, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "PAGE", 4)
    monkeypatch.setattr(events, "BATCH_MAX", 3)
    first = await pay(store, 7)
    await drain(relay)
    second = await pay(store, 7)
    await drain(relay)
    assert broker.order() == {identifier: [1, 2] for identifier in first + second}
    assert len(broker.asked) == 28
    assert [len(message) for message in broker.messages] == [3, 1, 3, 1, 3, 1, 2] * 2


async def test_the_message_has_the_listed_fields_and_the_newest_amounts(
    store: NodeStore, broker: Broker, relay: Relay
) -> None:
    made = create(key="order-17")
    assert all(await done(store, made))
    assert all(await done(store, move(made)))
    await drain(relay)
    first, second = map(plain, broker.stored)
    assert first == {
        "event": made.event_id, "type": "payment_intent.created", "seq": 1, "payment": made.id,
        "node": 1, "merchant": "acct_1", "livemode": False, "created_ms": made.now_ms,
        "version": 2, "state": "succeeded", "amount": 1000, "currency": "EUR",
        "amount_capturable": 0, "amount_received": 1000, "amount_refunded": 0, "attempts": 1,
        "epoch": 1, "payment_created_ms": made.now_ms, "charge_attempt": made.attempt_id,
        "key_hash": key_hash(SECRET, "acct_1", False, "order-17"),
    }  # fmt: skip
    assert second["seq"] == 2
    assert "key_hash" not in second


async def test_a_payment_that_is_confirmed_later_has_no_key_hash(
    store: NodeStore, broker: Broker, relay: Relay
) -> None:
    made = create(attempt_id=None, gateway=None, instruction=None, state="requires_confirmation")
    assert all(await done(store, made))
    await drain(relay)
    assert "key_hash" not in plain(broker.stored[0])


async def test_nothing_that_a_client_wrote_leaves(
    store: NodeStore, sql: asyncpg.Connection, broker: Broker, relay: Relay
) -> None:
    """A canary in every free field, in the key and in the body itself."""
    word = "canary7f3"
    secret = f'{{"description": "{word}", "location": {{"country": "{word}"}}}}'
    made = create(
        key=f"{word}-key", request_hash=word, expand=word, content=secret, event_body=secret,
        instruction=secret, gateway=word, answer_version=word,
    )  # fmt: skip
    assert all(await done(store, made))
    assert await sql.fetchval(
        "SELECT count(*) FROM idempotency_key k, attempt a, event e"
        " WHERE k::text LIKE '%canary7f3%' AND a::text LIKE '%canary7f3%'"
        "   AND e::text LIKE '%canary7f3%'"
    ), "the canary was planted"
    await drain(relay)
    assert len(broker.bytes) == 1
    assert all(word.encode() not in data for data in broker.bytes + broker.reports)


# The horizon


async def test_what_commits_late_is_not_lost(
    store: NodeStore, sql: asyncpg.Connection, dsn: str, broker: Broker, relay: Relay
) -> None:
    """A transaction takes its place in every order when it begins to write, and commits after
    others have overtaken it. A reader that remembers the highest it has seen misses it."""
    await pay(store)
    await drain(relay)
    slow = await asyncpg.connect(dsn)
    try:
        begun = slow.transaction()
        await begun.start()
        await _bare_payment(slow, "pi_slow", "evt_00_slow")
        overtaking = await pay(store, 2)
        naive = await _naive(sql, "")
        await drain(relay)
        assert await relay.step() > 0
        held = [event.payment for event in broker.stored]
        assert not set(overtaking) & set(held), "they are above the horizon: they wait"
        await begun.commit()
    finally:
        await slow.close()
    await drain(relay)
    assert broker.ids() == await outbox(sql)
    assert broker.order()["pi_slow"] == [1]
    seen = {row["id"] for row in naive}
    cursor = max(seen)
    seen |= {row["id"] for row in await _naive(sql, cursor)}
    assert await outbox(sql) - seen == {"evt_00_slow"}, "a cursor over ids loses exactly this"


async def _bare_payment(sql: asyncpg.Connection, payment: str, event: str) -> None:
    await sql.execute(
        "INSERT INTO payment (id, merchant, livemode, version, content_seq, state, writer, epoch,"
        " amount, currency, created_ms, updated_ms)"
        " VALUES ($1, 'acct_1', false, 1, 1, 'processing', 1, 1, 100, 'EUR', 1, 1)",
        payment,
    )
    await sql.execute(
        "INSERT INTO event (id, subject, seq, merchant, livemode, type, body, writer, created_ms)"
        " VALUES ($2, $1, 1, 'acct_1', false, 'payment_intent.created', '{}', 1, 1)",
        payment,
        event,
    )


async def _naive(sql: asyncpg.Connection, above: str) -> list[asyncpg.Record]:
    return await sql.fetch("SELECT id FROM event WHERE id > $1 ORDER BY id", above)


async def test_writers_at_once_lose_nothing(
    store: NodeStore, sql: asyncpg.Connection, dsn: str, broker: Broker, relay: Relay
) -> None:
    """Payments through the lanes while other transactions commit out of order."""

    async def crosswise(place: int) -> None:
        connection = await asyncpg.connect(dsn)
        try:
            for turn in range(4):
                async with connection.transaction():
                    name = f"{place}_{turn}"
                    await _bare_payment(connection, f"pi_x{name}", f"evt_x{name}")
                    await asyncio.sleep(0.01 * ((place + turn) % 3))
        finally:
            await connection.close()

    async def relaying() -> None:
        while True:
            await relay.step()

    going = asyncio.create_task(relaying())
    await asyncio.gather(*(crosswise(place) for place in range(4)), *(pay(store) for _ in range(8)))
    going.cancel()
    await asyncio.gather(going, return_exceptions=True)
    await relay._outbox.close()
    await drain(relay)
    assert broker.ids() == await outbox(sql)
    assert all(found == sorted(found) for found in broker.order().values())


async def test_windows_of_transactions_are_all_gone_through(
    store: NodeStore, sql: asyncpg.Connection, broker: Broker, relay: Relay
) -> None:
    await pay(store)
    await drain(relay)
    relay._reading.window = 16
    for _ in range(200):
        await sql.execute("SELECT pg_current_xact_id()")
    last = await pay(store)
    await drain(relay)
    assert broker.order()[last[0]] == [1, 2]
    row = await sql.fetchrow("SELECT sweeping, seq, subject FROM relay")
    assert tuple(row) == (False, 0, "")


# Who relays


async def test_only_one_relays_at_a_time(
    store: NodeStore, dsn: str, broker: Broker, relay: Relay
) -> None:
    await pay(store)
    other = relay_on(dsn, broker)
    async with relay._outbox.claimed(1) as claim:
        assert claim is not None
        async with other._outbox.claimed(1) as second:
            assert second is None
        assert await other.step() > 0
        assert broker.asked == []
    await drain(other)
    assert len(broker.asked) == 2
    await other._outbox.close()


async def test_a_fenced_node_sends_nothing(
    store: NodeStore, sql: asyncpg.Connection, dsn: str, broker: Broker, relay: Relay
) -> None:
    await pay(store)
    await sql.execute("UPDATE fence SET fenced_at = now()")
    await drain(relay)
    assert broker.asked == []
    await sql.execute("UPDATE fence SET fenced_at = NULL, epoch = 2")
    await drain(relay)
    assert broker.asked == [], "its epoch is too old"
    successor = relay_on(dsn, broker, epoch=2)
    await drain(successor)
    assert len(broker.asked) == 2
    await successor._outbox.close()


async def test_a_crash_after_the_broker_s_answer_repeats_what_was_sent(
    store: NodeStore, dsn: str, broker: Broker, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_: str) -> None:
        raise ConnectionResetError

    await pay(store, 2)
    with monkeypatch.context() as patch:
        patch.setattr(relay_module, "crash_point", die)
        with pytest.raises(ConnectionResetError):
            await drain(relay)
    assert len(broker.asked) == 4
    again = relay_on(dsn, broker)
    await drain(again)
    assert len(broker.asked) == 8, "the place was not advanced"
    assert len(broker.stored) == 4, "and the same ids were used"
    await again._outbox.close()


# Speed: an insert pays little, a pass reads little


@pytest.mark.usefixtures("fresh_schemas")
async def test_a_pass_reads_by_the_block_range_index(
    store: NodeStore, sql: asyncpg.Connection, relay: Relay
) -> None:
    await sql.execute(
        "INSERT INTO event (id, subject, seq, merchant, livemode, type, body, writer, created_ms)"
        " SELECT 'evt_' || n, 'pi_' || n, 1, 'acct_1', false, 'x', repeat('x', 500), n, n"
        "   FROM generate_series(1, 20000) n; ANALYZE event;"
    )
    connection = await relay._outbox._open()
    plans = {
        "follow": await connection.fetch(
            f"EXPLAIN {_literal(statement('relay_follow'), 5, repr(''), 0, 9, 256)}"
        ),
        "sweep": await connection.fetch(
            f"EXPLAIN {_literal(statement('relay_sweep'), repr('pi_1'), 1, 256)}"
        ),
        "backlog": await connection.fetch(
            f"EXPLAIN {_literal(statement('relay_backlog'), repr('events'), 10)}"
        ),
    }
    text = {name: "\n".join(row[0] for row in rows) for name, rows in plans.items()}
    assert "event_by_xact" in text["follow"]
    assert "event_pkey" in text["sweep"]
    assert "event_by_xact" in text["backlog"]
    assert "event_pkey" in text["backlog"]
    for each in text.values():
        assert "Seq Scan" not in each and "Hash" not in each, each
    await relay._outbox.summarize()


def _literal(text: str, *values: object) -> str:
    return re.sub(r"\$(\d+)", lambda found: str(values[int(found[1]) - 1]), _plain(text))


def _plain(text: str) -> str:
    return re.sub(r"--[^\n]*", "", text)
