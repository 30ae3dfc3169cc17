"""Holds made larger: what a client is told, what the provider holds, what a loss leaves."""

from typing import Any

import asyncpg
import msgspec
import pytest

from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import Operation
from bailiwick.resources.payments.holds.increments import INCREMENTS_MAX
from bailiwick.resources.payments.params import CancelPayment, CapturePayment, IncrementPayment
from tests.postgres.node_kit import PROFILE, SURE_MS, Bank, Lost, Region, body, reviews
from tests.postgres.rows_kit import sound
from tests.store_kit import NodeStore

INCREMENT, CAPTURE = Operation.INCREMENT, Operation.CAPTURE
ABLE = msgspec.structs.replace(
    PROFILE, multiple_captures=True, overcapture_percent=15, hold_ms=60_000
)
WISHES = {
    "request_incremental_authorization": "if_available",
    "request_multicapture": "if_available",
    "request_overcapture": "if_available",
}
Sql = asyncpg.Connection


@pytest.fixture
def bank() -> Bank:
    return Bank(profile=ABLE)


@pytest.fixture
def region(store: NodeStore, bank: Bank) -> Region:
    return Region(store, bank)


async def held(region: Region, **values: Any) -> str:
    """A payment of 1000 that is held; its id."""
    options = {"card": values.pop("wishes", WISHES)}
    shown = body(
        await region.pay("hold", capture_method="manual", payment_method_options=options, **values)
    )
    assert shown["status"] == "requires_capture", shown
    return str(shown["id"])


async def grow(region: Region, key: str, identifier: str, amount: int, **more: Any) -> Any:
    wish = IncrementPayment(amount=amount, **more)
    return body(await region.act("increment_authorization", key, identifier, wish))


async def refused(region: Region, key: str, identifier: str, amount: int) -> ApiError:
    with pytest.raises(ApiError) as error:
        await grow(region, key, identifier, amount)
    return error.value


def amounts(shown: dict[str, Any]) -> tuple[str, int, int]:
    return shown["status"], shown["amount"], shown["amount_capturable"]


async def open_attempt(region: Region, identifier: str) -> str:
    found = await region.store.payment(identifier)
    assert found is not None and found.open_attempt is not None
    return found.open_attempt


async def test_more_is_held_and_captured(region: Region, bank: Bank, sql: Sql) -> None:
    one = await held(region)
    shown = await grow(region, "i1", one, 1500, description="Two nights", metadata={"nights": "2"})
    assert amounts(shown) == ("requires_capture", 1500, 1500)
    assert (shown["description"], shown["metadata"]) == ("Two nights", {"nights": "2"})
    assert amounts(await grow(region, "i2", one, 1501)) == ("requires_capture", 1501, 1501)
    asked = [each for each in bank.calls if each.operation is INCREMENT]
    assert [each.amount for each in asked] == [1500, 1501], "the whole amount, each time"
    assert {each.provider_ref for each in asked} == {
        bank.done[shown["latest_charge"]][1].provider_ref
    }
    told = body(await region.act("capture", "c", one, CapturePayment()))
    assert (told["status"], told["amount_received"]) == ("succeeded", 1501)
    assert bank.taken() == 1501
    types = await sql.fetch("SELECT type FROM event WHERE subject = $1 ORDER BY seq", one)
    assert [row[0] for row in types].count("payment_intent.amount_capturable_updated") == 3
    await sound(sql)


async def test_more_than_the_increased_hold_is_captured(region: Region, bank: Bank) -> None:
    one = await held(region)
    await grow(region, "i1", one, 2000)
    told = body(await region.act("capture", "c", one, CapturePayment(2300)))
    assert (told["status"], told["amount_received"]) == ("succeeded", 2300)


async def test_an_increased_hold_is_let_go(region: Region, bank: Bank, sql: Sql) -> None:
    one = await held(region)
    await grow(region, "i1", one, 1500)
    told = body(await region.act("cancel", "x", one, CancelPayment()))
    assert amounts(told) == ("canceled", 1500, 0)
    assert bank.calls[-1].amount == 1500
    await sound(sql)


async def test_a_repeated_request_is_the_same_one(region: Region, bank: Bank) -> None:
    one = await held(region)
    first = await grow(region, "i1", one, 1500)
    assert await grow(region, "i1", one, 1500) == first
    assert bank.called(INCREMENT) == 1


@pytest.mark.parametrize("wishes", [{}, {"request_incremental_authorization": "never"}])
async def test_it_must_be_asked_for(region: Region, bank: Bank, wishes: Any) -> None:
    one = await held(region, wishes=wishes)
    error = await refused(region, "i1", one, 1500)
    assert error.status == 400 and "request_incremental_authorization" in error.message
    assert bank.called(INCREMENT) == 0


async def test_the_provider_must_be_able(store: NodeStore) -> None:
    ways = {each: way for each, way in PROFILE.resolve.items() if each is not INCREMENT}
    region = Region(store, Bank(profile=msgspec.structs.replace(PROFILE, resolve=ways)))
    one = await held(region)
    error = await refused(region, "i1", one, 1500)
    assert "does not support incremental authorization" in error.message


