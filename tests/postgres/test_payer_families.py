"""Payments whose payers meet the provider other than by a token: what is asked, what the payer is
told, how it ends, and how it is given up."""

import contextlib
from typing import Any

import asyncpg
import msgspec
import pytest

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import (
    Act,
    Action,
    Exchange,
    Family,
    Instruction,
    Operation,
    Outcome,
    Permit,
    Result,
    Takes,
)
from bailiwick.idempotency.requests import Answer, Refused
from bailiwick.orders import attempt_store
from bailiwick.resources.payments.methods import giving_up
from bailiwick.resources.payments.params import CancelPayment, ConfirmPayment, UpdatePayment
from tests.postgres.node_kit import PROFILE, SURE_MS, Bank, Lost, Region, body, reviews
from tests.postgres.rows_kit import sound
from tests.store_kit import NodeStore

CHARGE, VOID = Operation.CHARGE, Operation.VOID
DATA = "payment_method_data"
BILLING = {"name": "Ann", "email": "ann@example.com", "phone": "+254700000000"}

# type, what the request brings, how the gateway takes it, what it says the payer has to do, and
# what the client sees of that
WAYS: dict[str, tuple[dict[str, Any], Takes, Action, str, dict[str, Any]]] = {
    "paypal": (
        {}, Takes(Family.REDIRECT, returns=True), Action(Act.REDIRECT, url="https://bank/go"),
        "redirect_to_url", {"url": "https://bank/go", "return_url": "https://shop/back"},
    ),
    "pix": (
        {}, Takes(Family.SHOWN_CODE), Action(Act.SHOWN_CODE, text="000201", expires_ms=9_000),
        "pix_display_qr_code", {"data": "000201", "expires_at": 9},
    ),
    "qris": (
        {}, Takes(Family.SHOWN_CODE), Action(Act.SHOWN_CODE, text="000202"),
        "display_qr_code", {"data": "000202", "expires_at": None},
    ),
    "unionpay": (
        {"code": "6212345678901234567"}, Takes(Family.PRESENTED_CODE, needs=("code",)),
        Action(Act.WAIT), "wait_for_payer", {"expires_at": None},
    ),
    "wechat_pay": (
        {"wallet_id": "openid-1"}, Takes(Family.IN_APP, needs=("wallet_id",)),
        Action(Act.IN_APP, parameters={"package": "prepay_id=1"}),
        "open_in_app", {"parameters": {"package": "prepay_id=1"}, "expires_at": None},
    ),
    "mpesa": (
        {"billing_details": BILLING}, Takes(Family.PUSH, needs=("phone",)), Action(Act.PUSH),
        "wait_for_payer", {"expires_at": None},
    ),
    "boleto": (
        {"billing_details": BILLING, "boleto": {"tax_id": "00000000000"}},
        Takes(Family.VOUCHER, needs=("name", "email", "tax_id")),
        Action(Act.VOUCHER, number="34191", url="https://bank/slip"),
        "boleto_display_details", {"number": "34191", "hosted_voucher_url": "https://bank/slip"},
    ),
    "bank_transfer": (
        {}, Takes(Family.TRANSFER, tells=("name",)),
        Action(Act.TRANSFER, account={"iban": "DE00"}, reference="R1"),
        "display_bank_transfer_instructions", {"account": {"iban": "DE00"}, "reference": "R1"},
    ),
}  # fmt: skip


class Wallet(Bank):
    """A bank that has payers act, and lets charges be given up by our reference alone."""

    def __init__(self, name: str = "bank", **profile: Any) -> None:
        given = {"reversal": True, **profile}
        super().__init__(name, msgspec.structs.replace(PROFILE, **given))
        self.closed: set[str] = set()
        self.action = Action(Act.WAIT)

    def carry_out(self, instruction: Instruction, word: str) -> Result:
        if instruction.operation is CHARGE and instruction.reference in self.closed:
            return Result(Outcome.DECLINED, code="reversed")
        charged = instruction.charge_reference
        if instruction.operation is VOID and charged is not None:
            known = self.done.get(charged)
            if known is not None and known[1].outcome is Outcome.APPROVED:
                word = "decline"
            else:
                self.closed.add(charged)
                self.done.pop(charged, None)
        result = super().carry_out(instruction, word)
        if word == "act":
            result = msgspec.structs.replace(result, action=self.action)
            self.done[instruction.reference] = (instruction, result)
        return result


