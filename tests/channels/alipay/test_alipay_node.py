"""A node and Alipay: what its own books say was paid is what ours say."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import msgspec
import pytest

from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import Account
from bailiwick.resources.payments.params import CancelPayment, ConfirmPayment
from bailiwick.resources.refunds.params import CreateRefund
from tests.channels.alipay.provider import Alipay
from tests.postgres.node_kit import Region, balance, body
from tests.postgres.rows_kit import sound
from tests.providers.books import Refused
from tests.providers.keys import Keys
from tests.providers.nodes import GATEWAY, Later, ended, node, refund_ended
from tests.providers.serving import FAULTS, Told
from tests.store_kit import NodeStore

CODE = "28763443825664394"
DONE = ("lost_after", "error_after", "forged")
AT_A_TILL = {"code": CODE}
SHOWN = {"flow": "shown_code"}
PAGE = {"flow": "redirect"}
APP = {"flow": "in_app"}
HALF_AN_HOUR_MS = 1_800_000 + 66_000


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    return Later(monkeypatch)


@pytest.fixture
def alipay(later: Later) -> Iterator[Alipay]:
    made = Alipay(later.now_ms)
    with made.serve():
        yield made


@pytest.fixture
async def region(store: NodeStore, alipay: Alipay) -> AsyncIterator[Region]:
    async with node(store, "alipay", account(alipay), ("alipay",)) as made:
        yield made


def account(alipay: Alipay, **secrets: str) -> Account:
    known = {"private_key": alipay.app.private, "alipay_public_key": alipay.own.public}
    return Account(
        GATEWAY, alipay.url, {**known, **secrets}, options={"app_id": alipay.app_id}
    )  # fmt: skip


async def pay(region: Region, key: str = "k", **data: Any) -> dict[str, Any]:
    """The payment; of a refused one too."""
    answer = await region.pay(
        key, currency="cny", payment_method=None, payment_method_types=["alipay"],
        payment_method_data={"type": "alipay", **data}, return_url="https://shop.test/back",
    )  # fmt: skip
    found = body(answer)
    return found["error"]["payment_intent"] if answer.status == 402 else found


async def tell(region: Region, told: Told) -> str:
    return await region.callbacks.take(GATEWAY, told.headers, told.body)


async def equal(sql: asyncpg.Connection, alipay: Alipay, taken: int) -> None:
    """Alipay's books and ours say that so much was taken."""
    assert alipay.books.taken() == taken
    assert -await balance(sql, "merchant:%") == taken
    await sound(sql)


# --- the credential check


async def test_it_opens_only_with_both_keys(store: NodeStore, alipay: Alipay) -> None:
    other = Keys.made()
    for wrong, name in (
        ({"private_key": other.private}, "secrets.private_key"),
        ({"alipay_public_key": other.public}, "secrets.alipay_public_key"),
        ({"private_key": "none"}, "secrets.private_key"),
    ):
        async with node(store, "alipay", account(alipay, **wrong), ("alipay",)) as region:
            (gateway,) = region.machine.gateways.all()
            assert name in gateway.usage
    async with node(store, "alipay", account(alipay), ("alipay",)) as region:
        (gateway,) = region.machine.gateways.all()
        assert gateway.usage == "open"


# --- at a till


async def test_a_code_is_paid_once_however_often_it_is_asked(
    region: Region, alipay: Alipay, sql: asyncpg.Connection
) -> None:
    first, again = await pay(region, **AT_A_TILL), await pay(region, **AT_A_TILL)
    assert first == again and first["status"] == "succeeded"
    assert alipay.called("pay") == 1
    await equal(sql, alipay, 1000)


async def test_a_payer_without_money(
    region: Region, alipay: Alipay, sql: asyncpg.Connection
) -> None:
    alipay.payers[CODE] = "poor"
    shown = await pay(region, **AT_A_TILL)
    assert shown["status"] == "requires_payment_method"
    assert shown["last_payment_error"]["decline_code"] == "insufficient_funds"
    await equal(sql, alipay, 0)


