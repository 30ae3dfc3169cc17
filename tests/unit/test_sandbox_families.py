"""How the payers of the sandbox meet their provider, by its books alone and a clock to turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from msgspec import UNSET, json

from bailiwick_sandbox.bank.answers import charge_view
from bailiwick_sandbox.bank.records import Charge, Refusal, VoidRequest
from bailiwick_sandbox.families import requests
from bailiwick_sandbox.families.expiry import MOST_MS, USUAL_MS
from bailiwick_sandbox.families.wire import Action, Flow
from bailiwick_sandbox.web.views import export, operation_view
from tests.unit.test_sandbox_books import Bank, refusal

DAY_MS = 86_400_000
PAGE = "http://127.0.0.1/pay/"
WAITING: tuple[Flow, ...] = tuple(each for each in get_args(Flow) if each != "token")
ASKED = ("redirect", "shown_code", "in_app", "push", "voucher", "transfer")


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    made = Bank(tmp_path)
    yield made
    made.journal.close()


def ask(bank: Bank, reference: str, flow: str, **more: Any) -> Charge:
    """A charge as it is sent."""
    body = {"reference": reference, "amount": 1000, "currency": "EUR", "capture": True}
    request = requests.read(json.encode({**body, "flow": flow, **more}))
    return bank.books.charge(bank.ledger, request, PAGE.__add__)[0]


def advance(bank: Bank, row: Charge, to: int) -> Charge:
    bank.now = to
    return bank.books.advance_charge(bank.ledger, row.id)[0]


def action(row: Charge) -> Action:
    shown = charge_view(row).action
    assert isinstance(shown, Action)
    return shown


@pytest.mark.parametrize("flow", ASKED)
def test_the_payer_is_asked_and_pays(bank: Bank, flow: str) -> None:
    row = ask(bank, "r1", flow, method="wallet", return_url="https://shop.example/")
    assert (row.status, row.source) == ("action_required", "")
    url = PAGE + row.id
    assert charge_view(row).redirect_url == (url if flow == "redirect" else None)
    assert action(row).type == flow
    assert b"null" not in json.encode(action(row)), "what an action has not is left out"
    paid, changed = bank.books.answer_action(bank.ledger, row.id, True)
    assert (paid.status, paid.amount_captured, changed) == ("captured", 1000, True)
    assert charge_view(paid).action is UNSET
    assert bank.books.answer_action(bank.ledger, row.id, False) == (paid, False)
    assert advance(bank, row, bank.now + MOST_MS) == paid


@pytest.mark.parametrize("flow", ASKED)
def test_the_payer_declines(bank: Bank, flow: str) -> None:
    row = ask(bank, "r1", flow, method="wallet", capture=False)
    row, _ = bank.books.answer_action(bank.ledger, row.id, False)
    assert row.status == "declined"
    assert row.decline is not None
    assert row.decline.code == "payment_method_customer_decline"
    held = ask(bank, "r2", flow, capture=False)
    held, _ = bank.books.answer_action(bank.ledger, held.id, True)
    assert (held.status, held.amount_captured) == ("authorized", 0)


def test_what_each_action_says(bank: Bank) -> None:
    until = bank.now + DAY_MS
    shown = {}
    for flow in ASKED:
        row = ask(bank, flow, flow, expires_at=until, payer={"wallet_id": "o1"})
        shown[flow] = (action(row), PAGE + row.id, row.id)
    assert shown["redirect"][0] == Action("redirect", url=shown["redirect"][1])
    code, url, _ = shown["shown_code"]
    assert code == Action("shown_code", text=url, expires_at=until)
    app, url, charge_id = shown["in_app"]
    stamp = str(bank.now // 1000)
    wanted = {"charge": charge_id, "timestamp": stamp, "url": url, "wallet_id": "o1"}
    assert app == Action("in_app", parameters=wanted)
    assert shown["push"][0] == Action("push", expires_at=until)
    voucher, url, _ = shown["voucher"]
    assert (voucher.url, voucher.expires_at) == (url, until)
    assert voucher.number is not None and len(voucher.number) == 20 and voucher.number.isdigit()


def test_accounts_to_pay_into(bank: Bank) -> None:
    accounts = {}
    for currency in ("EUR", "mxn", "USD"):
        told = action(ask(bank, currency, "transfer", currency=currency))
        assert told.account is not None
        assert told.account.pop("bank") == "Rhein Bank"
        assert told.account.pop("holder")
        assert told.reference is not None
        ((kind, number),) = told.account.items()
        accounts[kind] = number
    assert accounts.keys() == {"iban", "clabe", "number"}
    iban, clabe = accounts["iban"], accounts["clabe"]
    moved = iban[4:] + iban[:4]
    assert int("".join(str(int(each, 36)) for each in moved)) % 97 == 1  # ISO 13616
    weighed = [int(n) * w % 10 for n, w in zip(clabe[:17], (3, 7, 1) * 6, strict=False)]
    assert len(clabe) == 18 and (sum(weighed) + int(clabe[17])) % 10 == 0
    other = action(ask(bank, "again", "transfer"))
    assert other.account is not None and other.account["iban"] != iban


@pytest.mark.parametrize("flow", ASKED)
def test_a_payer_s_time_is_over(bank: Bank, flow: Flow) -> None:
    usual = ask(bank, "r1", flow)
    asked = ask(bank, "r2", flow, expires_at=bank.now + 10_000)
    began = bank.now
    assert advance(bank, asked, began + 9_999).status == "action_required"
    row = advance(bank, asked, began + 10_000)
    assert (row.status, row.next_status) == ("declined", "")
    assert row.decline is not None and row.decline.code == "expired"
    assert bank.books.answer_action(bank.ledger, row.id, True) == (row, False)
    assert operation_view(bank.books, bank.ledger, "r2").status == "failed"
    assert advance(bank, usual, began + USUAL_MS[flow] - 1).status == "action_required"
    assert advance(bank, usual, began + USUAL_MS[flow]).status == "declined"


def test_who_pays_when_the_time_is_over_pays_nothing(bank: Bank) -> None:
    row = ask(bank, "r1", "shown_code", expires_at=bank.now + 10)
    bank.now += 10
    row, changed = bank.books.answer_action(bank.ledger, row.id, True)
    assert (row.status, changed, row.amount_captured) == ("declined", True, 0)
    assert row.decline is not None and row.decline.code == "expired"


def test_a_card_s_payer_has_a_time_too(bank: Bank) -> None:
    source = "pm_card_threeDSecure2Required"
    plain = bank.charge("r1", source=source)
    assert (charge_view(plain).action, plain.next_status) == (UNSET, "")
    row = bank.charge("r2", source=source, method="card", expires_at=bank.now + 10)
    assert action(row) == Action("redirect", url=row.redirect_url)
    row = advance(bank, row, bank.now + 10)
    assert row.decline is not None and row.decline.code == "expired"
    other = bank.charge("r3", source=source, method="card")
    other, _ = bank.books.answer_action(bank.ledger, other.id, False)
    assert other.decline is not None and other.decline.code == "card_declined"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"flow": "pigeon"}, "flow"),
        ({"flow": "presented_code"}, "code"),
        ({"flow": "redirect", "code": "123456"}, "code"),
        ({"source": "pm_card_visa", "code": "123456"}, "code"),
        ({"flow": "token"}, "source"),
        ({}, "source"),
        ({"flow": "redirect", "method": "Pix!"}, "method"),
        ({"flow": "redirect", "payer": {"shoe_size": "43"}}, "payer"),
        ({"flow": "redirect", "payer": {"address": {"planet": "x"}}}, "payer.address"),
        ({"flow": "redirect", "payer": {"name": ""}}, "payer.name"),
        ({"flow": "redirect", "expires_at": "soon"}, "expires_at"),
        ({"flow": "redirect", "expires_at": 1_800_000_000_000}, "expires_at"),
        ({"flow": "redirect", "expires_at": 1_800_000_000_001 + MOST_MS}, "expires_at"),
        ({"flow": "redirect", "off_session": True}, "off_session"),
        ({"flow": "redirect", "agreement": "x"}, "agreement"),
        ({"flow": "redirect", "source": "pm_nothing"}, "source"),
        ({"flow": "redirect", "description": "[sandbox: dances]"}, "description"),
        ({"flow": "redirect", "color": "red"}, "color"),
    ],
)
def test_unfit_charges_name_the_field(bank: Bank, change: dict[str, Any], param: str) -> None:
    body = {"reference": "r1", "amount": 1, "currency": "EUR", "capture": True, **change}
    with pytest.raises(Refusal) as refused:
        request = requests.read(json.encode(body))
        bank.books.charge(bank.ledger, request, PAGE.__add__)
    assert (refused.value.status, refused.value.param) == (400, param)
    assert not bank.ledger.charges
    assert ask(bank, "r2", "redirect", expires_at=bank.now + MOST_MS).id.endswith("000000001")


def test_an_unknown_field_of_the_payer_is_named(bank: Bank) -> None:
    with pytest.raises(Refusal, match="`shoe_size`"):
        ask(bank, "r1", "redirect", payer={"shoe_size": "43"})


def test_a_reference_is_one_request(bank: Bank) -> None:
    sent: dict[str, Any] = {
        "method": "pix",
        "payer": {"name": "Ana"},
        "expires_at": bank.now + 1000,
    }
    row = ask(bank, "r1", "shown_code", **sent)
    assert ask(bank, "r1", "shown_code", **sent) == row
    bank.now += 5000  # what was asked for in time stays so
    assert ask(bank, "r1", "shown_code", **sent) == row
    for other in (
        {"method": "paynow"},
        {"payer": {"name": "Eva"}},
        {"payer": None},
        {"expires_at": sent["expires_at"] + 1},
        {"flow": "redirect"},
        {"source": "pm_sandbox_acts"},
    ):
        with refusal("reference_mismatch"):
            ask(bank, "r1", **{"flow": "shown_code", **sent, **other})
    with refusal("reference_mismatch"):
        bank.charge("r1")


def test_a_restart_forgets_nothing(bank: Bank) -> None:
    payer = {"name": "Ana", "address": {"city": "Recife", "country": "BR"}}
    for flow in ASKED:
        ask(bank, flow, flow, payer=payer, method="x", expires_at=bank.now + 60_000)
    ask(bank, "void", "push")
    bank.books.void(bank.ledger, bank.ledger.references["void"][1], VoidRequest("v"))
    before, rows = export(bank.books, None), dict(bank.ledger.charges)
    bank.reopen()
    assert (export(bank.books, None), bank.ledger.charges) == (before, rows)
    assert len(list(bank.books.unfinished())) == len(ASKED)
    bank.now += 60_000
    for _, row in list(bank.books.unfinished()):
        assert bank.books.advance_charge(bank.ledger, row.id)[0].status == "declined"
    assert not list(bank.books.unfinished())


def test_the_books_tell_how_it_was_paid(bank: Bank) -> None:
    bank.charge("plain")
    ask(bank, "r1", "push", method="upi", payer={"virtual_address": "ana@bank"})
    plain, row = json.decode(json.encode(export(bank.books, None)["charges"]))
    assert "family" not in plain
    assert row["family"]["payer"] == {"virtual_address": "ana@bank"}
    assert (row["family"]["method"], row["family"]["flow"]) == ("upi", "push")


ALIPAY, WECHAT, UNIONPAY = "28" + "0" * 15, "13" + "0" * 15, "62" + "0" * 16


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("alipay", "25" + "0" * 14),
        ("alipay", "30" + "0" * 22),
        ("wechat_pay", "10" + "0" * 16),
        ("wechat_pay", "15" + "0" * 16),
        ("unionpay", "62" + "0" * 17),
        ("wallet", "62" + "0" * 17),
    ],
)
def test_a_presented_code_pays_at_once_or_after_the_pin(bank: Bank, method: str, code: str) -> None:
    even, odd = code[:-1] + "4", code[:-1] + "5"
    row = ask(bank, "r1", "presented_code", method=method, code=even)
    assert (row.status, row.amount_captured, row.next_status) == ("captured", 1000, "")
    assert charge_view(row).action is UNSET
    waits = ask(bank, "r2", "presented_code", method=method, code=odd)
    until = bank.now + USUAL_MS["presented_code"]
    assert action(waits) == Action("wait", expires_at=until)
    paid, _ = bank.books.answer_action(bank.ledger, waits.id, True)
    assert paid.status == "captured"


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("alipay", "24" + "0" * 15),
        ("alipay", "31" + "0" * 15),
        ("alipay", "25" + "0" * 13),
        ("alipay", "25" + "0" * 23),
        ("alipay", WECHAT + "0"),
        ("wechat_pay", "16" + "0" * 16),
        ("wechat_pay", WECHAT),
        ("wechat_pay", ALIPAY),
        ("unionpay", "63" + "0" * 17),
        ("unionpay", UNIONPAY),
        ("wallet", "123456"),
        ("wallet", "https://example.com/pay"),
        ("wallet", "28" + "٠" * 15),
    ],
)
def test_a_wrong_code_is_declined_and_not_used_up(bank: Bank, method: str, code: str) -> None:
    for reference in ("r1", "r2"):
        row = ask(bank, reference, "presented_code", method=method, code=code)
        assert (row.status, row.next_status) == ("declined", "")
        assert row.decline is not None and row.decline.code == "code_invalid"
    assert not bank.ledger.codes


@pytest.mark.parametrize("last", ["2", "3"])
def test_a_code_is_used_once(bank: Bank, last: str) -> None:
    code = ALIPAY + last
    first = ask(bank, "r1", "presented_code", code=code)
    assert ask(bank, "r1", "presented_code", code=code) == first
    with refusal("reference_mismatch"):
        ask(bank, "r1", "presented_code", code=ALIPAY + "8")
    for _ in range(2):
        again = ask(bank, f"again-{bank.now}", "presented_code", code=code)
        assert again.decline is not None and again.decline.code == "code_used"
        bank.now += 1
        bank.reopen()
    assert bank.ledger.codes == {code: first.id}


def test_a_declined_or_expired_code_is_used_up(bank: Bank) -> None:
    declined = ask(bank, "r1", "presented_code", code=ALIPAY + "1")
    bank.books.answer_action(bank.ledger, declined.id, False)
    over = ask(bank, "r2", "presented_code", code=ALIPAY + "3")
    row = advance(bank, over, bank.now + USUAL_MS["presented_code"])
    assert row.decline is not None and row.decline.code == "expired"
    for code in (ALIPAY + "1", ALIPAY + "3"):
        again = ask(bank, f"again-{code}", "presented_code", code=code)
        assert again.decline is not None and again.decline.code == "code_used"


def test_a_payer_s_code_for_a_push(bank: Bank) -> None:
    for reference in ("r1", "r2"):  # another payer may have the same
        row = ask(bank, reference, "push", method="blik", code="777123")
        assert action(row).type == "push"
    for wrong in ("77712", "7771234", "77712a"):
        row = ask(bank, wrong, "push", method="blik", code=wrong)
        assert row.decline is not None and row.decline.code == "code_invalid"


@pytest.mark.parametrize(
    ("source", "status", "code"),
    [
        ("pm_card_visa", "captured", None),
        ("pm_sandbox_charge_then_500", "captured", None),
        ("pm_sandbox_acts", "action_required", None),
        ("pm_sandbox_pending", "action_required", None),
        ("pm_card_chargeDeclinedInsufficientFunds", "declined", "card_declined"),
    ],
)
def test_a_steered_payer_decides_and_not_the_digit(
    bank: Bank, source: str, status: str, code: str | None
) -> None:
    row = ask(bank, "r1", "presented_code", code=ALIPAY + "2", source=source)
    assert row.status == status
    assert (row.decline and row.decline.code) == code
    assert bank.ledger.codes == {ALIPAY + "2": row.id}
