"""A node and WeChat Pay: what its own books say was paid is what ours say."""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import msgspec
import pytest

from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import Account
from bailiwick.resources.payments.params import CancelPayment, ConfirmPayment
from bailiwick.resources.refunds.params import CreateRefund
from tests.channels.wechat_pay.provider import WeChatPay
from tests.postgres.node_kit import Region, balance, body
from tests.postgres.rows_kit import sound
from tests.providers.books import Refused
from tests.providers.keys import Keys, is_signed
from tests.providers.nodes import GATEWAY, Later, ended, node, refund_ended
from tests.providers.serving import FAULTS, Told
from tests.store_kit import NodeStore

CODE = "130061098828009406"
KEY_ID = "PUB_KEY_ID_0112300001092024101100397200000006"
DONE = ("lost_after", "error_after", "forged")
AT_A_TILL = {"code": CODE}
SHOWN = {"flow": "shown_code"}
PAGE = {"flow": "redirect", "ip_address": "14.23.150.211"}
APP = {"flow": "in_app"}
OFFICIAL = {"wallet_id": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}
ELSEWHERE = [SHOWN, PAGE, APP, OFFICIAL]
QUARTER_MS = 900_000 + 66_000
BOTH = pytest.mark.parametrize("mode", [None, KEY_ID], ids=["certificates", "key"], indirect=True)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    return Later(monkeypatch)


@pytest.fixture
def mode(request: pytest.FixtureRequest) -> str | None:
    found: str | None = getattr(request, "param", None)
    return found


@pytest.fixture
def wechat(later: Later, mode: str | None) -> Iterator[WeChatPay]:
    made = WeChatPay(later.now_ms, mode)
    with made.serve():
        yield made


@pytest.fixture
async def region(store: NodeStore, wechat: WeChatPay) -> AsyncIterator[Region]:
    async with node(store, "wechat_pay", account(wechat), ("wechat_pay",)) as made:
        yield made


def account(wechat: WeChatPay, **wrong: str) -> Account:
    secrets = {"private_key": wechat.merchant.private, "api_v3_key": wechat.api_v3_key}
    options = {"mchid": wechat.mchid, "appid": wechat.appid, "serial_no": wechat.serial_no}
    if wechat.public_key_id:
        secrets["public_key"] = wechat.own.public
        options["public_key_id"] = wechat.public_key_id
    for name, value in wrong.items():
        (options if name in options else secrets)[name] = value
    return Account(GATEWAY, wechat.url, secrets, options=options)


async def pay(region: Region, key: str = "k", **data: Any) -> dict[str, Any]:
    """The payment; of a refused one too."""
    answer = await region.pay(
        key, currency="cny", payment_method=None, payment_method_types=["wechat_pay"],
        payment_method_data={"type": "wechat_pay", **data}, return_url="https://shop.test/back",
    )  # fmt: skip
    found = body(answer)
    return found["error"]["payment_intent"] if answer.status == 402 else found


async def tell(region: Region, told: Told) -> str:
    return await region.callbacks.take(GATEWAY, told.headers, told.body)


async def equal(sql: asyncpg.Connection, wechat: WeChatPay, taken: int) -> None:
    """WeChat Pay's books and ours say that so much was taken."""
    assert wechat.books.taken() == taken
    assert -await balance(sql, "merchant:%") == taken
    await sound(sql)


# --- the credential check, and what is prepared


@BOTH
async def test_it_opens_only_with_all_that_is_needed(
    store: NodeStore, wechat: WeChatPay, mode: str | None
) -> None:
    other = Keys.made()
    wrong = {"private_key": other.private, "serial_no": "1DDE55AD98ED71D6EDD4A4A2"}
    wrong |= {"public_key": other.public} if mode else {"api_v3_key": "0" * 32}
    for name, value in wrong.items():
        made = account(wechat, **{name: value})
        async with node(store, "wechat_pay", made, ("wechat_pay",)) as region:
            (gateway,) = region.machine.gateways.all()
            assert (f"secrets.{name}" in gateway.usage) or (name == "serial_no"), gateway.usage
            assert gateway.usage != "open"
    async with node(store, "wechat_pay", account(wechat), ("wechat_pay",)) as region:
        (gateway,) = region.machine.gateways.all()
        assert gateway.usage == "open"
        assert [each["name"] for each in gateway.preparations.shown()] == (
            [] if mode else ["certificates"]
        )
    assert bool(wechat.called("certificates")) == (mode is None)


