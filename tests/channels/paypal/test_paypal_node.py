"""A node and PayPal: what its own books say was paid is what ours say."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import Notice
from bailiwick.channels.paypal import readings
from bailiwick.resources.payments.params import CancelPayment, CapturePayment
from bailiwick.resources.refunds.params import CreateRefund
from tests.channels.paypal.provider import PayPal
from tests.postgres.node_kit import Region, balance, reviews
from tests.postgres.rows_kit import sound
from tests.postgres.steps_kit import begun
from tests.store_kit import NodeStore

FAULTS = ("never", "lost", "error")
HOUR_MS = 3_600_000
TEN = {"currency_code": "EUR", "value": "10.00"}


@pytest.fixture
def paypal() -> PayPal:
    return PayPal()


@pytest.fixture
def region(store: NodeStore, paypal: PayPal) -> Region:
    return Region(store, paypal)


async def equal(sql: asyncpg.Connection, paypal: PayPal, taken: int) -> None:
    """PayPal's books and ours say that so much was taken."""
    assert paypal.taken() == taken
    assert -await balance(sql, "merchant:%") == taken
    await sound(sql)


async def latest(region: Region, payment: str) -> Any:
    """Its open attempt, else the charge."""
    found = await region.store.payment(payment)
    assert found is not None
    return found


async def look(region: Region, payment: str, **how: Any) -> str:
    """Have the resolver look at what is open of it; the state then."""
    found = await latest(region, payment)
    if found.open_attempt is not None:
        await region.resolve(found.open_attempt, **how)
    return str((await latest(region, payment)).state)


async def approved(region: Region, paypal: PayPal, **values: Any) -> str:
    """A payment whose payer has approved; nobody was told."""
    made = await begun(region, **values)
    paypal.approve(made["latest_charge"])
    return str(made["id"])


async def test_a_payer_approves_and_pays_once(
    region: Region, paypal: PayPal, sql: asyncpg.Connection
) -> None:
    made = await begun(region)
    assert made["next_action"]["redirect_to_url"]["url"] == "https://www.paypal.test/ORDER0"
    assert await look(region, made["id"]) == "requires_action"
    await equal(sql, paypal, 0)
    paypal.approve(made["latest_charge"])
    assert await look(region, made["id"]) == "succeeded"
    assert await begun(region) == made, "the same key is answered the same"
    assert (paypal.many("create"), paypal.many("complete")) == (1, 1)
    await equal(sql, paypal, 1000)


@pytest.mark.parametrize("step", ["create", "complete"])
@pytest.mark.parametrize("faults", [[each] for each in FAULTS] + [["lost", "error", "never"]])
async def test_a_charge_whose_answers_do_not_come(
    region: Region, paypal: PayPal, sql: asyncpg.Connection, step: str, faults: list[str]
) -> None:
    paypal.faults[step] = list(faults)
    made = await begun(region)
    for _ in faults:
        await look(region, made["id"])
    paypal.approve(made["latest_charge"])
    for _ in range(len(faults) + 1):
        await look(region, made["id"])
    assert await look(region, made["id"]) == "succeeded"
    assert (len(paypal.orders), len(paypal.made)) == (1, 1)
    await equal(sql, paypal, 1000)


async def test_what_was_completed_is_found_when_keys_are_forgotten(
    region: Region, paypal: PayPal, sql: asyncpg.Connection
) -> None:
    paypal.faults["complete"] = ["lost"]
    payment = await approved(region, paypal)
    assert await look(region, payment) == "processing"
    paypal.forget_keys()
    assert await look(region, payment, age_ms=7 * HOUR_MS) == "succeeded"
    assert paypal.many("complete") == 1
    await equal(sql, paypal, 1000)


async def test_what_never_arrived_is_not_sent_when_keys_are_forgotten(
    region: Region, paypal: PayPal, sql: asyncpg.Connection
) -> None:
    paypal.faults["complete"] = ["never"]
    payment = await approved(region, paypal)
    assert await look(region, payment) == "processing"
    paypal.forget_keys()
    await sql.execute("UPDATE attempt SET permitted_at = permitted_at - interval '7 hours'")
    assert await look(region, payment, age_ms=7 * HOUR_MS) == "requires_payment_method"
    assert paypal.many("complete") == 1
    await equal(sql, paypal, 0)


async def test_a_wallet_that_is_declined(
    region: Region, paypal: PayPal, sql: asyncpg.Connection
) -> None:
    made = await begun(region)
    paypal.poor.add(made["latest_charge"])
    paypal.approve(made["latest_charge"])
    assert await look(region, made["id"]) == "requires_payment_method"
    failed = (await latest(region, made["id"])).progress.last_error
    assert (failed["code"], failed["decline_code"]) == ("card_declined", "generic_decline")
    await equal(sql, paypal, 0)