@pytest.fixture
def bank() -> Wallet:
    return Wallet()


def takes(bank: Bank, method: str, *ways: Takes) -> None:
    bank.methods, bank.takes = frozenset({method}), ways


async def pay(region: Region, method: str, key: str = "k", **data: Any) -> Answer:
    return await region.pay(
        key, payment_method=None, payment_method_types=[method], return_url="https://shop/back",
        payment_method_data={"type": method, **data},
    )  # fmt: skip


async def refused(work: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await work
    return caught.value


@pytest.mark.parametrize("method", WAYS)
async def test_the_payer_is_told_and_then_it_succeeds(
    region: Region, bank: Wallet, sql: asyncpg.Connection, method: str
) -> None:
    data, way, bank.action, shown_as, shown = WAYS[method]
    takes(bank, method, way)
    bank.script[CHARGE] = ["act"]
    made = body(await pay(region, method, **data))
    assert (made["status"], made["payment_method"]) == ("requires_action", None)
    action = made["next_action"]
    assert action["type"] == shown_as and shown.items() <= action[shown_as].items()
    [sent] = bank.calls
    assert (sent.family, sent.payment_method_type, sent.payment_method) == (
        way.family, method, None,
    )  # fmt: skip
    known = set() if sent.payer is None else set(sent.payer.known())
    asked_for = {each for each in (*way.needs, *way.tells) if each != "code"}
    assert known == asked_for & {*data.get("billing_details", {}), *data, *data.get("boleto", {})}
    assert sent.code == data.get("code")
    bank.decide(made["latest_charge"], "approve")
    await region.resolve(made["latest_charge"])
    done = await region.store.payment(made["id"])
    assert done is not None and done.state == "succeeded" and done.progress.action is None
    assert bank.taken() == 1000
    await sound(sql)


async def test_a_code_s_picture_holds_the_code(region: Region, bank: Wallet) -> None:
    takes(bank, "wechat_pay", Takes(Family.SHOWN_CODE))
    bank.action, bank.script[CHARGE] = Action(Act.SHOWN_CODE, text="weixin://x"), ["act"]
    shown = body(await pay(region, "wechat_pay"))["next_action"]["wechat_pay_display_qr_code"]
    assert shown["image_url_png"].startswith("data:image/png;base64,")
    assert shown["image_url_svg"].startswith("data:image/svg+xml")
    assert shown["image_data_url"] == shown["image_url_png"]


@pytest.mark.parametrize(
    ("way", "data", "param"),
    [
        (Takes(Family.PRESENTED_CODE, needs=("code",)), {"flow": "presented_code"},
         f"{DATA}[code]"),
        (Takes(Family.IN_APP, needs=("wallet_id",)), {"flow": "in_app"}, f"{DATA}[wallet_id]"),
        (Takes(Family.PUSH, needs=("phone",)), {}, f"{DATA}[billing_details][phone]"),
    ],
)  # fmt: skip
async def test_what_a_provider_has_to_know_is_asked_for_by_name(
    region: Region, bank: Wallet, way: Takes, data: dict[str, Any], param: str
) -> None:
    takes(bank, "alipay", way)
    error = await refused(pay(region, "alipay", **data))
    assert (error.status, error.param, error.code) == (400, param, "parameter_missing")
    assert not bank.calls


async def test_a_code_tells_the_type_that_is_not_said(region: Region, bank: Wallet) -> None:
    takes(bank, "alipay", Takes(Family.PRESENTED_CODE, needs=("code",)))
    given = {"payment_method": None, "payment_method_types": ["alipay", "wechat_pay"]}
    data = {"code": "281234567890123456"}
    paid = body(await region.pay("k", payment_method_data=data, **given))
    assert paid["status"] == "succeeded"
    assert (bank.calls[0].payment_method_type, bank.calls[0].code) == ("alipay", data["code"])
    for wrong, param in (
        ({"type": "wechat_pay", **data}, f"{DATA}[code]"),
        ({"code": "9912345678901234"}, f"{DATA}[type]"),
        ({"wallet_id": "w"}, f"{DATA}[type]"),
    ):
        error = await refused(region.pay(f"k{param}", payment_method_data=wrong, **given))
        assert (error.status, error.param) == (400, param)


async def test_a_way_that_no_gateway_has_is_refused(region: Region, bank: Wallet) -> None:
    takes(bank, "alipay", Takes(Family.SHOWN_CODE))
    with pytest.raises(Refused):
        await pay(region, "alipay", flow="in_app", wallet_id="w")
    assert not bank.calls


async def test_the_payer_must_be_able_to_come_back(region: Region, bank: Wallet) -> None:
    takes(bank, "ideal", Takes(Family.REDIRECT, returns=True))
    work = region.pay(
        "k", payment_method=None, payment_method_types=["ideal"],
        payment_method_data={"type": "ideal"},
    )  # fmt: skip
    error = await refused(work)
    assert (error.status, error.param) == (400, "return_url") and not bank.calls


async def test_who_may_not_be_sent_away_is_not(region: Region, bank: Wallet) -> None:
    takes(bank, "alipay", Takes(Family.REDIRECT), Takes(Family.SHOWN_CODE))
    never = {"enabled": True, "allow_redirects": "never"}
    bank.action, bank.script[CHARGE] = Action(Act.SHOWN_CODE, text="0002"), ["act"]
    made = await region.pay(
        "k", payment_method=None, automatic_payment_methods=never,
        payment_method_data={"type": "alipay"},
    )  # fmt: skip
    assert body(made)["next_action"]["type"] == "display_qr_code"
    assert bank.calls[0].family is Family.SHOWN_CODE


async def test_it_may_be_given_at_the_confirmation_or_by_an_update(
    region: Region, bank: Wallet
) -> None:
    takes(bank, "pix", Takes(Family.SHOWN_CODE))
    bank.action = Action(Act.SHOWN_CODE, text="0002")
    wish = {"payment_method": None, "payment_method_types": ["pix"], "confirm": False}
    first = body(await region.pay("a", **wish))
    assert first["status"] == "requires_payment_method"
    data: dict[str, Any] = {"payment_method_data": {"type": "pix"}}
    ready = body(await region.act("update", "u", first["id"], msgspec.convert(data, UpdatePayment)))
    assert ready["status"] == "requires_confirmation"
    bank.script[CHARGE] = ["act", "act"]
    assert body(await region.act("confirm", "c", first["id"], ConfirmPayment()))["next_action"]
    second = body(await region.pay("b", **wish))
    data["payment_method_options"] = {"pix": {"expires_after_seconds": 60}}
    before = now_ms()
    confirmed = msgspec.convert(data, ConfirmPayment)
    assert body(await region.act("confirm", "d", second["id"], confirmed))["next_action"]
    until = bank.calls[-1].expires_ms
    assert until is not None and before + 60_000 <= until <= now_ms() + 60_000


async def test_it_is_refused_where_the_payment_takes_something_else(
    region: Region, bank: Wallet
) -> None:
    made = body(await region.pay("a", payment_method=None, confirm=False))
    wish = msgspec.convert({"payment_method_data": {"type": "pix"}}, ConfirmPayment)
    error = await refused(region.act("confirm", "c", made["id"], wish))
    assert (error.status, error.param) == (400, f"{DATA}[type]")


async def test_after_a_decline_another_way_may_be_tried(
    region: Region, bank: Wallet, sql: asyncpg.Connection
) -> None:
    takes(bank, "alipay", Takes(Family.SHOWN_CODE), Takes(Family.PRESENTED_CODE, needs=("code",)))
    bank.script[CHARGE] = ["decline"]
    answer = await pay(region, "alipay", code="281234567890123456")
    assert answer.status == 402
    payment = body(answer)["error"]["payment_intent"]
    assert payment["status"] == "requires_payment_method"
    error = await refused(region.act("confirm", "c", payment["id"], ConfirmPayment()))
    assert error.param == "payment_method", "the code was good once"
    again = {"payment_method_data": {"type": "alipay", "code": "281234567890123457"}}
    wish = msgspec.convert(again, ConfirmPayment)
    assert body(await region.act("confirm", "d", payment["id"], wish))["status"] == "succeeded"
    assert bank.taken() == 1000
    await sound(sql)


async def test_the_next_gateway_is_told_no_more_than_it_asks_for(store: NodeStore) -> None:
    nosy, plain = Wallet("nosy"), Wallet("plain")
    nosy.takes, plain.priority = (Takes(needs=("email",)),), 2
    nosy.script[CHARGE] = ["retryable"]
    region = Region(store, nosy, plain)
    paid = body(await region.pay("k", receipt_email="ann@example.com"))
    assert paid["status"] == "succeeded"
    assert nosy.calls[0].payer is not None and nosy.calls[0].payer.email == "ann@example.com"
    assert plain.calls[0].payer is None


async def test_none_is_tried_next_from_which_the_payer_could_not_come_back(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    first, away = Wallet("first"), Wallet("away")
    away.takes, away.priority = (Takes(returns=True),), 2
    first.script[CHARGE] = ["retryable"]
    answer = await Region(store, first, away).pay("k")
    assert answer.status == 402 and not away.calls
    await sound(sql)


def expire(monkeypatch: pytest.MonkeyPatch) -> None:
    """The payers' times have run out."""
    monkeypatch.setattr(giving_up, "now_ms", lambda: now_ms() + 7_200_000)


def presented(bank: Wallet) -> None:
    takes(bank, "alipay", Takes(Family.PRESENTED_CODE, needs=("code",), lasts_ms=60_000))


NOT_SENDING_MS = SURE_MS - PROFILE.visibility_ms // 2
"""No call of ours can be on its way any more, and "not found" means nothing yet."""
CODE = {"code": "281234567890123456"}


@pytest.mark.parametrize("word", ["act", "pending", "lost", "never"])
async def test_a_charge_whose_payer_s_time_has_run_out_is_given_up(
    region: Region, bank: Wallet, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch,
    word: str,
) -> None:  # fmt: skip
    presented(bank)
    bank.script[CHARGE] = [word]
    made = body(await pay(region, "alipay", **CODE))
    charge = made["latest_charge"]
    if word == "lost":
        # The provider has it, and it is not approved yet.
        bank.decide(charge, "pending")
    bank.hidden = word in ("lost", "never")
    await region.resolve(charge, age_ms=NOT_SENDING_MS)
    assert bank.called(VOID) == 0, "the payer still has time"
    expire(monkeypatch)
    await region.resolve(charge, age_ms=NOT_SENDING_MS)
    payment = await region.store.payment(made["id"])
    assert payment is not None
    assert bank.called(VOID) == 1 and charge in bank.closed
    assert payment.progress.last_error is not None
    assert payment.progress.last_error["code"] == "payment_intent_payment_attempt_expired"
    assert payment.state == "requires_payment_method", payment.state
    assert bank.taken() == 0
    await sound(sql)


async def test_what_was_paid_in_the_last_moment_is_kept(
    region: Region, bank: Wallet, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    presented(bank)
    bank.script[CHARGE] = ["act"]
    made = body(await pay(region, "alipay", **CODE))
    charge = made["latest_charge"]
    expire(monkeypatch)
    real = Wallet.exchange

    async def pays_now(self: Wallet, request: Any, permit: Permit | None = None) -> Exchange:
        answer = await real(self, request, permit)
        if request.method == "GET" and request.url == charge and not bank.called(VOID):
            bank.decide(charge, "approve")
        return answer

    monkeypatch.setattr(Wallet, "exchange", pays_now)
    await region.resolve(charge)
    payment = await region.store.payment(made["id"])
    assert payment is not None and payment.state == "processing", "the void was refused"
    await region.resolve(charge)
    payment = await region.store.payment(made["id"])
    assert payment is not None and payment.state == "succeeded"
    assert payment.progress.giving_up is False and bank.taken() == 1000
    await sound(sql)


@pytest.mark.parametrize("word", ["lost", "never", "crash"])
async def test_a_void_that_was_not_answered_is_asked_about(
    region: Region, bank: Wallet, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch,
    word: str,
) -> None:  # fmt: skip
    presented(bank)
    bank.script[CHARGE], bank.script[VOID] = ["act"], [word]
    made = body(await pay(region, "alipay", **CODE))
    expire(monkeypatch)
    with contextlib.suppress(Lost):
        await region.resolve(made["latest_charge"])
    payment = await region.store.payment(made["id"])
    assert payment is not None and payment.state == "voiding" and payment.open_attempt
    error = await refused(region.act("confirm", "c", made["id"], ConfirmPayment()))
    assert error.code == "payment_intent_unexpected_state", "the first charge may still be paid"
    region.executor.inflight.clear()
    await region.resolve(payment.open_attempt, age_ms=SURE_MS)
    payment = await region.store.payment(made["id"])
    assert payment is not None
    if word == "never":  # the void never arrived: the charge is open as before, and is asked about
        assert payment.state == "processing" and not bank.closed
        await region.resolve(made["latest_charge"])
        payment = await region.store.payment(made["id"])
        assert payment is not None
    assert payment.state == "requires_payment_method" and bank.closed
    assert bank.taken() == 0
    await sound(sql)


async def test_a_success_after_all_is_put_before_a_person(
    region: Region, bank: Wallet, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    presented(bank)
    bank.script[CHARGE] = ["act"]
    made = body(await pay(region, "alipay", **CODE))
    charge = made["latest_charge"]
    expire(monkeypatch)
    await region.resolve(charge)
    late = Result(Outcome.APPROVED, f"b_{charge}", 1000, "EUR")
    await region.notify(bank, charge, late, "n1")
    assert await reviews(sql) == {"late_success"}


async def test_nothing_is_given_up_while_our_call_may_arrive(
    region: Region, bank: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    presented(bank)
    bank.script[CHARGE], bank.hidden = ["lost"], True
    made = body(await pay(region, "alipay", **CODE))
    expire(monkeypatch)
    await region.resolve(made["latest_charge"], age_ms=0)
    assert bank.called(VOID) == 0


async def test_without_a_reversal_the_provider_ends_it(
    store: NodeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = Wallet(reversal=False)
    region = Region(store, bank)
    presented(bank)
    bank.script[CHARGE], bank.hidden = ["lost"], True
    made = body(await pay(region, "alipay", **CODE))
    expire(monkeypatch)
    await region.resolve(made["latest_charge"], age_ms=NOT_SENDING_MS)
    assert bank.called(VOID) == 0


async def test_the_merchant_may_cancel_while_the_payer_is_asked(
    region: Region, bank: Wallet, sql: asyncpg.Connection
) -> None:
    takes(bank, "mpesa", Takes(Family.PUSH, needs=("phone",)))
    bank.action, bank.script[CHARGE] = Action(Act.PUSH), ["act"]
    made = body(await pay(region, "mpesa", billing_details=BILLING))
    gone = body(await region.act("cancel", "x", made["id"], CancelPayment()))
    assert gone["status"] == "canceled" and bank.taken() == 0
    await sound(sql)


async def test_the_code_is_kept_with_the_attempt_alone(
    region: Region, bank: Wallet, sql: asyncpg.Connection
) -> None:
    presented(bank)
    made = await pay(region, "alipay", **CODE)
    assert CODE["code"] not in bytes(made.body).decode()
    attempt = await attempt_store.find(region.store, body(made)["latest_charge"])
    assert attempt is not None and CODE["code"].encode() in bytes(attempt.instruction)
    payment = await region.store.payment(body(made)["id"])
    assert payment is not None and payment.state == "succeeded"
