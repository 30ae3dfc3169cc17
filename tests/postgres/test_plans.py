"""The batches' plans over large tables: one index look-up a row, whatever the tables' size."""

import json
from typing import Any

import asyncpg
import msgspec
import pytest

from bailiwick.resources.payments.rows import PaymentCreate, PaymentMove
from bailiwick.store.statements import statement
from tests.postgres.rows_kit import claim, create, more, move
from tests.store_kit import NodeStore

pytestmark = pytest.mark.usefixtures("fresh_schemas")

ROWS = 200_000
BIG = {"payment", "attempt", "idempotency_key", "event", "posting", "refund", "delivery"}


async def fill(sql: asyncpg.Connection) -> None:
    await sql.execute(f"""
        SET synchronous_commit = off;
        INSERT INTO payment (id, merchant, livemode, version, content_seq, state, writer, epoch,
                             amount, currency, created_ms, updated_ms)
        SELECT 'pi_' || lpad(n::text, 26, '0'), 'acct_1', false, 1, 1, 'processing', n, 1, 1000,
               'EUR', n, n FROM generate_series(1, {ROWS}) n;
        INSERT INTO event (id, subject, seq, merchant, livemode, type, content, writer, created_ms)
        SELECT 'evt_' || lpad(n::text, 26, '0'), 'pi_' || lpad(n::text, 26, '0'), 1, 'acct_1',
               false, 'x', '{{}}', n, n FROM generate_series(1, {ROWS}) n;
        INSERT INTO attempt (id, subject, number, merchant, livemode, operation, gateway, state,
                             amount, currency, epoch, writer, seq)
        SELECT 'ch_' || lpad(n::text, 26, '0'), 'pi_' || lpad(n::text, 26, '0'), 1, 'acct_1',
               false, 'charge', 'bank', 'approved', 1000, 'EUR', 1, n, 1
          FROM generate_series(1, {ROWS}) n;
        INSERT INTO idempotency_key (identity, merchant, livemode, key, request_hash, operation,
                                     writer, created_ms)
        SELECT key_identity('acct_1', false, 'k' || n), 'acct_1', false, 'k' || n, 'h', 'create',
               n, n
          FROM generate_series(1, {ROWS}) n;
        ANALYZE payment, attempt, idempotency_key, event;
    """)


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    found = [plan]
    for child in plan.get("Plans", []):
        found += nodes(child)
    return found


async def plan(
    store: NodeStore, name: str, rows: list[PaymentCreate] | list[PaymentMove]
) -> list[dict[str, Any]]:
    """How a lane's own connection would run a batch."""
    lane: Any = store.creates if name == "create" else store.moves
    connection: asyncpg.Connection = await lane._connect()
    try:
        explain = await connection.prepare(f"EXPLAIN (FORMAT JSON) {lane._sql}")
        explained = await explain.fetchval([msgspec.structs.astuple(row) for row in rows], 1)
    finally:
        await connection.close()
    return nodes(json.loads(explained)[0]["Plan"])


@pytest.fixture
async def full(store: NodeStore, sql: asyncpg.Connection) -> NodeStore:
    await fill(sql)
    return store


async def test_batches_only_use_indexes(full: NodeStore) -> None:
    rows = [create() for _ in range(64)]
    created = await plan(full, "create", rows)
    moved = await plan(
        full, "move", [move(row, more=more(claim=claim("k", row.id))) for row in rows]
    )
    for found in (created, moved):
        for node in found:
            kind, table = node["Node Type"], node.get("Relation Name")
            assert not (table in BIG and kind in ("Seq Scan", "Bitmap Heap Scan")), node
    assert not [node for node in moved if node["Node Type"] in ("Hash Join", "Merge Join")]
    indexed = {
        (node["Relation Name"], node["Index Name"])
        for node in moved
        if node["Node Type"].startswith("Index")
    }
    tables = ("payment", "attempt", "refund")
    assert {(table, f"{table}_pkey") for table in tables} <= indexed


async def test_forgotten_attempts_are_found_by_their_permit_s_time(
    full: NodeStore, sql: asyncpg.Connection
) -> None:
    await sql.execute("UPDATE sweep SET swept_until = clock_timestamp()")
    await sql.execute(statement("attempts_summarize"))
    explained = await sql.fetchval(
        f"EXPLAIN (FORMAT JSON) {statement('attempts_forgotten')}",
        await sql.fetchval("SELECT swept_until FROM sweep"),
        6_000,
        1,
        await sql.fetchval("SELECT clock_timestamp()"),
    )
    used = {node.get("Index Name") for node in nodes(json.loads(explained)[0]["Plan"])}
    assert "attempt_permitted" in used, explained