async def test_a_new_certificate_is_brought_when_it_is_first_seen(
    region: Region, wechat: WeChatPay, sql: asyncpg.Connection
) -> None:
    shown = await pay(region, **SHOWN)
    wechat.renew()
    wechat.pay(shown["latest_charge"])
    with pytest.raises(ApiError) as refused:
        await tell(region, wechat.due[-1])
    assert refused.value.status == 503
    (gateway,) = region.machine.gateways.all()
    await gateway.preparations.renew()
    assert await tell(region, wechat.due[-1]) == "taken"
    await equal(sql, wechat, 1000)


# --- at a till


@BOTH
async def test_a_code_is_paid_once_however_often_it_is_asked(
    region: Region, wechat: WeChatPay, sql: asyncpg.Connection
) -> None:
    first, again = await pay(region, **AT_A_TILL), await pay(region, **AT_A_TILL)
    assert first == again and first["status"] == "succeeded"
    assert wechat.called("codepay") == 1
    await equal(sql, wechat, 1000)


async def test_a_code_tells_its_wallet(
    region: Region, wechat: WeChatPay, sql: asyncpg.Connection
) -> None:
    answer = await region.pay(
        "k", currency="cny", payment_method=None, payment_method_types=["wechat_pay", "alipay"],
        payment_method_data={"code": CODE},
    )  # fmt: skip
    assert body(answer)["status"] == "succeeded"
    await equal(sql, wechat, 1000)


async def test_a_payer_without_money(
    region: Region, wechat: WeChatPay, sql: asyncpg.Connection
) -> None:
    wechat.payers[CODE] = "poor"
    shown = await pay(region, **AT_A_TILL)
    assert shown["status"] == "requires_payment_method"
    assert shown["last_payment_error"]["decline_code"] == "insufficient_funds"
    await equal(sql, wechat, 0)


async def test_a_payer_who_enters_the_password(
    region: Region, wechat: WeChatPay, sql: asyncpg.Connection
) -> None:
    wechat.payers[CODE] = "pin"
    shown = await pay(region, **AT_A_TILL)
    assert (shown["status"], shown["next_action"]["type"]) == ("requires_action", "wait_for_payer")
    await region.resolve(shown["latest_charge"])
    assert (await pay(region, **AT_A_TILL))["status"] == "requires_action"
    wechat.pay(shown["latest_charge"])
    assert (await ended(region, shown["id"]))["state"] == "succeeded"
    await equal(sql, wechat, 1000)


@BOTH
@pytest.mark.parametrize("fault", FAULTS)
async def test_an_answer_that_does_not_come_or_is_forged(
    region: Region, wechat: WeChatPay, sql: asyncpg.Connection, fault: str
) -> None:
    wechat.faults["codepay"] = [fault]
    shown = await pay(region, **AT_A_TILL)
    assert shown["status"] == "processing"
    state = (await ended(region, shown["id"]))["state"]
    done = fault in DONE
    assert state == ("succeeded" if done else "requires_payment_method")
    assert wechat.called("codepay") == 1
    await equal(sql, wechat, 1000 if done else 0)


async def test_an_order_that_is_not_visible_yet_is_not_taken_for_none(
    region: Region, wechat: WeChatPay, sql: asyncpg.Connection
) -> None:
    wechat.faults["codepay"] = ["lost_after"]
    wechat.books.hidden = True
    shown = await pay(region, **AT_A_TILL)
    await region.resolve(shown["latest_charge"], age_ms=10_000)
    assert (await pay(region, **AT_A_TILL))["status"] == "processing"
    wechat.books.hidden = False
    await region.resolve(shown["latest_charge"], age_ms=10_000)
    await equal(sql, wechat, 1000)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_look_up_that_fails_says_nothing(
    region: Region, wechat: WeChatPay, sql: asyncpg.Connection, fault: str
) -> None:
    wechat.faults["codepay"] = ["lost_before"]
    wechat.faults["query"] = [fault]
    shown = await pay(region, **AT_A_TILL)
    await region.resolve(shown["latest_charge"], age_ms=3_600_000)
    assert (await pay(region, **AT_A_TILL))["status"] == "processing"
    assert (await ended(region, shown["id"]))["state"] == "requires_payment_method"
    await equal(sql, wechat, 0)


