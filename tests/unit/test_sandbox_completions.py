"""Charges of the sandbox that the merchant completes, by its books alone and a clock to turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import json

from bailiwick_sandbox.bank.answers import charge_view
from bailiwick_sandbox.bank.completions import complete
from bailiwick_sandbox.bank.records import Charge, Refusal, ReversalRequest, VoidRequest
from bailiwick_sandbox.bank.reversals import reverse
from bailiwick_sandbox.families import requests
from bailiwick_sandbox.families.wire import CompletionRequest
from bailiwick_sandbox.web.pages import shop
from bailiwick_sandbox.web.views import export, operation_view
from tests.unit.test_sandbox_books import Bank

DAY_MS = 86_400_000


def refusal(work: Callable[[], object]) -> Refusal:
    with pytest.raises(Refusal) as refused:
        work()
    return refused.value


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    made = Bank(tmp_path)
    yield made
    made.journal.close()


def ask(bank: Bank, completes: str, reference: str = "r1", **more: Any) -> Charge:
    body = {"reference": reference, "amount": 1000, "currency": "EUR", "capture": True}
    more = {"flow": "redirect", "method": "paypal", "completes": completes, **more}
    request = requests.read(json.encode({**body, **more}))
    return bank.books.charge(bank.ledger, request, "http://127.0.0.1/pay/".__add__)[0]


def approve(bank: Bank, row: Charge) -> tuple[Charge, bool]:
    return bank.books.answer_action(bank.ledger, row.id, True)


def completed(bank: Bank, row: Charge, result: str = "", reference: str = "r1s2") -> Charge:
    wish = CompletionRequest(reference, result)
    return complete(bank.books, bank.ledger, row.id, wish)[0]


def test_nothing_is_taken_before_it_is_completed(bank: Bank) -> None:
    row = ask(bank, "approved")
    assert refusal(lambda: completed(bank, row)).code == "not_approved"
    row, changed = approve(bank, row)
    assert (row.status, row.amount_captured, changed) == ("approved", 0, True)
    view = operation_view(bank.books, bank.ledger, "r1")
    assert view.status == "pending" and view.charge is not None
    assert (view.charge.status, view.charge.redirect_url) == ("approved", None)
    done = completed(bank, row)
    assert (done.status, done.amount_captured, done.next_status) == ("captured", 1000, "")
    assert completed(bank, row) == done, "the same once more"
    assert refusal(lambda: completed(bank, row, reference="r1s3")).code == "already_captured"
    assert operation_view(bank.books, bank.ledger, "r1s2").status == "succeeded"
    [told] = export(bank.books, None)["completions"]
    assert (told["reference"], told["charge"]) == ("r1s2", row.id)


def test_a_hold_is_completed_to_a_hold(bank: Bank) -> None:
    row, _ = approve(bank, ask(bank, "approved", capture=False))
    done = completed(bank, row)
    assert (done.status, done.amount_authorized, done.amount_captured) == ("authorized", 1000, 0)


def test_what_the_payer_brings_back(bank: Bank) -> None:
    row = ask(bank, "returned", return_url="https://shop.example/back?a=1")
    assert refusal(lambda: completed(bank, row, "guess")).code == "result_invalid"
    row, changed = approve(bank, row)
    assert (row.status, row.amount_captured, changed) == ("action_required", 0, False)
    again, _ = approve(bank, row)
    assert again.family == row.family, "the same result"
    assert row.family is not None
    sent = dict(shop(row, str(row.return_url)).headers)[b"location"].decode()
    assert sent.endswith(f"?a=1&reference=r1&result={row.family.result}")
    assert "result" not in json.encode(charge_view(row)).decode(), "nothing else tells it"
    assert refusal(lambda: completed(bank, row, "guess")).code == "result_invalid"
    assert refusal(lambda: completed(bank, row, "")).code == "result_invalid"
    done = completed(bank, row, row.family.result)
    assert done.status == "captured"
    wrong = CompletionRequest("r1s2", "other")
    assert refusal(lambda: complete(bank.books, bank.ledger, row.id, wrong)).status == 409


@pytest.mark.parametrize("completes", ["approved", "returned"])
def test_what_is_left_undone_ends_by_itself(bank: Bank, completes: str) -> None:
    row, _ = approve(bank, ask(bank, completes))
    bank.now = row.next_at
    ended, changed = bank.books.advance_charge(bank.ledger, row.id)
    assert changed and ended.status == "declined"
    assert ended.decline is not None and ended.decline.code == "expired"
    result = "" if row.family is None else row.family.result
    assert refusal(lambda: completed(bank, row, result)).code == "not_completable"


@pytest.mark.parametrize("completes", ["approved", "returned"])
def test_steered_payers_approve_and_no_more(bank: Bank, completes: str) -> None:
    row = ask(bank, completes, description="[sandbox: acts]")
    bank.now = row.next_at
    row, _ = bank.books.advance_charge(bank.ledger, row.id)
    assert row.status == ("approved" if completes == "approved" else "action_required")
    assert row.amount_captured == 0


def test_what_is_approved_can_be_given_up(bank: Bank) -> None:
    row, _ = approve(bank, ask(bank, "approved"))
    assert bank.books.void(bank.ledger, row.id, VoidRequest("v1"))[0].status == "voided"
    assert refusal(lambda: completed(bank, row)).code == "already_voided"
    row, _ = approve(bank, ask(bank, "approved", "r2"))
    reverse(bank.books, bank.ledger, ReversalRequest("v2", "r2"))
    assert refusal(lambda: completed(bank, row)).code == "already_voided"


def test_others_are_not_completed(bank: Bank) -> None:
    row = ask(bank, "")
    assert refusal(lambda: completed(bank, row)).code == "not_completable"
    paid, _ = approve(bank, row)
    assert paid.status == "captured"
    with pytest.raises(Refusal, match="redirect"):
        ask(bank, "approved", "r2", flow="push")
    with pytest.raises(Refusal):
        ask(bank, "whatever", "r3")
    row = ask(bank, "approved", "r4")
    with pytest.raises(Refusal) as refused:
        ask(bank, "", "r4")
    assert refused.value.status == 409, "another request under its reference"
    assert ask(bank, "approved", "r4") == row


def test_completions_outlive_the_process(bank: Bank, tmp_path: Path) -> None:
    row, _ = approve(bank, ask(bank, "approved"))
    completed(bank, row)
    bank.journal.close()
    again = Bank(tmp_path)
    assert again.ledger.charges[row.id].status == "captured"
    assert completed(again, row).status == "captured"
    assert len(again.ledger.completions) == 1
    again.journal.close()
