"""A database that an earlier version has filled goes on with this one, row by row.

``filled_0004.sql`` is a node's database as that version left it: payments in every state, refunds,
webhooks that could not be delivered, keys with their answers.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from bailiwick.base.keys import key_identity
from bailiwick.channels.contract import Operation
from bailiwick.checker import inside, stories, tables
from bailiwick.checker.findings import Findings
from bailiwick.checker.places import NodePlace
from bailiwick.checker.reader import snapshot
from bailiwick.delivery.outbox import Outbox, Position
from bailiwick.node import assembly
from bailiwick.resources.events.shown import event_object
from bailiwick.resources.payments import render
from bailiwick.resources.payments import stored as payments
from bailiwick.resources.payments.params import CapturePayment
from bailiwick.resources.payments.rows import Payment
from bailiwick.resources.refunds.params import CreateRefund
from bailiwick.store import migrate as migrations_module
from bailiwick.store.database import Page
from bailiwick.store.migrate import migrate
from bailiwick.store.statements import migrations
from bailiwick.topology.merchants import Merchant
from tests.postgres.node_kit import Bank, Region, asked, body
from tests.postgres.rows_kit import sound
from tests.store_kit import NodeStore

FILLED = Path(__file__).with_name("filled_0004.sql")
BEFORE = 4
NODE = 2
SHOP = Merchant("acct_demo", "Shop")
ALSO = """
INSERT INTO relay (consumer, origin, sweeping, xact, payment, seq)
    SELECT 'overview', '1', true, 5, min(id), 1 FROM payment;
INSERT INTO relay_trouble (consumer, event, payment, seq, tries, reason)
    SELECT 'overview', id, payment, seq, 2, 'no room' FROM event LIMIT 1;
INSERT INTO review (payment, attempt, reason)
    SELECT payment, id, 'unresolved' FROM attempt ORDER BY id LIMIT 1;
"""


@pytest.fixture
async def moved(schema_dsn: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The filled database, migrated by this version."""
    files = migrations()
    connection = await asyncpg.connect(schema_dsn)
    with monkeypatch.context() as patch:
        patch.setattr(migrations_module, "migrations", lambda: files[:BEFORE])
        await migrate(connection, NODE)
    await connection.execute("DELETE FROM fence; DELETE FROM sweep")
    await connection.execute(FILLED.read_text("utf-8") + ALSO)
    assert await migrate(connection, NODE) == [name for name, _ in files[BEFORE:]]
    await connection.close()
    return schema_dsn


@pytest.fixture
async def opened(moved: str) -> AsyncIterator[NodeStore]:
    store = NodeStore(moved, lambda: 1, pool_max=4)
    await store.open()
    yield store
    await store.close()


async def test_all_that_must_hold_holds(moved: str) -> None:
    found = Findings()
    async with snapshot(NodePlace("europe", moved)) as db:
        for invariant in inside.INSIDE:
            await invariant(db, found.of(invariant))
        rows = await tables.load(db)
        told = stories.Stories(db.node, rows, found)
        await stories.read(db, told)
        await stories.stored_answers(db, found.of(stories.stored_answers), rows, told.edited)
    assert (len(rows.payments), len(rows.attempts), len(rows.refunds)) == (12, 16, 3)
    assert {each.name: each.examples for each in found.all() if each.count} == {}
    assert all(each.compared for each in found.all())


async def test_payments_and_events_read_as_they_were_told(opened: NodeStore) -> None:
    kinds = assembly.kinds()
    found, following = await payments.page(opened, SHOP.id, False, Page(limit=100), None)
    assert len(found) == 12 and following is None
    events = await opened.page("event", SHOP.id, False, Page(limit=100), None, 0, 2**53, None)
    shown = [json.loads(msgspec.json.encode(event_object(kinds, row, {}))) for row in events]
    assert len(shown) == 36 and len({each["payment"] for each in shown}) == 12
    for payment in found:
        told = [each for each in shown if each["payment"] == payment.id]
        latest = max(told, key=lambda each: int(each["sequence"]))["data"]["object"]
        if latest["object"] == "payment_intent" and len(told) > 1:
            assert _reads_as(payment, latest)
        attempts = await opened.attempts(payment.id)
        assert [each.number for each in attempts] == list(range(1, payment.attempts + 1))
        assert {each.subject for each in attempts} <= {payment.id}