@pytest.mark.parametrize("fault", ["", *FAULTS])
async def test_who_does_not_enter_the_password_in_time_pays_nothing(
    region: Region, wechat: WeChatPay, sql: asyncpg.Connection, later: Later, fault: str
) -> None:
    wechat.payers[CODE] = "pin"
    shown = await pay(region, **AT_A_TILL)
    wechat.faults["reverse"] = [fault] if fault else []
    later.ahead_ms = 66_000
    assert (await ended(region, shown["id"]))["state"] == "requires_payment_method"
    with pytest.raises(Refused, match="closed"):
        wechat.pay(shown["latest_charge"])
    await equal(sql, wechat, 0)


async def test_what_is_paid_in_the_last_moment_is_kept(
    region: Region, wechat: WeChatPay, sql: asyncpg.Connection, later: Later
) -> None:
    wechat.payers[CODE] = "pin"
    shown = await pay(region, **AT_A_TILL)
    wechat.pay(shown["latest_charge"])
    later.ahead_ms = 66_000
    assert (await ended(region, shown["id"]))["state"] == "succeeded"
    assert wechat.called("reverse") == 0
    await equal(sql, wechat, 1000)


@pytest.mark.parametrize("fault", ["", "lost_after"])
async def test_what_is_paid_while_it_is_taken_back_is_given_back(
    region: Region, wechat: WeChatPay, sql: asyncpg.Connection, later: Later, fault: str
) -> None:
    wechat.payers[CODE] = "pin"
    shown = await pay(region, **AT_A_TILL)
    wechat.faults["reverse"] = [fault] if fault else []
    later.ahead_ms = 66_000
    reverse = wechat._reverse

    def pays_first(*given: Any) -> Any:
        if wechat.books.trades[shown["latest_charge"]].state == "waiting":
            wechat.pay(shown["latest_charge"])
        return reverse(*given)

    wechat._reverse = pays_first  # type: ignore[method-assign]
    assert (await ended(region, shown["id"]))["state"] == "requires_payment_method"
    await equal(sql, wechat, 0)


async def test_two_ways_of_one_payment_are_not_both_paid(
    region: Region, wechat: WeChatPay, sql: asyncpg.Connection, later: Later
) -> None:
    wechat.payers[CODE] = "pin"
    wechat.faults["reverse"] = ["lost_before"]
    shown = await pay(region, **AT_A_TILL)
    later.ahead_ms = 66_000
    await region.resolve(shown["latest_charge"])
    with pytest.raises(ApiError):  # it is not known yet whether the first is gone
        await region.act("confirm", "c", shown["id"], _confirm("130061098828009407"))
    await ended(region, shown["id"])
    done = body(await region.act("confirm", "d", shown["id"], _confirm("130061098828009407")))
    assert done["status"] == "succeeded"
    await equal(sql, wechat, 1000)


def _confirm(code: str) -> ConfirmPayment:
    given = {"payment_method_data": {"type": "wechat_pay", "code": code}}
    return msgspec.convert(given, ConfirmPayment)


# --- codes that are shown, pages, apps


def come(wechat: WeChatPay, shown: dict[str, Any]) -> None:
    """The payer can do what the next action says: it is what WeChat Pay has given, and whole."""
    action = shown["next_action"]
    told = action[action["type"]]
    trade = wechat.books.trades[shown["latest_charge"]]
    if action["type"] == "redirect_to_url":
        given = parse_qs(urlsplit(told["url"]).query)
        assert (given["prepay_id"], given["redirect_url"][0].partition("?")[0]) == (
            [trade.id], "https://shop.test/back",
        )  # fmt: skip
    elif action["type"] == "open_in_app":
        opens(wechat, told["parameters"], f"wx{trade.id}")
    else:
        assert told["data"] == f"weixin://wxpay/bizpayurl?pr={trade.id}"