@pytest.mark.parametrize("by", ["callback", "look-up"])
async def test_a_payer_who_enters_the_pin(
    region: Region, alipay: Alipay, sql: asyncpg.Connection, by: str
) -> None:
    alipay.payers[CODE] = "pin"
    shown = await pay(region, **AT_A_TILL)
    assert (shown["status"], shown["next_action"]["type"]) == ("requires_action", "wait_for_payer")
    alipay.pay(shown["latest_charge"])
    if by == "callback":
        assert await tell(region, alipay.due[-1]) == "taken"
        assert await tell(region, alipay.due[-1]) == "seen before"
    assert (await ended(region, shown["id"]))["state"] == "succeeded"
    await equal(sql, alipay, 1000)


@pytest.mark.parametrize("fault", FAULTS)
async def test_an_answer_that_does_not_come_or_is_forged(
    region: Region, alipay: Alipay, sql: asyncpg.Connection, fault: str
) -> None:
    alipay.faults["pay"] = [fault]
    shown = await pay(region, **AT_A_TILL)
    assert shown["status"] == "processing"
    state = (await ended(region, shown["id"]))["state"]
    done = fault in DONE
    assert state == ("succeeded" if done else "requires_payment_method")
    assert alipay.called("pay") == 1
    await equal(sql, alipay, 1000 if done else 0)


async def test_a_trade_that_is_not_visible_yet_is_not_taken_for_none(
    region: Region, alipay: Alipay, sql: asyncpg.Connection
) -> None:
    alipay.faults["pay"] = ["lost_after"]
    alipay.books.hidden = True
    shown = await pay(region, **AT_A_TILL)
    await region.resolve(shown["latest_charge"], age_ms=10_000)
    assert body(await region.pay("k", **_same()))["status"] == "processing"
    alipay.books.hidden = False
    await region.resolve(shown["latest_charge"], age_ms=10_000)
    await equal(sql, alipay, 1000)


def _same() -> dict[str, Any]:
    return {
        "currency": "cny", "payment_method": None, "payment_method_types": ["alipay"],
        "payment_method_data": {"type": "alipay", **AT_A_TILL},
        "return_url": "https://shop.test/back",
    }  # fmt: skip


@pytest.mark.parametrize("fault", ["", *FAULTS])
async def test_who_does_not_enter_the_pin_in_time_pays_nothing(
    region: Region, alipay: Alipay, sql: asyncpg.Connection, later: Later, fault: str
) -> None:
    alipay.payers[CODE] = "pin"
    shown = await pay(region, **AT_A_TILL)
    alipay.faults["cancel"] = [fault] if fault else []
    later.ahead_ms = 66_000
    assert (await ended(region, shown["id"]))["state"] == "requires_payment_method"
    with pytest.raises(Refused, match="closed"):
        alipay.pay(shown["latest_charge"])
    await equal(sql, alipay, 0)


async def test_what_is_paid_in_the_last_moment_is_kept(
    region: Region, alipay: Alipay, sql: asyncpg.Connection, later: Later
) -> None:
    alipay.payers[CODE] = "pin"
    shown = await pay(region, **AT_A_TILL)
    alipay.pay(shown["latest_charge"])
    later.ahead_ms = 66_000
    assert (await ended(region, shown["id"]))["state"] == "succeeded"
    assert alipay.called("cancel") == 0
    await equal(sql, alipay, 1000)


async def test_what_is_paid_while_it_is_taken_back_is_given_back(
    region: Region, alipay: Alipay, sql: asyncpg.Connection, later: Later
) -> None:
    alipay.payers[CODE] = "pin"
    shown = await pay(region, **AT_A_TILL)
    later.ahead_ms = 66_000
    query = alipay._query

    def pays_then(content: dict[str, str]) -> dict[str, Any]:
        told = query(content)
        if told["trade_status"] == "WAIT_BUYER_PAY":
            alipay.pay(shown["latest_charge"])
        return told

    alipay._query = pays_then  # type: ignore[method-assign]
    assert (await ended(region, shown["id"]))["state"] == "requires_payment_method"
    for told in alipay.due:
        await tell(region, told)
    await equal(sql, alipay, 0)