READS: dict[str, list[Any]] = {
    "payment_find": ["pi_1"],
    "attempt_find": ["ch_1"],
    "attempts_of": ["pi_1"],
    "key_find": ["0" * 32],
    "attempts_named": [["bank"], "b_1"],
    "attempts_due": [10, 1_000, 1],
    "payment_list_newest": ["acct_1", False, "~", "", 10, 0, 2**53],
    "payment_list_oldest": ["acct_1", False, "~", "", 10, 0, 2**53],
    "event_list_newest": ["acct_1", False, "~", "", 10],
    "refund_list_newest": ["acct_1", False, "~", "", 10],
    "charge_list_newest": ["acct_1", False, "~", "", 10, "pi_~", "pi_", 0, 2**53],
    "charge_list_oldest": ["acct_1", False, "~", "", 10, "pi_~", "pi_", 0, 2**53],
    "payment_owned": ["pi_1", "acct_1", False],
    "charge_owned": ["ch_1", "acct_1", False],
    "refund_owned": ["re_1", "acct_1", False],
    "event_owned": ["evt_1", "acct_1", False],
    "assignments_find": [["pi_1", "pi_2"]],
}


async def test_reads_only_use_indexes(full: NodeStore, sql: asyncpg.Connection) -> None:
    for name, arguments in READS.items():
        explain = await sql.prepare(f"EXPLAIN (FORMAT JSON) {statement(name)}")
        filters = [None] * (len(explain.get_parameters()) - len(arguments))
        explained = await explain.fetchval(*arguments, *filters)
        for node in nodes(json.loads(explained)[0]["Plan"]):
            big = node.get("Relation Name") in ("payment", "attempt", "idempotency_key", "event")
            assert not (big and node["Node Type"] == "Seq Scan"), (name, node)


async def test_a_page_of_events_or_tries_reads_no_more_than_it_shows(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    """Of 200,000 rows, each of two events and with a try: in the order of an index, whatever the
    plan was made for."""
    await fill(sql)
    await sql.execute(f"""
        ALTER TABLE event DISABLE TRIGGER event_append_only;
        UPDATE event SET also = 'charge.succeeded';
        INSERT INTO delivery_try (id, merchant, livemode, event, endpoint, subject, number, resent,
                                  created_ms, took_ms, url, status, body_cut, follows)
        SELECT 'whd_' || lpad(n::text, 26, '0'), 'acct_1', false, 'evt_' || lpad(n::text, 26, '0'),
               'we_' || n % 500, 'pi_1', 1, 0, n, 1, 'https://shop.example/', 200, false,
               'delivered'
          FROM generate_series(1, {ROWS}) n;
        ANALYZE event, delivery_try;
    """)
    pool: Any = store._lists
    middle = f"evt_{ROWS // 2:026}"
    bounds = {"newest": [f"{middle}_2", ""], "oldest": ["~", f"{middle}_2"]}
    one = [f"whd_{ROWS // 2 + 1:026}", ""]
    asked: list[tuple[str, list[Any], str]] = []
    for order, within in bounds.items():
        for types in (None, ["charge.succeeded"]):
            rest = [20, types, 0, 2**53, None, 2**30]
            asked.append((f"event_list_{order}", ["acct_1", False, *within, *rest],
                          "event_by_merchant"))  # fmt: skip
        for event, endpoint, index in (
            (None, "we_1", "delivery_try_by_endpoint"),
            (f"evt_{ROWS // 2:026}", None, "delivery_try_by_event"),
        ):
            given = ["acct_1", False, *one, 20, event, endpoint, None, 0, 2**53, 2**30]
            asked.append((f"delivery_try_list_{order}", given, index))
    for name, arguments, index in asked:
        for mode in ("force_custom_plan", "force_generic_plan"):
            async with pool.acquire() as connection:
                await connection.execute(f"SET plan_cache_mode = {mode}")
                explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement(name)}"
                found = nodes(json.loads(await connection.fetchval(explain, *arguments))[0]["Plan"])
                await connection.execute("RESET plan_cache_mode")
            assert index in {each.get("Index Name") for each in found}, (name, mode, found)
            for each in found:
                assert each["Node Type"] != "Seq Scan", (name, mode, each)
                read = each["Actual Rows"] + each.get("Rows Removed by Filter", 0)
                assert read * each["Actual Loops"] <= 100, (name, mode, each)