def opens(wechat: WeChatPay, given: dict[str, str], prepay_id: str) -> None:
    official = "paySign" in given
    last = f"prepay_id={prepay_id}" if official else prepay_id
    at = ("timeStamp", "nonceStr", "paySign") if official else ("timestamp", "noncestr", "sign")
    moment, nonce, signature = (given[name] for name in at)
    text = f"{wechat.appid}\n{moment}\n{nonce}\n{last}\n"
    assert is_signed(wechat.merchant.public, text.encode(), signature)
    assert given["package" if official else "prepayid"] == last


@BOTH
@pytest.mark.parametrize("by", ["callback", "look-up"])
@pytest.mark.parametrize("way", ELSEWHERE)
async def test_a_payer_who_comes(
    region: Region, wechat: WeChatPay, sql: asyncpg.Connection, way: dict[str, str], by: str
) -> None:
    shown = await pay(region, **way)
    assert shown["status"] == "requires_action"
    await region.resolve(shown["latest_charge"])
    assert (await pay(region, **way))["status"] == "requires_action", "nobody has paid yet"
    come(wechat, shown)
    wechat.pay(shown["latest_charge"])
    if by == "callback":
        assert await tell(region, wechat.due[-1]) == "taken"
        assert await tell(region, wechat.due[-1]) == "seen before"
    assert (await ended(region, shown["id"]))["state"] == "succeeded"
    await equal(sql, wechat, 1000)


@pytest.mark.parametrize("way", ELSEWHERE)
async def test_a_payer_who_does_not_come_in_time(
    region: Region, wechat: WeChatPay, sql: asyncpg.Connection, later: Later, way: dict[str, str]
) -> None:
    shown = await pay(region, **way)
    later.ahead_ms = QUARTER_MS
    assert (await ended(region, shown["id"]))["state"] == "requires_payment_method"
    with pytest.raises(Refused, match="closed"):
        wechat.pay(shown["latest_charge"])
    await equal(sql, wechat, 0)


@pytest.mark.parametrize("fault", ["", *FAULTS])
async def test_what_is_canceled_cannot_be_paid_any_more(
    region: Region, wechat: WeChatPay, sql: asyncpg.Connection, later: Later, fault: str
) -> None:
    shown = await pay(region, **SHOWN)
    wechat.faults["close"] = [fault] if fault else []
    gone = body(await region.act("cancel", "x", shown["id"], CancelPayment()))
    assert gone["status"] == ("processing" if fault else "canceled")
    if fault in ("lost_before", "error_before"):  # it goes on, until the payer's time is over
        later.ahead_ms = QUARTER_MS
    assert (await ended(region, shown["id"]))["state"] in ("canceled", "requires_payment_method")
    with pytest.raises(Refused, match="closed"):
        wechat.pay(shown["latest_charge"])
    await equal(sql, wechat, 0)


async def test_what_was_paid_before_it_is_canceled_is_paid(
    region: Region, wechat: WeChatPay, sql: asyncpg.Connection
) -> None:
    shown = await pay(region, **SHOWN)
    wechat.pay(shown["latest_charge"])
    await region.act("cancel", "x", shown["id"], CancelPayment())
    await ended(region, shown["id"])
    for told in wechat.due:
        await tell(region, told)
    assert (await ended(region, shown["id"]))["state"] == "succeeded"
    await equal(sql, wechat, 1000)


@pytest.mark.parametrize("fault", FAULTS)
async def test_an_order_whose_answer_was_lost_is_paid_by_nobody(
    region: Region, wechat: WeChatPay, sql: asyncpg.Connection, later: Later, fault: str
) -> None:
    wechat.faults["native"] = [fault]
    shown = await pay(region, **SHOWN)
    assert (shown["status"], shown["next_action"]) == ("processing", None)
    later.ahead_ms = QUARTER_MS
    assert (await ended(region, shown["id"]))["state"] == "requires_payment_method"
    await equal(sql, wechat, 0)


# --- refunds


