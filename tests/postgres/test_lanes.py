"""Group commit: who wins, what is written, and that nothing else is."""

import asyncio
from typing import Any

import asyncpg
import msgspec
import pytest

from bailiwick.base.clock import boot_ns
from bailiwick.orders.attempts import AttemptNew
from bailiwick.orders.executor import PERMIT_NS, permit
from bailiwick.orders.rows import Review
from bailiwick.resources.refunds.rows import RefundNew
from bailiwick.store import lanes
from bailiwick.store.lanes import BadRow, LaneFull, Written
from tests.postgres.rows_kit import (
    BODY,
    claim,
    counts,
    create,
    done,
    more,
    move,
    refuse,
    sound,
    waits_for_lock,
    write,
)
from tests.store_kit import NodeStore
from tests.waiting import PATIENCE_S, until

replace = msgspec.structs.replace
NOTHING = dict.fromkeys(
    ("idempotency_key", "payment", "attempt", "refund", "event", "posting", "delivery", "review"), 0
)


async def test_a_payment_s_life(store: NodeStore, sql: asyncpg.Connection) -> None:
    row = create()
    assert await done(store, row) == [True]
    assert await done(store, move(row)) == [True]
    payment = await store.payment(row.id)
    assert payment is not None
    assert (payment.state, payment.version, payment.amount_received) == ("succeeded", 2, 1000)
    attempt = await store.attempt(row.attempt_id or "")
    assert attempt is not None
    assert (attempt.state, attempt.provider_ref, attempt.key) == ("approved", "bank_1", row.key)
    assert await counts(sql) == {**NOTHING, "idempotency_key": 1, "payment": 1, "attempt": 1,
                                 "event": 2, "posting": 1}  # fmt: skip
    await sound(sql)


async def test_a_crowd_shares_commits(store: NodeStore, sql: asyncpg.Connection) -> None:
    rows = [create() for _ in range(600)]
    assert all(await done(store, *rows))
    assert store.creates.batches <= 4
    assert all(await done(store, *[move(row) for row in rows]))
    await sound(sql)