async def test_a_second_payment_of_the_same_invoice_is_no_decline(
    region: Region, paypal: PayPal, sql: asyncpg.Connection
) -> None:
    """PayPal says that it has taken money under our number: where it went has to be seen."""
    made = await begun(region)
    paypal.approve(made["latest_charge"])
    numbers = {"custom_id": "another", "invoice_id": made["latest_charge"]}
    paypal.made["CAPTURE9"] = {"id": "CAPTURE9", "kind": "CAPTURE", "amount": TEN, **numbers}
    assert await look(region, made["id"]) == "processing"
    assert await look(region, made["id"], age_ms=HOUR_MS) == "processing"
    assert "unresolved" in await reviews(sql)
    assert paypal.taken() == 1000 and await balance(sql, "merchant:%") == 0


async def test_what_the_payer_leaves_undone_is_never_completed(
    region: Region, paypal: PayPal, sql: asyncpg.Connection
) -> None:
    made = await begun(region)
    await region.act("cancel", "c", made["id"], CancelPayment())
    paypal.approve(made["latest_charge"])
    assert await look(region, made["id"]) == "canceled"
    assert paypal.many("complete") == 0
    await equal(sql, paypal, 0)


# Callbacks


def told(paypal: PayPal, kind: str, resource: dict[str, Any], number: str = "WH-1") -> Notice:
    event = {"id": number, "resource_type": kind, "resource": resource}
    bare = Notice("POST", "https://node.test/", {}, json.dumps(event).encode())
    return readings.SIGNED.sign(bare, paypal.account, now_ms())


async def take(region: Region, notice: Notice) -> str:
    return await region.callbacks.take("paypal", notice.headers, notice.body)


async def test_a_callback_has_the_order_asked_and_completed_once(
    region: Region, paypal: PayPal, sql: asyncpg.Connection
) -> None:
    made = await begun(region)
    order = paypal.approve(made["latest_charge"])
    notice = told(paypal, "checkout-order", order)
    for _ in range(2):
        await take(region, notice)
        assert await look(region, made["id"]) == "succeeded"
    (capture,) = order["purchase_units"][0]["payments"]["captures"]
    await take(region, told(paypal, "capture", capture, "WH-2"))
    await take(region, notice)  # late
    assert await look(region, made["id"]) == "succeeded"
    assert paypal.many("complete") == 1
    assert await reviews(sql) == set()
    await equal(sql, paypal, 1000)


async def test_a_forged_callback_has_nobody_asked(region: Region, paypal: PayPal) -> None:
    made = await begun(region)
    order, asked = paypal.order_of(made["latest_charge"]), len(paypal.asked)
    notice = told(paypal, "checkout-order", {**order, "status": "APPROVED"})
    headers = {**notice.headers, "paypal-transmission-id": "another"}
    with pytest.raises(ApiError):
        await region.callbacks.take("paypal", headers, notice.body)
    assert len(paypal.asked) == asked


async def test_what_a_callback_claims_is_asked(
    region: Region, paypal: PayPal, sql: asyncpg.Connection
) -> None:
    made = await begun(region)
    numbers = dict.fromkeys(("custom_id", "invoice_id"), made["latest_charge"])
    paid = {"id": "CAPTURE9", "status": "COMPLETED", "amount": TEN, **numbers}
    await take(region, told(paypal, "capture", paid))
    assert await look(region, made["id"]) == "requires_action"
    await equal(sql, paypal, 0)


# Holds, and what follows on a charge

Act = Callable[[Region, str], Awaitable[Any]]


async def held(region: Region, paypal: PayPal) -> str:
    payment = await approved(region, paypal, capture_method="manual")
    assert await look(region, payment) == "requires_capture"
    return payment


async def capture(region: Region, payment: str) -> Any:
    return await region.act("capture", "a", payment, CapturePayment(amount_to_capture=700))


async def cancel(region: Region, payment: str) -> Any:
    return await region.act("cancel", "a", payment, CancelPayment())


@pytest.mark.parametrize("fault", ["", *FAULTS])
@pytest.mark.parametrize(
    ("act", "place", "state", "taken"),
    [(capture, "capture", "succeeded", 700), (cancel, "void", "canceled", 0)],
)
async def test_a_hold(
    region: Region, paypal: PayPal, sql: asyncpg.Connection,
    act: Act, place: str, state: str, taken: int, fault: str,
) -> None:  # fmt: skip
    payment = await held(region, paypal)
    paypal.faults[place] = [fault] if fault else []
    await act(region, payment)
    assert await look(region, payment) == state
    assert paypal.many(place) == (2 if fault else 1)
    await equal(sql, paypal, taken)


@pytest.mark.parametrize("fault", ["", *FAULTS])
@pytest.mark.parametrize("manual", [False, True])
async def test_refunds(
    region: Region, paypal: PayPal, sql: asyncpg.Connection, manual: bool, fault: str
) -> None:
    payment = await (held if manual else approved)(region, paypal)
    if manual:
        await capture(region, payment)
    assert await look(region, payment) == "succeeded"
    paypal.faults["refund"] = [fault] if fault else []
    given = CreateRefund(payment_intent=payment, amount=400)
    await region.refund("r", given)
    rows = await sql.fetch("SELECT id FROM attempt WHERE operation = 'refund'")
    (attempt,) = [row[0] for row in rows]
    if fault:
        await region.resolve(attempt)
    assert paypal.many("refund") == (2 if fault else 1)
    await equal(sql, paypal, (700 if manual else 1000) - 400)