@BOTH
@pytest.mark.parametrize("by", ["callback", "look-up"])
@pytest.mark.parametrize("fault", ["", *FAULTS])
async def test_refunds_in_parts(
    region: Region, wechat: WeChatPay, sql: asyncpg.Connection, fault: str, by: str
) -> None:
    paid = await pay(region, **AT_A_TILL)
    first = body(await region.refund("r", CreateRefund(payment_intent=paid["id"], amount=300)))
    wechat.faults["refund"] = [fault] if fault else []
    second = body(await region.refund("s", CreateRefund(payment_intent=paid["id"], amount=200)))
    assert (first["status"], second["status"]) == ("pending", "pending")
    lost = fault in ("lost_before", "error_before")
    trade = wechat.books.trades[paid["latest_charge"]]
    for reference in list(trade.refunds):
        wechat.refunded(reference)
    if by == "callback":
        for told in wechat.due:
            await tell(region, told)
    assert await refund_ended(region, first["id"]) == "succeeded"
    assert await refund_ended(region, second["id"]) == ("failed" if lost else "succeeded")
    await equal(sql, wechat, 700 if lost else 500)


async def test_a_refund_asked_for_twice_is_given_once(
    region: Region, wechat: WeChatPay, sql: asyncpg.Connection
) -> None:
    paid = await pay(region, **AT_A_TILL)
    wish = CreateRefund(payment_intent=paid["id"])
    first, again = body(await region.refund("r", wish)), body(await region.refund("r", wish))
    assert first == again
    (reference,) = wechat.books.trades[paid["latest_charge"]].refunds
    wechat.refunded(reference)
    assert await refund_ended(region, first["id"]) == "succeeded"
    await equal(sql, wechat, 0)


@pytest.mark.parametrize("by", ["callback", "look-up"])
async def test_a_refund_that_comes_to_nothing(
    region: Region, wechat: WeChatPay, sql: asyncpg.Connection, by: str
) -> None:
    paid = await pay(region, **AT_A_TILL)
    first = body(await region.refund("r", CreateRefund(payment_intent=paid["id"])))
    (reference,) = wechat.books.trades[paid["latest_charge"]].refunds
    wechat.refunded(reference, "ABNORMAL")
    await tell(region, wechat.due[-1])
    refund = await region.store.refund(first["id"])
    assert refund is not None and refund.state == "pending"
    wechat.refunded(reference, "CLOSED")
    if by == "callback":
        assert await tell(region, wechat.due[-1]) == "taken"
    assert await refund_ended(region, first["id"]) == "failed"
    await equal(sql, wechat, 1000)


async def test_a_refund_that_wechat_pay_refuses(
    region: Region, wechat: WeChatPay, sql: asyncpg.Connection
) -> None:
    paid = await pay(region, **AT_A_TILL)
    trade = wechat.books.trades[paid["latest_charge"]]
    wechat.books.give_back(trade, "by hand", 900)
    answer = await region.refund("r", CreateRefund(payment_intent=paid["id"], amount=500))
    assert (answer.status, body(answer)["error"]["code"]) == (400, "refund_failed")
    assert wechat.books.taken() == 100
    assert -await balance(sql, "merchant:%") == 1000


# --- callbacks


@BOTH
async def test_forged_callbacks_change_nothing(
    region: Region, wechat: WeChatPay, sql: asyncpg.Connection
) -> None:
    shown = await pay(region, **SHOWN)
    said = {
        "mchid": wechat.mchid, "appid": wechat.appid, "out_trade_no": shown["latest_charge"],
        "transaction_id": "4200000001", "trade_state": "SUCCESS",
        "amount": {"total": 1000, "currency": "CNY"},
    }  # fmt: skip
    event = ("TRANSACTION.SUCCESS", "transaction")
    good = wechat.signed(*event, said)
    for forged in (
        wechat.signed(*event, said, Keys.made()),
        wechat.signed(*event, {**said, "mchid": "1230000110"}),
        Told(good.headers, good.body.replace(b"TRANSACTION", b"TRANSACTIOM")),
        Told({}, good.body),
    ):
        with pytest.raises(ApiError) as refused:
            await tell(region, forged)
        assert refused.value.code == "callback_refused"
    with pytest.raises(ApiError) as refused:  # it was genuine once: WeChat Pay is asked
        await tell(region, wechat.signed(*event, said, off_s=-3_600))
    assert refused.value.status == 503
    assert (await pay(region, **SHOWN))["status"] == "requires_action"
    await equal(sql, wechat, 0)
