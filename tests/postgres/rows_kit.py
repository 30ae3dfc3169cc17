"""Rows for the lanes, with only what a test cares about spelled out."""

import asyncio
from typing import Any

import asyncpg
import msgspec

from bailiwick.base.clock import now_ms
from bailiwick.base.ids import new_id, new_token, part_id
from bailiwick.base.keys import key_identity
from bailiwick.idempotency.rows import Claim, Refuse
from bailiwick.orders.rows import more as _more
from bailiwick.resources.payments.rows import Details, Payment, PaymentCreate, PaymentMove, Progress
from bailiwick.store.lanes import Written
from tests.store_kit import NodeStore

BODY = '{"object":"payment_intent"}'
CONTENT = msgspec.json.encode(
    Payment(
        id="pi_1",
        merchant="acct_1",
        livemode=False,
        version=1,
        state="processing",
        epoch=1,
        amount=1000,
        currency="EUR",
        created_ms=1,
        updated_ms=1,
        details=Details("cs_1", {"country": "DE"}, {"node": 1}),
        progress=Progress(payment_method="pm_card_visa"),
    )
).decode()
TABLES = ("idempotency_key", "payment", "attempt", "refund", "event", "posting", "delivery",
          "review")  # fmt: skip


def create(**values: Any) -> PaymentCreate:
    """A payment of 1000 EUR cents, confirmed at once."""
    identifier = new_id("pi", 1, now_ms())
    given: dict[str, Any] = {
        "id": identifier,
        "merchant": "acct_1",
        "livemode": False,
        "key": "key-" + identifier,
        "request_hash": "h" * 32,
        "operation": "create",
        "writer": new_token(),
        "now_ms": now_ms(),
        "epoch": 1,
        "state": "processing",
        "amount": 1000,
        "currency": "EUR",
        "content": CONTENT,
        "event_id": new_id("evt", 1, now_ms()),
        "event_type": "payment_intent.created",
        "attempt_id": part_id("ch", identifier, 1),
        "gateway": "bank",
        "instruction": '{"reference": "ref"}',
    }
    given |= values
    given["identity"] = key_identity(given["merchant"], given["livemode"], given["key"])
    return PaymentCreate(**given)


def move(of: PaymentCreate, version: int = 1, **values: Any) -> PaymentMove:
    """The success of ``create``'s charge."""
    given: dict[str, Any] = {
        "id": of.id,
        "expected_version": version,
        "expected_state": "processing" if version == 1 else "succeeded",
        "writer": new_token(),
        "now_ms": now_ms(),
        "state": "succeeded",
        "amount": of.amount,
        "amount_capturable": 0,
        "amount_received": of.amount,
        "amount_refunding": 0,
        "amount_refunded": 0,
        "attempts": 1,
        "event_id": new_id("evt", 1, now_ms()),
        "event_type": "payment_intent.succeeded",
        "event_body": BODY,
        "charge_attempt": of.attempt_id,
    }
    if version == 1:
        given |= {
            "end_id": of.attempt_id,
            "end_state": "approved",
            "end_ref": "bank_1",
            "end_result": "{}",
            "debits": ["receivable:bank"],
            "credits": ["merchant:acct_1"],
            "amounts": [1000],
        }
    return PaymentMove(**{**given, **values})


def claim(key: str, object_id: str = "pi_x") -> Claim:
    return Claim(key_identity("acct_1", False, key), key, "h" * 32, "capture", object_id)


def refuse(reason: str, writer: int, *keys: str) -> Refuse:
    """Tombstones for keys of the merchant of all."""
    identities = [key_identity("acct_1", False, key) for key in keys]
    return Refuse("acct_1", False, None, reason, writer, 1, identities, ["h" * 32] * len(keys))


def more(**values: Any) -> str:
    """What few moves bring along."""
    ours = ("claim", "ends", "attempt_new", "review")
    known = {name: value for name, value in values.items() if name in ours}
    beside = {name: value for name, value in values.items() if name not in ours}
    found = _more(**known, beside=beside)
    assert found is not None
    return found


async def write(
    store: NodeStore, *rows: PaymentCreate | PaymentMove
) -> list[Written | BaseException]:
    """Queue rows in one go, so that they share batches, and wait for all their fates."""
    waiting = [
        store.creates.write(row) if isinstance(row, PaymentCreate) else store.moves.write(row)
        for row in rows
    ]
    return await asyncio.gather(*waiting, return_exceptions=True)


async def done(store: NodeStore, *rows: PaymentCreate | PaymentMove) -> list[bool]:
    """Which of the rows were written; an error is raised."""
    fates = []
    for fate in await write(store, *rows):
        if isinstance(fate, BaseException):
            raise fate
        fates.append(fate.done)
    return fates


async def waits_for_lock(watcher: asyncpg.Connection, pid: int) -> bool:
    """Whether a server process waits for a lock now, as another connection sees it."""
    await watcher.execute("SELECT pg_stat_clear_snapshot()")  # within a transaction it is kept
    return bool(
        await watcher.fetchval(
            "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $1", pid
        )
    )


async def counts(sql: asyncpg.Connection) -> dict[str, int]:
    """How many rows each table holds."""
    return {table: await sql.fetchval(f"SELECT count(*) FROM {table}") for table in TABLES}


async def sound(sql: asyncpg.Connection) -> None:
    """What must hold in every database, whatever happened."""
    gaps = await sql.fetch(
        "SELECT p.id FROM payment p LEFT JOIN event e ON e.subject = p.id GROUP BY p.id, p.version"
        " HAVING count(e.seq) <> p.version OR min(e.seq) <> 1 OR max(e.seq) <> p.version"
    )
    assert gaps == [], "one event for each version, without a gap"
    assert not await sql.fetchval("SELECT count(*) FROM posting WHERE amount = 0 OR debit = credit")
    columns = await sql.fetch(
        "SELECT p.id FROM payment p LEFT JOIN entry g"
        "    ON g.subject = p.id AND g.account LIKE 'merchant:%'"
        " GROUP BY p.id HAVING coalesce(-sum(g.amount), 0) <> p.amount_received - p.amount_refunded"
        " - coalesce((SELECT sum(d.amount + d.fee) FROM dispute d"
        "              WHERE d.payment = p.id AND d.funds = 'withdrawn'), 0)"
    )
    assert columns == [], "balances equal the columns"
    orphans = await sql.fetchval(
        "SELECT count(*) FROM attempt a WHERE NOT EXISTS (SELECT FROM payment p"
        " WHERE p.id = a.subject AND p.merchant = a.merchant AND p.livemode = a.livemode)"
    )
    assert orphans == 0