async def test_two_ways_of_one_payment_are_not_both_paid(
    region: Region, alipay: Alipay, sql: asyncpg.Connection, later: Later
) -> None:
    alipay.payers[CODE] = "pin"
    alipay.faults["cancel"] = ["lost_before"]
    shown = await pay(region, **AT_A_TILL)
    later.ahead_ms = 66_000
    await region.resolve(shown["latest_charge"])
    with pytest.raises(ApiError):  # it is not known yet whether the first is gone
        await region.act("confirm", "c", shown["id"], _confirm("28763443825664395"))
    await ended(region, shown["id"])
    done = body(await region.act("confirm", "d", shown["id"], _confirm("28763443825664395")))
    assert done["status"] == "succeeded"
    await equal(sql, alipay, 1000)


def _confirm(code: str) -> ConfirmPayment:
    given = {"payment_method_data": {"type": "alipay", "code": code}}
    return msgspec.convert(given, ConfirmPayment)


# --- codes that are shown, pages, apps


def come(alipay: Alipay, shown: dict[str, Any]) -> None:
    """The payer does what the next action says."""
    action = shown["next_action"]
    told = action[action["type"]]
    if action["type"] == "redirect_to_url":
        alipay.visit(told["url"])
    elif action["type"] == "open_in_app":
        alipay.visit(told["parameters"]["orderStr"])
    else:
        alipay.scan(told["data"])


@pytest.mark.parametrize("way", [SHOWN, PAGE, {**PAGE, "device": "mobile"}, APP])
async def test_a_payer_who_comes(
    region: Region, alipay: Alipay, sql: asyncpg.Connection, way: dict[str, str]
) -> None:
    shown = await pay(region, **way)
    assert shown["status"] == "requires_action"
    await region.resolve(shown["latest_charge"])
    assert (await pay(region, **way))["status"] == "requires_action", "nobody has come yet"
    come(alipay, shown)
    await region.resolve(shown["latest_charge"])
    alipay.pay(shown["latest_charge"])
    assert await tell(region, alipay.due[-1]) == "taken"
    await equal(sql, alipay, 1000)


@pytest.mark.parametrize("way", [SHOWN, PAGE, APP])
async def test_a_payer_who_does_not_come_in_time(
    region: Region, alipay: Alipay, sql: asyncpg.Connection, later: Later, way: dict[str, str]
) -> None:
    shown = await pay(region, **way)
    later.ahead_ms = HALF_AN_HOUR_MS
    assert (await ended(region, shown["id"]))["state"] == "requires_payment_method"
    with pytest.raises(Refused, match="over"):
        come(alipay, shown)
    await equal(sql, alipay, 0)


@pytest.mark.parametrize("way", [SHOWN, PAGE, APP])
async def test_what_is_canceled_before_anybody_comes_stays_open_until_nobody_can(
    region: Region, alipay: Alipay, sql: asyncpg.Connection, later: Later, way: dict[str, str]
) -> None:
    shown = await pay(region, **way)
    gone = body(await region.act("cancel", "x", shown["id"], CancelPayment()))
    assert gone["status"] == "processing"
    payment = await region.store.payment(shown["id"])
    assert payment is not None and payment.open_attempt is not None
    await region.resolve(payment.open_attempt, age_ms=120_000)
    come(alipay, shown)  # Alipay lets it be paid
    alipay.pay(shown["latest_charge"])
    await ended(region, shown["id"])
    await equal(sql, alipay, 1000)


@pytest.mark.parametrize("way", [SHOWN, PAGE, APP])
async def test_what_is_canceled_when_the_payer_is_there_is_closed(
    region: Region, alipay: Alipay, sql: asyncpg.Connection, way: dict[str, str]
) -> None:
    shown = await pay(region, **way)
    come(alipay, shown)
    gone = body(await region.act("cancel", "x", shown["id"], CancelPayment()))
    assert gone["status"] == "canceled"
    with pytest.raises(Refused, match="closed"):
        alipay.pay(shown["latest_charge"])
    await equal(sql, alipay, 0)


