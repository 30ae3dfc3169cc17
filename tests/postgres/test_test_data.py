"""All that a merchant's test mode has goes; nothing of live mode, and nothing of anybody else."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from signal import SIGKILL
from typing import Any, cast

import asyncpg
import pytest

from bailiwick.checker.kinds.test_data import part
from bailiwick.deletion import node_deletion
from tests.canaries import Canaries
from tests.postgres.deletion_kit import (
    BESIDE,
    OF_A_MERCHANT,
    SALE,
    command_says,
    delete,
    deleting,
    everything,
    neighbours,
    of_test_mode,
    rows,
    wrong,
)
from tests.postgres.erase_kit import echo, talked_about
from tests.postgres.hooks_kit import delivering, endpoint, sink, until_paid
from tests.postgres.lists_kit import Site, site
from tests.postgres.search_kit import filled, search
from tests.postgres.test_customers import DE, customer, post
from tests.store_kit import NodeStore

KILLED = """
import sys
from bailiwick.cli.main import main
from bailiwick.runtime import crash
from bailiwick.deletion import node_deletion
node_deletion.AT_ONCE = 1
crash.arm("deletion.committed", int(sys.argv[1]))
main(sys.argv[2:])
"""


@pytest.fixture
async def shop(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with site(server_dsn, tmp_path, ("europe",)) as made:
        yield made


@pytest.fixture
async def sql(shop: Site) -> AsyncIterator[asyncpg.Connection]:
    made = await asyncpg.connect(shop.nodes[0].dsn)
    yield made
    await made.close()


async def test_all_of_it_goes_and_nothing_else(shop: Site, sql: asyncpg.Connection) -> None:
    node, word = shop.nodes[0], Canaries()
    await neighbours(shop)
    before = await rows(sql)
    async with sink() as there:
        to = await endpoint(sql, "acct_1", there.url("/hook"))
        await node.node.endpoints.load(node.node.store)
        echo(there, word)
        async with delivering(cast(NodeStore, node.node.store)):
            ids = await everything(shop, word)
            await until_paid(sql, to)
    await talked_about(sql, word, ids)
    await filled(node)
    assert await wrong(node) == {}
    assert {*OF_A_MERCHANT} == {*await of_test_mode(sql, "acct_1")}, "there is some of everything"
    full = await rows(sql)
    assert all(len(full[table]) > len(before[table]) for table in BESIDE if table != "erasure")
    done = await delete(node)
    assert (done.left, done.open) == ({}, [])
    assert await of_test_mode(sql, "acct_1") == {}
    assert await rows(sql) == before
    assert await wrong(node) == {}
    # Providers' books have its references still: they are known.
    noted = {part(row[0]) for row in await sql.fetch("SELECT id FROM test_data_order")}
    live = {part(row[0]) for row in await sql.fetch("SELECT id FROM attempt")}
    assert {part(each) for each in node.bank.done} <= noted | live and not noted & live
    assert await sql.fetchval("SELECT count(*) FROM webhook_endpoint") == 1, "it is configuration"


async def test_what_is_read_afterwards(shop: Site, sql: asyncpg.Connection) -> None:
    word = Canaries()
    ids = await everything(shop, word)
    await delete(shop.nodes[0])
    for path in (f"payment_intents/{ids['first']}", f"customers/{ids['customer']}"):
        assert (await shop.ask("GET", f"/v1/{path}"))[0] == 404
    for path in ("payment_intents", "charges", "refunds", "disputes", "events", "customers",
                 "payouts", "setup_intents", "files", "balance_transactions"):  # fmt: skip
        status, listed = await shop.ask("GET", f"/v1/{path}")
        assert (status, listed["data"]) == (200, []), path
    balance = (await shop.ask("GET", "/v1/balance"))[1]
    assert all(each["amount"] == 0 for each in balance["available"])
    # The key is free again: it pays anew.
    made = await post(shop, "/v1/payment_intents", key="pay-1", **SALE)
    assert made["id"] != ids["first"]
    await filled(*shop.nodes)
    found = await search(shop, "/v1/payment_intents/search", "currency:'eur'")
    assert [each["id"] for each in found] == [made["id"]]
    assert await wrong(shop.nodes[0]) == {}


async def test_several_batches_and_what_is_locked(
    shop: Site, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others hold is not waited for: it comes another time."""
    monkeypatch.setattr(node_deletion, "AT_ONCE", 2)
    monkeypatch.setattr(node_deletion, "PAGE", 3)
    ids = [(await post(shop, "/v1/payment_intents", **SALE))["id"] for _ in range(5)]
    of = await customer(shop)
    async with sql.transaction():
        await sql.fetch("SELECT FROM payment WHERE id = $1 FOR NO KEY UPDATE", ids[2])
        done = await asyncio.wait_for(delete(shop.nodes[0]), 30)
    assert (done.deleted["payment"], done.left) == (4, {"payment": 1})
    assert await sql.fetchval("SELECT id FROM record") == of["id"], "not while orders are left"
    assert await sql.fetchval("SELECT ended_at FROM test_data_deletion") is None
    assert await wrong(shop.nodes[0]) == {}
    said = await command_says("--dsn", shop.nodes[0].dsn, "--merchant", "acct_1", "--yes")
    assert "deleted 1 payments, 1 records" in said.output
    assert await of_test_mode(sql, "acct_1") == {}


