"""Capture, cancel, refund: at once, unknown, too much, too late."""

import asyncio

import asyncpg
import pytest

from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import Operation
from bailiwick.idempotency.requests import Answer
from bailiwick.resources.payments.params import CancelPayment, CapturePayment
from bailiwick.resources.refunds.params import CreateRefund
from tests.postgres.node_kit import (
    SURE_MS,
    Bank,
    Region,
    body,
    paid,
)
from tests.postgres.rows_kit import sound
from tests.store_kit import NodeStore


async def test_capture_and_cancel_at_once(
    store: NodeStore, sql: asyncpg.Connection, bank: Bank
) -> None:
    for n in range(8):
        # Two processes of one node, so that nothing but the database keeps order.
        first, second = Region(store, bank), Region(store, bank)
        held = await paid(first, f"k{n}", capture_method="manual")
        assert held["status"] == "requires_capture" and held["amount_capturable"] == 1000
        before = len(bank.calls)
        results = await asyncio.gather(
            first.act("capture", f"c{n}", held["id"], CapturePayment()),
            second.act("cancel", f"x{n}", held["id"], CancelPayment()),
            first.act("capture", f"d{n}", held["id"], CapturePayment()),
            second.act("cancel", f"y{n}", held["id"], CancelPayment()),
            return_exceptions=True,
        )
        good = [each for each in results if isinstance(each, Answer)]
        assert len(good) == 1, results
        assert all(isinstance(each, Answer | ApiError) for each in results)
        assert len(bank.calls) == before + 1
    await sound(sql)


async def test_a_partial_capture_releases_the_rest(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    held = await paid(region, capture_method="manual")
    with pytest.raises(ApiError, match="greater than the capturable"):
        await region.act("capture", "c0", held["id"], CapturePayment(amount_to_capture=1001))
    wish = CapturePayment(amount_to_capture=300)
    done = body(await region.act("capture", "c", held["id"], wish))
    assert (done["status"], done["amount_received"], done["amount_capturable"]) == (
        "succeeded", 300, 0,
    )  # fmt: skip
    with pytest.raises(ApiError, match="refund it instead"):
        await region.act("capture", "c2", held["id"], wish)
    await sound(sql)


async def test_an_unknown_capture_blocks_the_void(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    held = await paid(region, capture_method="manual")
    bank.script[Operation.CAPTURE] = ["lost"]
    shown = body(await region.act("capture", "c", held["id"], CapturePayment()))
    assert (shown["status"], shown["amount_received"]) == ("processing", 0)
    with pytest.raises(ApiError, match="capture is under way"):
        await region.act("cancel", "x", held["id"], CancelPayment())
    payment = await region.store.payment(held["id"])
    assert payment is not None and payment.open_attempt is not None
    await region.resolve(payment.open_attempt)
    again = body(await region.act("capture", "c", held["id"], CapturePayment()))
    assert (again["status"], again["amount_received"]) == ("succeeded", 1000)
    assert bank.called(Operation.CAPTURE) == 1
    await sound(sql)


async def test_an_expired_hold(region: Region, bank: Bank, sql: asyncpg.Connection) -> None:
    held = await paid(region, capture_method="manual")
    bank.script[Operation.CAPTURE] = ["expired"]
    answer = await region.act("capture", "c", held["id"], CapturePayment())
    assert answer.status == 400
    assert body(answer)["error"]["code"] == "charge_expired_for_capture"
    payment = await region.store.payment(held["id"])
    assert payment is not None and (payment.state, payment.amount_capturable) == ("canceled", 0)
    await sound(sql)


@pytest.mark.parametrize("processes", [1, 5])
@pytest.mark.parametrize("word", ["approve", "lost", "never"])
async def test_fifty_refunds_at_once_never_exceed_what_was_taken(
    store: NodeStore, bank: Bank, sql: asyncpg.Connection, word: str, processes: int
) -> None:
    regions = [Region(store, bank) for _ in range(processes)]
    answer = await paid(regions[0])
    bank.script[Operation.REFUND] = [word] * 50
    wish = CreateRefund(payment_intent=answer["id"], amount=30)
    results = await asyncio.gather(
        *[regions[n % processes].refund(f"r{n}", wish) for n in range(50)], return_exceptions=True
    )
    good = [each for each in results if isinstance(each, Answer)]
    codes = {each.code for each in results if isinstance(each, ApiError)}
    # Several processes get in each other's way: some give up, and say that they may be retried.
    assert codes <= {"amount_too_large"} | (
        {"lock_timeout", "unavailable"} if processes > 1 else set()
    )
    assert all(isinstance(each, Answer | ApiError) for each in results)
    if processes == 1:
        assert len(good) == 33
    payment = await store.payment(answer["id"])
    assert payment is not None
    given = await sql.fetchval("SELECT sum(amount)::bigint FROM refund")
    assert payment.amount_refunding + payment.amount_refunded == given <= 1000
    assert bank.called(Operation.REFUND) <= given // 30
    if word != "approve":
        assert payment.amount_refunded == 0, "nothing is guessed, every reservation is kept"
    # Whatever was left open is ended by asking.
    for row in await store.attempts(answer["id"]):
        if row.state in ("permitted", "unknown"):
            await regions[0].resolve(row.id, age_ms=SURE_MS)
    payment = await store.payment(answer["id"])
    assert payment is not None
    assert (payment.amount_refunding, payment.amount_refunded) == (0, 1000 - bank.taken())
    await sound(sql)


async def test_an_unknown_refund_keeps_its_reservation_until_it_is_known(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    answer = await paid(region)
    bank.script[Operation.REFUND] = ["lost", "never"]
    wish = CreateRefund(payment_intent=answer["id"], amount=600)
    first = body(await region.refund("r1", wish))
    assert first["status"] == "pending"
    with pytest.raises(ApiError, match=r"greater than unrefunded amount on charge \(400\)"):
        await region.refund("r2", wish)
    assert body(await region.refund("r1", wish))["id"] == first["id"], "retried: the same refund"
    second = body(await region.refund("r3", CreateRefund(charge=answer["latest_charge"])))
    assert second["amount"] == 400
    for shown in (first, second):
        row = await region.store.refund(shown["id"])
        assert row is not None
        await region.resolve(row.attempt, age_ms=SURE_MS)
    payment = await region.store.payment(answer["id"])
    assert payment is not None
    assert (payment.amount_refunding, payment.amount_refunded) == (0, 600)
    rows = [await region.store.refund(shown["id"]) for shown in (first, second)]
    assert [row and row.state for row in rows] == ["succeeded", "failed"]
    assert bank.taken() == 400
    await sound(sql)


async def test_refunds_of_what_was_not_taken(region: Region, bank: Bank) -> None:
    bank.script[Operation.CHARGE] = ["decline"]
    declined = body(await region.pay("k"))["error"]["payment_intent"]
    with pytest.raises(ApiError) as refused:
        await region.refund("r", CreateRefund(payment_intent=declined["id"]))
    assert refused.value.code == "charge_not_refundable"
    for wish in (CreateRefund(payment_intent="pi_x"), CreateRefund(charge="ch_x"), CreateRefund()):
        with pytest.raises(ApiError):
            await region.refund("r2", wish)
    assert bank.called(Operation.REFUND) == 0