@pytest.mark.parametrize("fault", ["lost_before", "lost_after", "forged"])
async def test_a_code_whose_answer_was_lost_is_paid_by_nobody(
    region: Region, alipay: Alipay, sql: asyncpg.Connection, later: Later, fault: str
) -> None:
    alipay.faults["precreate"] = [fault]
    shown = await pay(region, **SHOWN)
    assert (shown["status"], shown["next_action"]) == ("processing", None)
    later.ahead_ms = HALF_AN_HOUR_MS
    assert (await ended(region, shown["id"]))["state"] == "requires_payment_method"
    await equal(sql, alipay, 0)


# --- refunds


@pytest.mark.parametrize("fault", ["", *FAULTS])
async def test_refunds_in_parts(
    region: Region, alipay: Alipay, sql: asyncpg.Connection, fault: str
) -> None:
    paid = await pay(region, **AT_A_TILL)
    first = body(await region.refund("r", CreateRefund(payment_intent=paid["id"], amount=300)))
    assert first["status"] == "succeeded"
    alipay.faults["refund"] = [fault] if fault else []
    second = body(await region.refund("s", CreateRefund(payment_intent=paid["id"], amount=200)))
    assert second["status"] == "pending", "its answer tells of both"
    lost = fault in ("lost_before", "error_before")
    assert await refund_ended(region, second["id"]) == ("failed" if lost else "succeeded")
    for told in alipay.due:
        assert await tell(region, told) in ("asked", "taken")
    await equal(sql, alipay, 700 if lost else 500)


async def test_a_refund_asked_for_twice_is_given_once(
    region: Region, alipay: Alipay, sql: asyncpg.Connection
) -> None:
    paid = await pay(region, **AT_A_TILL)
    wish = CreateRefund(payment_intent=paid["id"])
    assert body(await region.refund("r", wish)) == body(await region.refund("r", wish))
    await equal(sql, alipay, 0)


async def test_a_refund_that_alipay_refuses(
    region: Region, alipay: Alipay, sql: asyncpg.Connection
) -> None:
    paid = await pay(region, **AT_A_TILL)
    trade = alipay.books.trades[paid["latest_charge"]]
    alipay.books.give_back(trade, "by hand", 900)
    answer = await region.refund("r", CreateRefund(payment_intent=paid["id"], amount=500))
    assert (answer.status, body(answer)["error"]["code"]) == (400, "refund_failed")
    assert alipay.books.taken() == 100
    assert -await balance(sql, "merchant:%") == 1000


# --- callbacks


async def test_forged_callbacks_change_nothing(
    region: Region, alipay: Alipay, sql: asyncpg.Connection
) -> None:
    alipay.payers[CODE] = "pin"
    shown = await pay(region, **AT_A_TILL)
    note = {
        "app_id": alipay.app_id, "notify_id": "1", "notify_type": "trade_status_sync",
        "out_trade_no": shown["latest_charge"], "trade_no": "2026092122001400000000000001",
        "trade_status": "TRADE_SUCCESS", "total_amount": "10.00",
        "notify_time": alipay._clock(),
    }  # fmt: skip
    for forged in (
        alipay.signed(note, Keys.made()),
        alipay.signed({**note, "app_id": "2014072300007149"}),
        Told({}, alipay.signed(note).body.replace(b"10.00", b"10.01")),
    ):
        with pytest.raises(ApiError) as refused:
            await tell(region, forged)
        assert refused.value.code == "callback_refused"
    old = alipay.signed({**note, "notify_time": "2020-01-01 00:00:00"})
    with pytest.raises(ApiError) as refused:  # it was genuine once: Alipay is asked
        await tell(region, old)
    assert refused.value.status == 503
    assert (await pay(region, **AT_A_TILL))["status"] == "requires_action"
    await equal(sql, alipay, 0)


async def test_a_callback_about_a_payment_that_was_closed_unpaid(
    region: Region, alipay: Alipay, sql: asyncpg.Connection, later: Later
) -> None:
    shown = await pay(region, **SHOWN)
    come(alipay, shown)
    trade = alipay.books.close(shown["latest_charge"])
    alipay._tell(trade, "TRADE_CLOSED")
    assert await tell(region, alipay.due[-1]) == "taken"
    payment = await region.store.payment(shown["id"])
    assert payment is not None and payment.state == "requires_payment_method"
    await equal(sql, alipay, 0)