@pytest.mark.parametrize("amount", [1, 999, 1000])
async def test_it_must_be_more(region: Region, bank: Bank, amount: int) -> None:
    one = await held(region)
    error = await refused(region, "i1", one, amount)
    assert (error.param, bank.called(INCREMENT)) == ("amount", 0)


async def test_not_once_a_part_is_captured(region: Region, bank: Bank) -> None:
    one = await held(region)
    await region.act("capture", "c", one, CapturePayment(300, False))
    assert "was captured" in (await refused(region, "i1", one, 1500)).message
    await region.act("capture", "c2", one, CapturePayment())
    error = await refused(region, "i2", one, 1500)
    assert error.code == "payment_intent_unexpected_state" and bank.called(INCREMENT) == 0


async def test_there_are_so_many_at_most(region: Region, bank: Bank, sql: Sql) -> None:
    one = await held(region)
    bank.script[INCREMENT] = ["decline"]
    for number in range(INCREMENTS_MAX):
        await region.act(
            "increment_authorization", f"i{number}", one, IncrementPayment(amount=1001 + number)
        )
    assert "at most 10" in (await refused(region, "more", one, 2000)).message
    assert bank.called(INCREMENT) == INCREMENTS_MAX
    await sound(sql)


async def test_a_decline_changes_nothing(region: Region, bank: Bank, sql: Sql) -> None:
    one = await held(region)
    bank.script[INCREMENT] = ["decline"]
    wish = IncrementPayment(amount=1500, description="More", metadata={"more": "yes"})
    answer = await region.act("increment_authorization", "i1", one, wish)
    error = body(answer)["error"]
    assert (answer.status, error["code"], error["type"]) == (402, "card_declined", "card_error")
    intent = error["payment_intent"]
    assert amounts(intent) == ("requires_capture", 1000, 1000)
    assert (intent["description"], intent["metadata"]) == (None, {})
    assert intent["latest_charge"] == error["charge"]
    assert (
        await sql.fetchval(
            "SELECT type FROM event WHERE subject = $1 ORDER BY seq DESC LIMIT 1", one
        )
        == "bailiwick.increment_refused"
    )
    told = body(await region.act("capture", "c", one, CapturePayment()))
    assert (told["status"], bank.taken()) == ("succeeded", 1000)
    await sound(sql)


async def test_a_hold_that_had_run_out(region: Region, bank: Bank, sql: Sql) -> None:
    one = await held(region)
    bank.script[INCREMENT] = ["expired"]
    answer = await region.act("increment_authorization", "i1", one, IncrementPayment(amount=1500))
    assert answer.status == 402
    found = await region.store.payment(one)
    assert found is not None and (found.state, found.amount) == ("canceled", 1000)
    assert found.progress.cancellation_reason == "expired"
    await sound(sql)


@pytest.mark.parametrize("word", ["lost", "never", "crash", "wrong", "missing", "currency"])
async def test_an_outcome_that_is_not_known(
    region: Region, bank: Bank, sql: Sql, word: str
) -> None:
    one = await held(region)
    bank.script[INCREMENT] = [word]
    if word == "crash":
        with pytest.raises(Lost):
            await grow(region, "i1", one, 1500)
    else:
        shown = await grow(region, "i1", one, 1500, description="More")
        assert amounts(shown) == ("processing", 1000, 1000) and shown["description"] is None
    fresh = Region(region.store, bank)
    for verb, wish in (("capture", CapturePayment()), ("cancel", CancelPayment())):
        with pytest.raises(ApiError, match="an increment is under way"):
            await fresh.act(verb, f"early-{verb}", one, wish)
    await fresh.resolve(await open_attempt(fresh, one), age_ms=SURE_MS)
    found = await fresh.store.payment(one)
    assert found is not None and found.state == "requires_capture"
    done = word != "never"
    assert (found.amount, found.amount_capturable) == ((1500, 1500) if done else (1000, 1000))
    assert found.progress.increment is None
    told = body(await fresh.act("capture", "c", one, CapturePayment()))
    assert told["amount_received"] == bank.taken() == found.amount
    await sound(sql)


async def test_a_late_yes_is_before_a_person(region: Region, bank: Bank, sql: Sql) -> None:
    one = await held(region)
    bank.script[INCREMENT] = ["never"]
    await grow(region, "i1", one, 1500)
    attempt = await open_attempt(region, one)
    await region.resolve(attempt, age_ms=SURE_MS)
    row = await region.store.attempt(attempt)
    assert row is not None and row.state == "declined"
    charge = await sql.fetchval("SELECT charge_attempt FROM payment WHERE id = $1", one)
    result = msgspec.structs.replace(bank.done[charge][1], amount=1500)
    await region.notify(bank, attempt, result, "n1", operation=INCREMENT)
    found = await region.store.payment(one)
    assert found is not None and (found.state, found.amount) == ("requires_capture", 1000)
    assert await reviews(sql) == {"late_increment"}
    await sound(sql)