async def test_a_key_is_answered_as_before(opened: NodeStore) -> None:
    stored = await opened.key(key_identity(SHOP.id, False, "kept-key"))
    assert stored is not None and stored.answer_status == 200
    said = json.loads(stored.answer_body or "")
    payment = await opened.payment(said["id"])
    assert payment is not None and _reads_as(payment, said)


def _reads_as(payment: Payment, told: dict[str, Any]) -> bool:
    """Whether a payment is shown as it was told of; fields that are newer are empty."""
    now = json.loads(msgspec.json.encode(render.payment_intent(payment)))
    newer = {name: now.pop(name) for name in set(now) - set(told)}
    if told["payment_method_options"] == {}:  # then without the fields that say nothing
        assert not {"vault"} & set(now.pop("payment_method_options")["card"])
        told = {name: value for name, value in told.items() if name != "payment_method_options"}
    return now == told and not any(newer.values())


async def _of(store: NodeStore, state: str) -> list[Any]:
    found, _ = await payments.page(store, SHOP.id, False, Page(limit=100), None)
    return [each for each in found if each.state == state]


async def test_payments_go_on(opened: NodeStore, moved: str) -> None:
    """A hold is captured and a payment refunded at the gateway that took them."""
    bank = Bank("rhein-bank")
    region = Region(opened, bank)
    (held,) = await _of(opened, "requires_capture")
    wish = CapturePayment()
    made = asked("capture", "new-1", {"id": held.id}, SHOP)
    answer = await region.payments.capture(made, held.id, wish)
    assert body(answer)["status"] == "succeeded"
    paid = (await _of(opened, "succeeded"))[0]
    refunded = await region.refunds.create(
        asked("refund", "new-2", {}, SHOP), CreateRefund(payment_intent=held.id, amount=99)
    )
    assert body(refunded)["status"] == "succeeded"
    assert [each.operation for each in bank.calls] == [Operation.CAPTURE, Operation.REFUND]
    assert bank.calls[1].charge_reference == held.charge_attempt and paid
    connection = await asyncpg.connect(moved)
    await sound(connection)
    await connection.close()


async def test_what_is_owed_is_still_owed(opened: NodeStore, moved: str) -> None:
    connection = await asyncpg.connect(moved)
    (endpoint,) = {row[0] for row in await connection.fetch("SELECT endpoint FROM delivery")}
    await connection.execute("UPDATE delivery SET next_at = now() WHERE next_at IS NOT NULL")
    due = await opened.rows("deliveries_due", [endpoint], [40], 60_000, 1)
    claimed = [row for row in due if row["claimed"]]
    assert claimed and all(row["subject"].startswith("pi_") for row in claimed)
    assert len({row["subject"] for row in claimed}) == len(claimed), "in order for each payment"
    review = await connection.fetchrow("SELECT subject, attempt FROM review")
    assert review is not None and await opened.attempt(review["attempt"]) is not None
    await connection.close()


async def test_the_relay_goes_on_where_it_was(moved: str) -> None:
    outbox = Outbox(moved, "overview")
    async with outbox.claimed(1) as claim:
        assert claim is not None and claim.position.subject.startswith("pi_")
        rows = await outbox.sweep(claim.position, 100)
        assert len(rows) == 35, "all but the one that was sent"
        everything = await outbox.sweep(Position(), 100)
        assert len(everything) == 36
    await outbox.close()


async def test_accounts_are_read_by_an_index(moved: str) -> None:
    connection = await asyncpg.connect(moved)
    await connection.execute("SET enable_seqscan = off")
    for side in ("debit", "credit"):
        plan = await connection.fetchval(
            f"EXPLAIN (FORMAT JSON) SELECT sum(amount) FROM posting WHERE {side} = 'merchant:x'"
        )
        assert f"posting_by_{side}" in plan
    await connection.close()
