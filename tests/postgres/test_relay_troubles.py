"""The relay when the broker is away, forgets, or refuses: the outbox is sent all the same."""

import asyncpg
import pytest

from bailiwick.base import events
from bailiwick.base.events import decode_report
from bailiwick.bus.client import BusRefused, BusUnavailable
from bailiwick.delivery import relay as relay_module
from bailiwick.delivery.relay import TRIES_MAX, Relay
from tests.postgres.relay_kit import Broker, drain, outbox, pay
from tests.store_kit import NodeStore

# The broker's troubles


async def test_a_broker_that_is_away_is_waited_for(
    store: NodeStore, broker: Broker, relay: Relay
) -> None:
    broker.connected = False
    await pay(store)
    with pytest.raises(BusUnavailable):
        await relay.step()
    assert relay.backlog.waiting == 2
    assert relay.lag_s > 0
    pauses = [await relay._careful() for _ in range(8)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == relay_module.PAUSE_MAX_S
    broker.connected = True
    await drain(relay)
    assert len(broker.stored) == 2
    relay._reported_at = 0.0
    await relay.step()
    assert relay.backlog.waiting == 0
    assert relay.lag_s == 0
    assert decode_report(broker.reports[-1]).waiting == 0


async def test_a_lost_answer_keeps_the_payment_s_order(
    store: NodeStore, broker: Broker, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "BATCH_MAX", 1)
    made = await pay(store, 3)
    broker.silent = lambda event: event.seq == 1 and event.payment == made[1]
    with pytest.raises(BusUnavailable):
        await drain(relay)
    assert broker.order().get(made[1]) == [1], "the next one waits for the answer"
    broker.silent = lambda event: False
    await drain(relay)
    assert broker.order() == {identifier: [1, 2] for identifier in made}


async def test_what_came_meanwhile_joins_the_message_that_is_repeated(
    store: NodeStore, sql: asyncpg.Connection, broker: Broker, relay: Relay
) -> None:
    """It overlaps the first one in part: the broker keeps both, and readers each event once."""
    await pay(store)
    await drain(relay)
    made = await pay(store)
    broker.silent = lambda event: event.payment == made[0]
    with pytest.raises(BusUnavailable):
        await drain(relay)
    made += await pay(store)
    broker.silent = lambda event: False
    await drain(relay)
    assert [len(message) for message in broker.messages] == [2, 2, 4]
    assert [broker.order()[identifier] for identifier in made] == [[1, 2], [1, 2]]
    assert broker.ids() == await outbox(sql)


async def test_a_wiped_stream_is_filled_again(
    store: NodeStore, sql: asyncpg.Connection, broker: Broker, relay: Relay
) -> None:
    await pay(store, 3)
    await drain(relay)
    broker.wipe()
    await drain(relay)
    assert broker.ids() == await outbox(sql)
    assert broker.makings == 2


async def test_a_stream_that_was_made_by_somebody_else_since_is_filled_again(
    store: NodeStore, sql: asyncpg.Connection, broker: Broker, relay: Relay
) -> None:
    """Another node was first to make it, and has sent more than we ever had."""
    await pay(store, 2)
    await drain(relay)
    broker.wipe()
    await broker.ensure_stream("", ["bailiwick.events.*"])
    broker.last = 10_000
    await drain(relay)
    assert broker.ids() == await outbox(sql)


async def test_a_stream_that_was_set_back_is_filled_again(
    store: NodeStore,
    sql: asyncpg.Connection,
    broker: Broker,
    relay: Relay,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Acknowledged messages were lost, as with a server that does not write at once."""
    monkeypatch.setattr(events, "BATCH_MAX", 2)
    await pay(store, 3)
    await drain(relay)
    broker.set_back(1)
    await drain(relay)
    assert broker.ids() == await outbox(sql)
    asked = len(broker.asked)
    await drain(relay)
    assert len(broker.asked) == asked, "once"


async def test_a_dump_restored_elsewhere_is_sent_from_its_beginning(
    store: NodeStore, sql: asyncpg.Connection, broker: Broker, relay: Relay
) -> None:
    """Its rows carry transactions of the other cluster, here of a far future."""
    await sql.execute("ALTER TABLE event ALTER COLUMN xact SET DEFAULT 1000000000000")
    old = await pay(store, 2)
    await sql.execute(
        "ALTER TABLE event ALTER COLUMN xact SET DEFAULT (pg_current_xact_id()::text::bigint)"
    )
    await drain(relay)
    await sql.execute("UPDATE relay SET origin = '17', xact = 1000000000001, subject = '', seq = 0")
    broker.wipe()
    await drain(relay)
    new = await pay(store, 2)
    await drain(relay)
    assert broker.order() == {identifier: [1, 2] for identifier in old + new}


async def test_events_from_before_the_relay_are_sent_too(
    store: NodeStore, sql: asyncpg.Connection, broker: Broker, relay: Relay
) -> None:
    """The migration gives all rows that it finds one number."""
    await sql.execute("ALTER TABLE event DROP COLUMN xact")
    old = await pay(store, 2)
    await sql.execute(
        "ALTER TABLE event ADD COLUMN xact bigint NOT NULL DEFAULT"
        " (pg_current_xact_id()::text::bigint);"
        "CREATE INDEX event_by_xact ON event USING brin (xact)"
    )
    await drain(relay)
    new = await pay(store)
    await drain(relay)
    assert broker.order() == {identifier: [1, 2] for identifier in [*old, *new]}


# Poison


async def test_poison_is_parked_and_the_rest_goes_on(
    store: NodeStore, sql: asyncpg.Connection, broker: Broker, relay: Relay
) -> None:
    made = await pay(store, 3)
    bad = made[1]
    broker.refuse = lambda event: event.payment == bad and event.seq == 1
    for _ in range(TRIES_MAX - 1):
        with pytest.raises(BusRefused):
            await drain(relay)
        assert bad not in broker.order(), "what follows it waits while it is tried"
    await drain(relay)
    assert broker.order() == {made[0]: [1, 2], made[2]: [1, 2], bad: [2]}
    more = await pay(store)
    await drain(relay)
    assert broker.order()[more[0]] == [1, 2]
    row = await sql.fetchrow("SELECT subject, seq, tries, parked_at FROM relay_trouble")
    assert tuple(row)[:3] == (bad, 1, TRIES_MAX)
    assert row["parked_at"] is not None
    relay._reported_at = 0.0
    await relay.step()
    assert relay.backlog.parked == 1
    assert decode_report(broker.reports[-1]).parked == 1


async def test_poison_in_full_messages_fails_alone(
    store: NodeStore, sql: asyncpg.Connection, broker: Broker, relay: Relay
) -> None:
    made = await pay(store, 2 * events.BATCH_MAX)
    bad = {made[3], made[150]}
    broker.refuse = lambda event: event.payment in bad and event.seq == 2
    for _ in range(TRIES_MAX - 1):
        with pytest.raises(BusRefused):
            await drain(relay)
        good = {identifier for identifier, found in broker.order().items() if found == [1, 2]}
        assert good == set(made) - bad, "the others do not wait"
    await drain(relay)
    assert broker.order() == {each: [1] if each in bad else [1, 2] for each in made}
    assert await sql.fetchval("SELECT count(*) FROM relay_trouble WHERE parked_at IS NOT NULL") == 2
    await drain(relay)
    assert relay._position.seq == 0, "and it is past them"


async def test_a_broker_that_refuses_everything_parks_nothing(
    store: NodeStore, sql: asyncpg.Connection, broker: Broker, relay: Relay
) -> None:
    await pay(store)
    broker.silent = lambda event: True
    for _ in range(TRIES_MAX + 2):
        with pytest.raises(BusUnavailable):
            await drain(relay)
    assert await sql.fetchval("SELECT count(*) FROM relay_trouble") == 0
