"""Holds: several captures, more than was authorized, the rest released, and those that run out."""

from typing import Any

import asyncpg
import msgspec
import pytest

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import Operation
from bailiwick.resources.payments.holds import expiry
from bailiwick.resources.payments.holds.captures import CAPTURES_MAX
from bailiwick.resources.payments.holds.expiry import Holds
from bailiwick.resources.payments.params import CancelPayment, CapturePayment
from bailiwick.resources.refunds.params import CreateRefund
from tests.postgres.node_kit import PROFILE, SURE_MS, Bank, Region, body
from tests.postgres.rows_kit import sound
from tests.store_kit import NodeStore

ABLE = msgspec.structs.replace(
    PROFILE, multiple_captures=True, overcapture_percent=15, hold_ms=60_000
)
BOTH = {"card": {"request_multicapture": "if_available", "request_overcapture": "if_available"}}


@pytest.fixture
def bank() -> Bank:
    return Bank(profile=ABLE)


@pytest.fixture
def region(store: NodeStore, bank: Bank) -> Region:
    return Region(store, bank)


async def held(region: Region, key: str = "hold", **values: Any) -> str:
    """A payment of 1000 that is held; its id."""
    options = values.pop("payment_method_options", BOTH)
    answer = await region.pay(
        key, capture_method="manual", payment_method_options=options, **values
    )
    shown = body(answer)
    assert shown["status"] == "requires_capture", shown
    return str(shown["id"])


async def capture(
    region: Region, key: str, identifier: str, amount: int | None = None, final: bool = True
) -> dict[str, Any]:
    wish = CapturePayment(amount_to_capture=amount, final_capture=final)
    return body(await region.act("capture", key, identifier, wish))


async def refused(region: Region, key: str, identifier: str, *how: Any) -> ApiError:
    with pytest.raises(ApiError) as error:
        await capture(region, key, identifier, *how)
    return error.value


def amounts(shown: dict[str, Any]) -> tuple[str, int, int]:
    return shown["status"], shown["amount_capturable"], shown["amount_received"]


async def types(sql: asyncpg.Connection, subject: str) -> list[str]:
    return [
        row["type"]
        for row in await sql.fetch(
            "SELECT type FROM event WHERE subject = $1 ORDER BY seq", subject
        )
    ]


async def due(sql: asyncpg.Connection, identifier: str) -> None:
    """The time of a hold has come."""
    await sql.execute("UPDATE payment SET capture_before_ms = 1 WHERE id = $1", identifier)


async def test_several_captures(region: Region, bank: Bank, sql: asyncpg.Connection) -> None:
    one = await held(region)
    assert amounts(await capture(region, "c1", one, 300, False)) == ("requires_capture", 700, 300)
    assert amounts(await capture(region, "c2", one, 200, False)) == ("requires_capture", 500, 500)
    assert amounts(await capture(region, "c3", one, 400)) == ("succeeded", 0, 900)
    assert bank.taken() == 900 and bank.called(Operation.CAPTURE) == 3
    assert [each.final for each in bank.calls if each.operation is Operation.CAPTURE] == [
        False, False, True,
    ]  # fmt: skip
    told = await types(sql, one)
    assert told.count("payment_intent.amount_capturable_updated") == 3
    assert told[-1] == "payment_intent.succeeded"
    assert await sql.fetchval("SELECT capture_before_ms FROM payment WHERE id = $1", one) is None
    await sound(sql)


async def test_a_repeated_capture_is_the_same_one(region: Region, bank: Bank) -> None:
    one = await held(region)
    first = await capture(region, "c1", one, 300, False)
    assert await capture(region, "c1", one, 300, False) == first
    assert bank.taken() == 300