async def test_the_same_key_a_hundred_times_in_one_batch(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    rows = [create(key="same") for _ in range(100)]
    batches = store.creates.batches
    fates = await done(store, *rows)
    assert store.creates.batches == batches + 1
    assert fates.count(True) == 1
    winner = rows[fates.index(True)]
    stored = await store.key(winner.identity)
    assert stored is not None and (stored.writer, stored.object) == (winner.writer, winner.id)
    assert await counts(sql) == {
        **NOTHING, "idempotency_key": 1, "payment": 1, "attempt": 1, "event": 1,
    }  # fmt: skip
    assert await done(store, create(key="same")) == [False]
    await sound(sql)


async def test_keys_are_a_merchant_s_and_a_mode_s_own(store: NodeStore) -> None:
    rows = [create(key="k"), create(key="k", livemode=True), create(key="k", merchant="acct_2")]
    assert await done(store, *rows) == [True, True, True]


async def test_the_same_payment_many_times(store: NodeStore, sql: asyncpg.Connection) -> None:
    row = create()
    await done(store, row)
    batches = store.moves.batches
    fates = await done(store, *[move(row) for _ in range(20)])
    assert fates.count(True) == 1
    assert store.moves.batches == batches + 20, "one write per payment and batch"
    assert (await counts(sql))["event"] == 2 and (await counts(sql))["posting"] == 1
    await sound(sql)


@pytest.mark.parametrize(
    "values",
    [{"expected_version": 2}, {"expected_version": 0}, {"expected_state": "requires_capture"},
     {"id": "pi_unknown"}],
)  # fmt: skip
async def test_a_stale_move_leaves_no_trace(
    store: NodeStore, sql: asyncpg.Connection, values: dict[str, Any]
) -> None:
    row = create()
    await done(store, row)
    before = await counts(sql)
    review = Review(row.attempt_id or "", "x")
    stale = move(row, more=more(claim=claim("k2", row.id), review=review), **values)
    assert await done(store, stale) == [False]
    assert await counts(sql) == before
    attempt = await store.attempt(row.attempt_id or "")
    assert attempt is not None and attempt.state == "permitted"


async def test_a_taken_key_in_a_move_leaves_no_trace(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    first, second = create(), create()
    await done(store, first, second)
    assert await done(store, move(first, more=more(claim=claim("k", first.id)))) == [True]
    before = await counts(sql)
    new = AttemptNew("at_new", 2, "capture", "bank", 1000, 1, {})
    refund = RefundNew("re_new", "pending", 10, "at_new", {})
    refused = move(
        second,
        more=more(
            claim=claim("k", second.id),
            attempt_new=new,
            refund_new=refund,
            review=Review("ch", "x"),
        ),
        endpoints=["we_1"],
    )
    assert await done(store, refused) == [False]
    assert await counts(sql) == before
    payment = await store.payment(second.id)
    assert payment is not None and (payment.version, payment.state) == (1, "processing")
    stored = await store.key(claim("k").identity)
    assert stored is not None and stored.object == first.id


async def test_two_moves_with_one_key_in_one_batch(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    rows = [create() for _ in range(10)]
    await done(store, *rows)
    fates = await done(store, *[move(row, more=more(claim=claim("one", row.id))) for row in rows])
    assert fates.count(True) == 1
    assert (await counts(sql))["posting"] == 1
    await sound(sql)


async def test_a_bad_row_fails_alone(store: NodeStore, sql: asyncpg.Connection) -> None:
    bad = [
        create(amount=0),
        create(currency="euro"),
        create(merchant="acct\u0000"),
        create(amount=2**70),
        create(instruction=object()),
        create(request_hash="\ud800"),
    ]
    good = [create() for _ in range(5)]
    fates = await write(store, *good[:2], *bad, *good[2:])
    wrong = fates[2 : 2 + len(bad)]
    assert all(isinstance(fate, BadRow) for fate in wrong), wrong
    right = fates[:2] + fates[2 + len(bad) :]
    assert all(isinstance(fate, Written) and fate.done for fate in right)
    assert (await counts(sql))["payment"] == len(good)
    moves: list[Any] = [move(row) for row in good]
    moves[1] = replace(moves[1], amount_received=2001)
    moves[3] = replace(moves[3], amount_refunded=1001)
    fates = await write(store, *moves)
    assert [isinstance(fate, BadRow) for fate in fates] == [False, True, False, True, False]
    for place in (1, 3):
        payment = await store.payment(good[place].id)
        assert payment is not None and payment.version == 1
    assert (await counts(sql))["posting"] == 3
    await sound(sql)


async def test_a_fenced_database_writes_nothing(store: NodeStore, sql: asyncpg.Connection) -> None:
    row = create()
    await done(store, row)
    await sql.execute("UPDATE fence SET fenced_at = now()")
    before = await counts(sql)
    assert await done(store, create(), create()) == [False, False]
    assert await done(store, move(row, more=more(claim=claim("k", row.id)))) == [False]
    assert await store.row("attempt_replay", row.attempt_id, 0, 60_000.0, 1) is None
    refusal = refuse("draining", 1, "k9")
    assert not (await store.refuse(refusal)).done
    await sql.execute("UPDATE attempt SET next_check_at = now()")
    assert await store.due(10, 1_000) == []
    assert await counts(sql) == before
    await sql.execute("UPDATE fence SET fenced_at = NULL")
    assert await done(store, move(row)) == [True]
    assert (await store.refuse(refusal)).done


async def test_tombstones_share_commits_and_lose_against_a_claim(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    taken = create(key="k0")
    await done(store, taken)
    rows = [
        refuse("overloaded", 1000 * n, *(f"k{(50 * n + each) % 200}" for each in range(50)))
        for n in range(8)
    ]
    fates = await asyncio.gather(*(store.refuse(row) for row in rows))
    won = [
        (identity, row.writer + number)
        for row, fate in zip(rows, fates, strict=True)
        for number, identity in enumerate(row.identities)
        if row.writer + number in fate.tokens
    ]
    assert len(won) == len({identity for identity, _ in won}) == 199
    assert store.refusals.batches <= 4
    assert {row["refused"] for row in await sql.fetch("SELECT refused FROM idempotency_key")} == {
        None, "overloaded"
    }  # fmt: skip
    for identity, writer in won:
        stored = await store.key(identity)
        assert stored is not None and (stored.refused, stored.writer) == ("overloaded", writer)
    assert await done(store, create(key="k1")) == [False], "a refused key is never taken"


@pytest.mark.parametrize(("fence_epoch", "written"), [(1, True), (2, False)])
async def test_an_epoch_below_the_fence_is_refused(
    store: NodeStore, sql: asyncpg.Connection, fence_epoch: int, written: bool
) -> None:
    row = create()
    await done(store, row)
    await sql.execute("UPDATE fence SET epoch = $1", fence_epoch)
    assert await done(store, create()) == [written]
    assert await done(store, move(row)) == [written]


async def test_a_fence_waits_for_the_batch_under_way(dsn: str, sql: asyncpg.Connection) -> None:
    holder = await asyncpg.connect(dsn)
    async with holder.transaction():
        await holder.fetch("SELECT FROM fence FOR SHARE")
        fencing = asyncio.ensure_future(sql.execute("UPDATE fence SET fenced_at = now()"))
        await until(lambda: waits_for_lock(holder, sql.get_server_pid()))
        assert not fencing.done()
    await asyncio.wait_for(fencing, PATIENCE_S)
    await holder.close()


async def test_answers_are_stored_with_their_event(store: NodeStore) -> None:
    at_once = create(answer_status=200, attempt_id=None, instruction=None, event_body=BODY)
    await done(store, at_once)
    stored = await store.key(at_once.identity)
    assert stored is not None and (stored.answer_status, stored.answer_body) == (200, BODY)
    later = create()
    await done(store, later)
    stored = await store.key(later.identity)
    assert stored is not None and (stored.answer_status, stored.answer_body) == (None, None)
    body = '{"error":{"code":"card_declined"}}'
    answered = move(later, answer_key=later.key, answer_status=402, answer_body=body)
    await done(store, answered)
    stored = await store.key(later.identity)
    assert stored is not None
    assert (stored.answer_status, stored.answer_body) == (402, body)
    # The first definite answer stays.
    again = move(later, 2, answer_key=later.key, answer_status=200)
    assert await done(store, again) == [True]
    stored = await store.key(later.identity)
    assert stored is not None and stored.answer_status == 402


async def test_everything_that_belongs_to_a_move_is_written_with_it(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    row = create()
    await done(store, row)
    full = move(
        row,
        attempts=2,
        amount_refunding=10,
        more=more(
            attempt_new=AttemptNew("at_2", 2, "refund", "bank", 10, 1, {"a": 1}, "re_1", "k"),
            refund_new=RefundNew("re_1", "pending", 10, "at_2", {"reason": None}),
            review=Review(row.attempt_id or "", "amount_mismatch", "detail"),
            claim=claim("k", "re_1"),
        ),
        endpoints=["we_1", "we_2"],
    )
    assert await done(store, full) == [True]
    assert await counts(sql) == {
        "idempotency_key": 2, "payment": 1, "attempt": 2, "refund": 1, "event": 2, "posting": 1,
        "delivery": 2, "review": 1,
    }  # fmt: skip
    refund = await store.refund("re_1")
    assert refund is not None and (refund.payment, refund.currency) == (row.id, "EUR")


async def test_cancelling_a_waiter_does_not_cancel_the_commit(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    rows = [create() for _ in range(20)]
    waiting = [asyncio.ensure_future(store.create(row)) for row in rows]
    await asyncio.sleep(0)
    for task in waiting[::2]:
        task.cancel()
    fates = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(fate, asyncio.CancelledError) for fate in fates[::2])
    assert all(isinstance(fate, Written) and fate.done for fate in fates[1::2])
    assert (await counts(sql))["payment"] == 20
    assert await done(store, create()) == [True]


async def test_a_stop_lets_the_batch_end(dsn: str, sql: asyncpg.Connection) -> None:
    store = NodeStore(dsn, lambda: 1, pool_max=2)
    await store.open()
    # The batch waits for this lock while the lane is stopped.
    async with sql.transaction():
        await sql.execute("LOCK TABLE idempotency_key IN EXCLUSIVE MODE")
        waiting = store.creates.write(create())
        await until(lambda: waits_for_lock(sql, store.creates._backend_pid))
        behind = store.creates.write(create())
        stopping = asyncio.ensure_future(store.close())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not stopping.done()
    await asyncio.wait_for(stopping, PATIENCE_S)
    assert (await waiting).done
    assert behind.cancelled()
    assert (await counts(sql))["payment"] == 1


async def test_a_full_queue_refuses_at_once(
    store: NodeStore, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "QUEUE_MAX", 3)
    async with sql.transaction():
        await sql.execute("LOCK TABLE idempotency_key IN EXCLUSIVE MODE")
        first = store.creates.write(create())
        await until(lambda: waits_for_lock(sql, store.creates._backend_pid))
        waiting = [store.creates.write(create()) for _ in range(3)]
        with pytest.raises(LaneFull):
            store.creates.write(create())
        await until(lambda: store.creates.lag_ms >= 40)
    assert (await first).done
    assert all(fate.done for fate in await asyncio.gather(*waiting))
    assert (await counts(sql))["payment"] == 4


async def test_waiters_are_told_only_after_the_commit(store: NodeStore, dsn: str) -> None:
    """What a waiter was told is there for everybody else at that very moment."""
    other = await asyncpg.connect(dsn)
    for _ in range(20):
        row = create()
        assert (await store.create(row)).done
        assert await other.fetchval("SELECT writer FROM payment WHERE id = $1", row.id) == (
            row.writer
        )
    await other.close()


async def test_nobody_is_told_before_the_commit(store: NodeStore, sql: asyncpg.Connection) -> None:
    async with sql.transaction():
        await sql.execute("LOCK TABLE event IN EXCLUSIVE MODE")
        waiting = store.creates.write(create())
        await until(lambda: waits_for_lock(sql, store.creates._backend_pid))
        assert not waiting.done()
    assert (await waiting).done


async def test_a_permit_counts_from_the_batch_s_begin(store: NodeStore) -> None:
    before = boot_ns()
    written = await store.create(create())
    assert before <= written.begun_boot_ns <= boot_ns()
    granted = permit(written.begun_boot_ns)
    assert granted.expires_boot_ns == written.begun_boot_ns + PERMIT_NS
    assert boot_ns() < granted.expires_boot_ns


async def test_forgotten_attempts_are_found(
    store: NodeStore, sql: asyncpg.Connection, dsn: str
) -> None:
    """Whoever was permitted may die: its attempt is looked at once the permit has run out."""
    left, ended, fresh = create(), create(), create()
    await done(store, left, ended)
    await done(store, move(ended))
    assert await store.sweep(60_000) == []
    # A transaction that began before and has yet to write keeps the time from moving past it.
    slow = await asyncpg.connect(dsn)
    holder = slow.transaction()
    await holder.start()
    await slow.execute("INSERT INTO callback (gateway, notice) VALUES ('bank', 'slow')")
    await done(store, fresh)
    found = await store.sweep(0)
    assert sorted(found) == sorted([left.attempt_id, fresh.attempt_id])
    began = await slow.fetchval("SELECT now()")
    assert await sql.fetchval("SELECT swept_until FROM sweep") == began
    assert {each.id for each in await store.due(10, 60_000)} == set(found)
    await holder.rollback()
    await slow.close()
    assert await store.sweep(0) == [], "each is found once"
    assert await sql.fetchval("SELECT swept_until FROM sweep") > began
    forgotten = create()
    await done(store, forgotten)
    await sql.execute("UPDATE fence SET fenced_at = now()")
    assert await store.sweep(0) == [], "a fenced node looks after nothing"
    await sql.execute("UPDATE fence SET fenced_at = NULL")
    assert await store.sweep(0) == [forgotten.attempt_id], "and has passed over nothing"


async def test_open_attempts_are_claimed_once(store: NodeStore, sql: asyncpg.Connection) -> None:
    rows = [create() for _ in range(30)]
    await done(store, *rows)
    await store.sweep(0)
    several = await asyncio.gather(*[store.due(10, 60_000) for _ in range(4)])
    claimed = [attempt.id for some in several for attempt in some]
    assert len(claimed) == len(set(claimed)) <= 30
    while more := await store.due(10, 60_000):
        claimed += [attempt.id for attempt in more]
    assert sorted(claimed) == sorted(row.attempt_id or "" for row in rows)


async def test_a_replay_is_permitted_once_for_each_count(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    row = create()
    await done(store, row)
    asked = [store.row("attempt_replay", row.attempt_id, 0, 60_000.0, 1) for _ in range(8)]
    granted = [found for found in await asyncio.gather(*asked) if found is not None]
    assert len(granted) == 1
    assert await store.row("attempt_replay", row.attempt_id, 1, 0.0, 1) is None, "too old"
    nothing = {"debits": None, "credits": None, "amounts": None}
    declined = {"end_state": "declined", "amount_received": 0, **nothing}
    await done(store, move(row, **declined))
    assert await store.row("attempt_replay", row.attempt_id, 1, 60_000.0, 1) is None, "it has ended"


async def test_postings_that_move_nothing_are_seen(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    """The checks of this suite are not blind."""
    row = create()
    await done(store, row)
    await done(store, move(row, debits=["merchant:acct_1"]))
    with pytest.raises(AssertionError):
        await sound(sql)