async def test_refused_while_an_attempt_is_open(shop: Site, sql: asyncpg.Connection) -> None:
    shop.nodes[0].bank.script["charge"].append("pending")  # type: ignore[index]
    made = await post(shop, "/v1/payment_intents", **SALE)
    paid = await post(shop, "/v1/payment_intents", **SALE)
    before = await rows(sql)
    of = ("--dsn", shop.nodes[0].dsn, "--merchant", "acct_1")
    said = await command_says(*of, "--yes", status=1)
    assert f"Not yet: {made['id']}" in said.output and "cancel it" in said.output
    assert await rows(sql) == before
    assert await sql.fetchval("SELECT count(*) FROM test_data_deletion") == 0
    # One that is opened after the look is left, with all that is its.
    async with node_deletion.opened(shop.nodes[0].dsn, "acct_1", "td_1", "tester") as node:
        done = await node.delete(await node.look())
    assert (done.left, done.open) == ({"payment": 1}, [made["id"]])
    assert await sql.fetchval("SELECT array_agg(subject) FROM posting") is None
    assert [row[0] for row in await sql.fetch("SELECT id FROM test_data_order")] == [paid["id"]]
    assert await wrong(shop.nodes[0]) == {}


async def test_no_payout_is_left_over_the_balance(
    shop: Site, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is made when payouts have gone, and payments have not."""
    await post(shop, "/v1/payment_intents", **SALE)
    async with node_deletion.opened(shop.nodes[0].dsn, "acct_1", "td_1", "tester") as node:
        seen = await node.look()
        made = await post(shop, "/v1/payouts", amount="300", currency="eur",
                          destination="btok_sandbox", **DE)  # fmt: skip
        with pytest.raises(node_deletion.DeletionError, match=made["id"]):
            await node.delete(seen)
    assert await sql.fetchval("SELECT count(*) FROM payment") == 1
    assert await wrong(shop.nodes[0]) == {}
    await delete(shop.nodes[0])
    assert await of_test_mode(sql, "acct_1") == {}


async def test_keys_that_were_refused_stay_so(shop: Site, sql: asyncpg.Connection) -> None:
    """They may have been taken elsewhere; what they say goes."""
    for merchant, livemode in (("acct_1", False), ("acct_1", True), ("acct_2", False)):
        await sql.execute(
            "INSERT INTO idempotency_key (identity, merchant, livemode, key, request_hash,"
            " operation, refused, writer, created_ms)"
            " VALUES (key_identity($1, $2, 'k'), $1, $2, 'k', 'h', 'create', 'draining', 1, 1)",
            merchant, livemode,
        )  # fmt: skip
    await delete(shop.nodes[0])
    found = await sql.fetch("SELECT merchant, livemode, key FROM idempotency_key")
    assert {tuple(row) for row in found} == {
        ("acct_1", False, None), ("acct_1", True, "k"), ("acct_2", False, "k"),
    }  # fmt: skip
    assert await wrong(shop.nodes[0]) == {}


async def test_the_command(shop: Site, sql: asyncpg.Connection) -> None:
    await post(shop, "/v1/payment_intents", **SALE)
    await customer(shop)
    of = ("--dsn", shop.nodes[0].dsn, "--merchant", "acct_1")
    said = await command_says(*of, "--preview")
    assert "(node 1): 1 payments, 1 records" in said.output
    assert "No other node was looked at" in said.output
    assert (await command_says(*of, status=1, given="n\n")).output.endswith("nothing was changed\n")
    assert await sql.fetchval("SELECT count(*) FROM payment") == 1
    shown = json.loads((await command_says(*of, "--yes", "--json", "--by", "officer")).output)
    assert shown["done"] and shown["nodes"][0]["deleted"] == {"payments": 1, "records": 1}
    noted = await sql.fetchrow(
        "SELECT run, merchant, deleted_by, ended_at IS NOT NULL FROM test_data_deletion"
    )
    assert noted is not None
    assert tuple(noted) == (shown["run"], "acct_1", "officer", True)
    assert "(node 1): nothing" in (await command_says(*of, "--yes")).output


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (("--merchant", "acct_1", "--json"), "--yes or --preview"),
        (("--merchant", "shop"), "acct_demo"),
        (("--merchant", "acct_1", "--dsn", "x", "--node", "a"), "leave out --node"),
    ],
)
async def test_what_the_command_does_not_do(arguments: tuple[str, ...], remedy: str) -> None:
    assert remedy in (await command_says(*arguments, status=1)).output


async def test_a_fenced_database_is_left_alone(shop: Site, sql: asyncpg.Connection) -> None:
    await post(shop, "/v1/payment_intents", **SALE)
    await sql.execute("UPDATE fence SET fenced_at = now()")
    of = ("--dsn", shop.nodes[0].dsn, "--merchant", "acct_1")
    assert "fenced" in (await command_says(*of, "--yes", status=1)).output
    assert await sql.fetchval("SELECT count(*) FROM payment") == 1


async def test_refused_where_an_attempt_is_missing(shop: Site, sql: asyncpg.Connection) -> None:
    await post(shop, "/v1/payment_intents", **SALE)
    await sql.execute("DELETE FROM attempt")
    of = ("--dsn", shop.nodes[0].dsn, "--merchant", "acct_1")
    assert "is not found" in (await command_says(*of, "--yes", status=1)).output
    assert await sql.fetchval("SELECT count(*) FROM posting") == 1


@pytest.mark.parametrize("nth", [1, 2, 4, 7, 12])
async def test_cut_off_it_is_repeated(shop: Site, sql: asyncpg.Connection, nth: int) -> None:
    """At no point is anything half deleted, or are the books wrong."""
    node = shop.nodes[0]
    await neighbours(shop)
    before = await rows(sql)
    await everything(shop, Canaries())
    of = ("test-data", "delete", "--dsn", node.dsn, "--merchant", "acct_1", "--yes")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, str(nth), *of,
        env={**os.environ, "BAILIWICK_CRASH_POINTS": "1"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == -SIGKILL, said.decode()
    assert await wrong(node) == {}
    assert await of_test_mode(sql, "acct_1") != {}
    await delete(node)
    assert await of_test_mode(sql, "acct_1") == {}
    assert await rows(sql) == before
    assert await wrong(node) == {}
    ended = "SELECT run, ended_at IS NOT NULL FROM test_data_deletion ORDER BY run = 'td_test'"
    assert [row[1] for row in await sql.fetch(ended)] == [False, True]


# --- what the database itself refuses


LIVE = (
    "payment", "record", "attempt", "refund", "event", "idempotency_key",
)  # fmt: skip


@pytest.mark.parametrize("table", LIVE)
async def test_a_deletion_cannot_touch_live_mode(
    shop: Site, sql: asyncpg.Connection, table: str
) -> None:
    await neighbours(shop)
    before = await rows(sql)
    with pytest.raises(asyncpg.RaiseError, match=r"of live mode|is no test data"):
        async with sql.transaction():
            await deleting(sql)
            await sql.execute(f"DELETE FROM {table} WHERE livemode")
    assert await rows(sql) == before


async def test_nor_note_an_order_of_it(shop: Site, sql: asyncpg.Connection) -> None:
    await neighbours(shop)
    for of in ("SELECT id FROM payment WHERE livemode", "SELECT 'pi_none'"):
        with pytest.raises(asyncpg.RaiseError, match="no order of test mode"):
            await sql.execute(
                f"INSERT INTO test_data_order (id, run) SELECT id, 'r' FROM ({of}) o (id)"
            )


@pytest.mark.parametrize("table", ["event", "posting"])
async def test_books_stay_append_only(shop: Site, sql: asyncpg.Connection, table: str) -> None:
    """Of an order that nobody has noted, in test mode too; and of all, without saying so."""
    await post(shop, "/v1/payment_intents", **SALE)
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await sql.execute(f"DELETE FROM {table}")
    with pytest.raises(asyncpg.RaiseError, match="append-only: this is no test data"):
        async with sql.transaction():
            await deleting(sql)
            await sql.execute(f"DELETE FROM {table}")
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        async with sql.transaction():
            await deleting(sql)
            await sql.execute(f"UPDATE {table} SET created_ms = 1")
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        async with sql.transaction():
            await deleting(sql)
            await sql.execute(f"TRUNCATE {table}")


PLANTS: dict[str, Any] = {
    "an order": "INSERT INTO test_data_order SELECT id, 'td_test' FROM payment LIMIT 1",
    "a run": "UPDATE test_data_deletion SET run = 'another'",
    "a posting": """INSERT INTO posting (subject, seq, number, debit, credit, amount, currency,
                           created_ms)
                    SELECT id, 1, 1, 'receivable:bank', 'merchant:acct_1', 1, 'EUR', 1
                      FROM test_data_order LIMIT 1""",
    "a review": """INSERT INTO review (subject, attempt, reason)
                   SELECT id, 'ch_1', 'late_success' FROM test_data_order LIMIT 1""",
}


@pytest.mark.parametrize("plant", PLANTS)
async def test_the_checker_sees_what_is_left(
    shop: Site, sql: asyncpg.Connection, plant: str
) -> None:
    await post(shop, "/v1/payment_intents", **SALE)
    await delete(shop.nodes[0])
    await post(shop, "/v1/payment_intents", **SALE)
    assert await wrong(shop.nodes[0]) == {}
    await sql.execute(PLANTS[plant])
    assert "deleted_is_gone" in await wrong(shop.nodes[0])