@pytest.mark.parametrize("options", [None, {"card": {"request_multicapture": "never"}}])
async def test_it_must_be_asked_for(region: Region, bank: Bank, options: Any) -> None:
    one = await held(region, payment_method_options=options)
    error = await refused(region, "c1", one, 300, False)
    assert error.param == "final_capture" and "request_multicapture" in error.message
    error = await refused(region, "c2", one, 1001)
    assert error.code == "amount_too_large"
    assert bank.taken() == 0 and amounts(await capture(region, "c3", one)) == ("succeeded", 0, 1000)


async def test_the_provider_must_be_able(store: NodeStore) -> None:
    region = Region(store, Bank())
    one = await held(region)
    assert (await refused(region, "c1", one, 300, False)).param == "final_capture"
    assert (await refused(region, "c2", one, 1001)).code == "amount_too_large"


async def test_more_than_was_authorized(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    one = await held(region)
    await capture(region, "c1", one, 600, False)
    assert (await refused(region, "c2", one, 401, False)).code == "amount_too_large"
    assert (await refused(region, "c3", one, 551)).code == "amount_too_large"
    assert amounts(await capture(region, "c4", one, 550)) == ("succeeded", 0, 1150)
    assert bank.taken() == 1150
    await sound(sql)
    again = body(await region.refund("r", CreateRefund(payment_intent=one)))
    assert again["amount"] == 1150 and bank.taken() == 0


async def test_what_is_left_can_be_released(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    one = await held(region)
    error = await refused(region, "c0", one, 0)
    assert "cancel it" in error.message
    await capture(region, "c1", one, 300, False)
    assert (await refused(region, "c2", one, 0, False)).param == "final_capture"
    assert amounts(await capture(region, "c3", one, 0)) == ("succeeded", 0, 300)
    assert bank.called(Operation.VOID) == 1 and bank.calls[-1].amount == 700
    assert (await types(sql, one))[-1] == "payment_intent.succeeded"
    await sound(sql)


async def test_half_taken_it_is_not_canceled(region: Region, bank: Bank) -> None:
    one = await held(region)
    await capture(region, "c1", one, 300, False)
    with pytest.raises(ApiError, match="release the rest"):
        await region.act("cancel", "x", one, CancelPayment())
    assert bank.called(Operation.VOID) == 0


async def test_what_was_captured_can_be_refunded_meanwhile(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    one = await held(region)
    with pytest.raises(ApiError):
        await region.refund("r0", CreateRefund(payment_intent=one))
    await capture(region, "c1", one, 300, False)
    with pytest.raises(ApiError, match="greater than unrefunded"):
        await region.refund("r1", CreateRefund(payment_intent=one, amount=301))
    assert body(await region.refund("r2", CreateRefund(payment_intent=one)))["amount"] == 300
    assert amounts(await capture(region, "c2", one, 700)) == ("succeeded", 0, 1000)
    assert bank.taken() == 700
    await sound(sql)


async def test_a_refund_ends_while_a_capture_is_under_way(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    one = await held(region)
    await capture(region, "c1", one, 300, False)
    bank.script[Operation.REFUND] = ["pending"]
    refund = body(await region.refund("r", CreateRefund(payment_intent=one, amount=100)))
    assert refund["status"] == "pending"
    bank.script[Operation.CAPTURE] = ["lost"]
    assert (await capture(region, "c2", one, 200, False))["status"] == "processing"
    row = await region.store.refund(refund["id"])
    assert row is not None
    bank.decide(row.attempt, "approve")
    await region.resolve(row.attempt)
    found = await region.store.payment(one)
    assert found is not None and (found.state, found.amount_refunded) == ("capturing", 100)
    assert found.open_attempt is not None
    await region.resolve(found.open_attempt)
    found = await region.store.payment(one)
    assert found is not None and (found.state, found.amount_received) == ("requires_capture", 500)
    assert bank.taken() == 400
    await sound(sql)


async def test_a_part_that_is_refused_changes_nothing(region: Region, bank: Bank) -> None:
    one = await held(region)
    await capture(region, "c1", one, 300, False)
    bank.script[Operation.CAPTURE] = ["decline"]
    answer = await region.act("capture", "c2", one, CapturePayment(200, False))
    assert answer.status == 400
    found = await region.store.payment(one)
    assert found is not None and (found.state, found.amount_capturable) == ("requires_capture", 700)


async def test_there_are_so_many_captures_at_most(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    one = await held(region)
    for number in range(CAPTURES_MAX - 1):
        await capture(region, f"c{number}", one, 1, False)
    assert "final one" in (await refused(region, "more", one, 1, False)).message
    assert amounts(await capture(region, "last", one, 1)) == ("succeeded", 0, CAPTURES_MAX)
    await sound(sql)


# Run out


async def test_one_that_runs_out_is_let_go(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    holds = Holds(region.machine)
    one, other = await held(region), await held(region, "other")
    before = await sql.fetchval("SELECT capture_before_ms FROM payment WHERE id = $1", one)
    assert 0 < before - now_ms() <= ABLE.hold_ms
    assert await holds.step() > 0 and bank.called(Operation.VOID) == 0, "its time has not come"
    await due(sql, one)
    await holds.step()
    found = await region.store.payment(one)
    assert found is not None and found.state == "canceled"
    assert found.progress.cancellation_reason == "expired" and found.progress.canceled_ms
    assert (await types(sql, one))[-1] == "payment_intent.canceled"
    assert bank.called(Operation.VOID) == 1
    await holds.step()
    assert bank.called(Operation.VOID) == 1, "once"
    assert amounts(await capture(region, "c", other)) == ("succeeded", 0, 1000)
    await sound(sql)


async def test_one_of_which_a_part_was_taken_succeeds(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    one = await held(region)
    await capture(region, "c1", one, 300, False)
    await due(sql, one)
    await Holds(region.machine).step()
    found = await region.store.payment(one)
    assert found is not None and (found.state, found.amount_received) == ("succeeded", 300)
    assert found.amount_capturable == 0 and found.progress.cancellation_reason is None
    await sound(sql)


async def test_the_provider_has_let_it_go_already(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    one = await held(region)
    bank.script[Operation.VOID] = ["expired"]
    await due(sql, one)
    await Holds(region.machine).step()
    found = await region.store.payment(one)
    assert found is not None and found.state == "canceled"
    await sound(sql)


async def test_a_provider_that_keeps_it_is_asked_later(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    one = await held(region)
    bank.script[Operation.VOID] = ["decline"]
    await due(sql, one)
    holds = Holds(region.machine)
    await holds.step()
    await holds.step()
    assert bank.called(Operation.VOID) == 1
    found = await region.store.payment(one)
    assert found is not None and found.state == "requires_capture"
    assert found.capture_before_ms is not None
    assert 0 < found.capture_before_ms - now_ms() <= expiry.RETRY_MS
    assert amounts(await capture(region, "c", one)) == ("succeeded", 0, 1000)


async def test_a_void_whose_answer_is_lost_is_resolved(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    one = await held(region)
    bank.script[Operation.VOID] = ["lost"]
    await due(sql, one)
    await Holds(region.machine).step()
    found = await region.store.payment(one)
    assert found is not None and found.state == "voiding" and found.open_attempt
    await region.resolve(found.open_attempt, age_ms=SURE_MS)
    found = await region.store.payment(one)
    assert found is not None and found.state == "canceled"
    await sound(sql)


async def test_a_capture_too_late_says_so(region: Region, bank: Bank) -> None:
    one = await held(region)
    await capture(region, "c1", one, 300, False)
    bank.script[Operation.CAPTURE] = ["expired"]
    answer = await region.act("capture", "c2", one, CapturePayment(200))
    assert answer.status == 400
    assert body(answer)["error"]["code"] == "charge_expired_for_capture"
    found = await region.store.payment(one)
    assert found is not None and (found.state, found.amount_received) == ("succeeded", 300)