async def test_a_stream_reads_what_is_new_and_not_what_a_merchant_ever_had(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    await fill(sql)
    first = await sql.fetchval("SELECT max(xact) + 1 FROM event")
    for number in range(30):
        await sql.execute(
            "INSERT INTO event (id, subject, seq, merchant, livemode, type, content, writer,"
            " created_ms) VALUES ($1, $2, 1, 'acct_1', false, 'x', '{}', 1, 1)",
            f"evt_z{number:025}",
            f"pi_z{number:025}",
        )
    await sql.execute("SELECT brin_summarize_new_values('event_by_xact')")
    given = ["acct_1", False, first, 0, first + 5_000, 20, None, 2**30]
    pool: Any = store._lists
    for mode in ("force_custom_plan", "force_generic_plan"):
        async with pool.acquire() as connection:
            await connection.execute(f"SET plan_cache_mode = {mode}")
            explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement('events_after')}"
            found = nodes(json.loads(await connection.fetchval(explain, *given))[0]["Plan"])
            await connection.execute("RESET plan_cache_mode")
        assert "event_by_xact" in {each.get("Index Name") for each in found}, (mode, found)
        for each in found:
            assert each["Node Type"] != "Seq Scan", (mode, each)
            passed_over = each.get("Rows Removed by Index Recheck", 0)
            assert passed_over < ROWS / 10, (mode, each)


async def test_searches_are_answered_by_their_indexes(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    """Of 200,000 entries, of two merchants: also by the plan for arguments that are not known."""
    await sql.execute(f"""
        INSERT INTO search_entry (kind, merchant, livemode, id, amount, created_ms, terms)
        SELECT 'pi', 'acct_' || n % 2, false, 'pi_' || lpad(n::text, 26, '0'), n % 100000, n,
               ARRAY[1, 2 + n % 3, 1000 + n] FROM generate_series(1, {ROWS}) n;
        ANALYZE search_entry;
    """)
    pool: Any = store._lists
    every = [asyncpg.Range(None, None)]
    where = ["acct_1", "pi", False, "pi_~", f"pi_{ROWS - 2_000:026}"]
    for name, arguments, index in (
        ("search_border", [*where, 2000], "search_entry_pkey"),
        ("search_all_terms", [*where, [1001], [], every, every, 11, 0, 10**6],
         "search_entry_terms"),
        ("search_any_terms", [*where, [1001, 1003], 11], "search_entry_terms"),
        ("search_all_amounts", [*where, [], [], every, every, 11, 7, 9], "search_entry_amount"),
        ("search_all_ids", [*where, [1], [2], every, every, 11, 0, 10**9], "search_entry_pkey"),
        ("search_any_ids", [*where, [1], [2], every, every, 11], "search_entry_pkey"),
    ):  # fmt: skip
        for mode in ("force_custom_plan", "force_generic_plan"):
            async with pool.acquire() as connection:
                await connection.execute(f"SET plan_cache_mode = {mode}")
                explain = f"EXPLAIN (FORMAT JSON) {statement(name)}"
                found = nodes(json.loads(await connection.fetchval(explain, *arguments))[0]["Plan"])
                await connection.execute("RESET plan_cache_mode")
            used = {each.get("Index Name") for each in found}
            assert used - {None} == {index}, (name, mode, found)
            assert not [each for each in found if each["Node Type"] == "Seq Scan"], (name, mode)


async def test_deliveries_are_claimed_by_index_whatever_is_owed(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    """100,000 owed to one endpoint, one each to five hundred, and twice as many done: a look reads
    one entry of each endpoint, and a claim a bounded number of rows."""
    await fill(sql)
    await sql.execute(f"""
        INSERT INTO delivery (event, endpoint, subject, seq, next_at, done_at)
        SELECT 'evt_' || lpad(n::text, 26, '0'),
               CASE WHEN n % 2 = 0 THEN 'we_flood' ELSE 'we_' || n % 1000 END,
               'pi_' || lpad(n::text, 26, '0'), 1,
               CASE WHEN n % 2 = 0 OR n < 1000 THEN now() - n * interval '1 ms' END,
               CASE WHEN n % 2 = 1 AND n >= 1000 THEN now() END
          FROM generate_series(1, {ROWS}) n;
        ANALYZE delivery;
    """)
    endpoints = ["we_flood", *(f"we_{n}" for n in range(1, 64, 2))]
    asked: dict[str, list[Any]] = {
        "deliveries_owed": ["", 500],
        "deliveries_due": [endpoints, [8] * len(endpoints), 60_000, 1],
    }
    for name, arguments in asked.items():
        async with sql.transaction():
            explained = await sql.fetchval(
                f"EXPLAIN (ANALYZE, FORMAT JSON) {statement(name)}", *arguments
            )
        found = nodes(json.loads(explained)[0]["Plan"])
        used = {node.get("Index Name") for node in found}
        assert "delivery_by_endpoint" in used, explained
        for node in found:
            assert node["Node Type"] != "Seq Scan" or node["Relation Name"] == "fence", explained
            read = node["Actual Rows"] * node["Actual Loops"]
            removed = node.get("Rows Removed by Filter", 0) * node["Actual Loops"]
            assert read + removed <= 40 * len(endpoints), (name, node)
    row = await sql.fetchrow(
        statement("deliveries_due"), endpoints, [8] * len(endpoints), 60_000, 1
    )
    assert row is not None and row["claimed"]
