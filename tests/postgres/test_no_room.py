"""A server that can write nothing for now: a full disk, no memory, a failing file, read-only.

It is not the row's fault: what was not begun is asked for again, what was begun ends when there is
room again, and nobody is told of a defect.
"""

import asyncio

import asyncpg
import pytest

from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import Operation
from bailiwick.store.lanes import LaneFull, Written
from tests.postgres.node_kit import Bank, Region, body, paid, reviews
from tests.postgres.rows_kit import counts, create, sound, write
from tests.store_kit import NodeStore
from tests.waiting import until

FULL = {"53100": "disk_full", "53200": "out_of_memory", "58030": "io_error", "25006": "read-only"}


async def fill(sql: asyncpg.Connection, table: str, code: str = "53100") -> None:
    """Have the server fail whenever a row is written to a table."""
    await sql.execute(
        "CREATE OR REPLACE FUNCTION full_up() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM nextval('refusals');"
        f" RAISE EXCEPTION 'no room' USING ERRCODE = '{code}'; END $$"
    )
    await sql.execute("CREATE SEQUENCE IF NOT EXISTS refusals MINVALUE 0")
    await sql.execute(
        f"CREATE TRIGGER full_up BEFORE INSERT OR UPDATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION full_up()"
    )


async def refused_again(sql: asyncpg.Connection) -> bool:
    """Whether a second write was refused; a sequence counts what is rolled back too."""
    return bool(await sql.fetchval("SELECT last_value > 0 FROM refusals"))


async def make_room(sql: asyncpg.Connection, table: str) -> None:
    await sql.execute(f"DROP TRIGGER full_up ON {table}")


@pytest.mark.parametrize("code", FULL, ids=FULL.values())
async def test_nothing_is_written_and_no_row_is_blamed(
    store: NodeStore, sql: asyncpg.Connection, code: str
) -> None:
    before = await counts(sql)
    await fill(sql, "payment", code)
    rows = [create() for _ in range(7)]
    batches = store.creates.batches
    fates = await write(store, *rows)
    assert all(type(fate) is LaneFull for fate in fates), fates
    assert store.creates.batches - batches <= 2, "not tried one by one"
    assert await counts(sql) == before
    await make_room(sql, "payment")
    fates = await write(store, *rows)
    assert all(isinstance(fate, Written) and fate.done for fate in fates)
    await sound(sql)


async def test_a_new_payment_is_sent_nowhere_and_comes_again(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    await fill(sql, "attempt")
    with pytest.raises(ApiError) as refused:
        await region.pay("k")
    assert (refused.value.status, refused.value.code) == (503, "unavailable")
    assert bank.calls == []
    await make_room(sql, "attempt")
    assert (await paid(region, "k"))["status"] == "succeeded"
    assert bank.called(Operation.CHARGE) == 1
    await sound(sql)


async def test_an_outcome_is_written_when_there_is_room_again(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    async def fills(_: object) -> None:
        await fill(sql, "event")
        filled.set()

    filled = asyncio.Event()
    bank.before_answer = fills
    paying = asyncio.create_task(region.pay("k"))
    await filled.wait()
    await until(lambda: refused_again(sql))
    assert not paying.done()
    await make_room(sql, "event")
    assert body(await paying)["status"] == "succeeded"
    assert bank.called(Operation.CHARGE) == 1
    assert await reviews(sql) == set()
    await sound(sql)
