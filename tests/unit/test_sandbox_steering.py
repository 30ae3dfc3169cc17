"""Payers whom a test steers: by the source of a charge, or by its description."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bailiwick_sandbox.bank.records import Charge, RefundRequest
from bailiwick_sandbox.bank.sources import STEERING
from tests.unit.test_sandbox_books import Bank, refusal
from tests.unit.test_sandbox_families import ALIPAY, advance, ask
from tests.unit.test_sandbox_process import Sandbox, Sink

SETTLE_MS = 500
FLOWS = ("redirect", "shown_code", "presented_code", "in_app", "push", "voucher", "transfer")
WAYS = ("source", "description")


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    made = Bank(tmp_path)
    yield made
    made.journal.close()


def steer(bank: Bank, flow: str, word: str, way: str = "source", **more: Any) -> Charge:
    told = {"source": f"pm_sandbox_{word}"}
    if way == "description":
        told = {"description": f"Two pairs of shoes [sandbox: {word}]"}
    if flow == "presented_code":
        told["code"] = ALIPAY + "2"
    row = ask(bank, f"{flow}-{word}", flow, **told, **more)
    assert row.status == "action_required"
    return row


def code_of(row: Charge) -> str | None:
    return row.decline.code if row.decline is not None else None


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("flow", FLOWS)
def test_a_payer_who_acts(bank: Bank, flow: str, way: str) -> None:
    row, began = steer(bank, flow, "acts", way), bank.now
    assert advance(bank, row, began + SETTLE_MS - 1).status == "action_required"
    assert advance(bank, row, began + SETTLE_MS).status == "captured"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("flow", FLOWS)
def test_a_payer_who_declines(bank: Bank, flow: str, way: str) -> None:
    row = advance(bank, steer(bank, flow, "declines", way), bank.now + SETTLE_MS)
    assert (row.status, row.next_status) == ("declined", "")
    assert code_of(row) == "payment_method_customer_decline"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("flow", FLOWS)
def test_a_payer_who_never_acts(bank: Bank, flow: str, way: str) -> None:
    row, began = steer(bank, flow, "silent", way), bank.now
    row = advance(bank, row, began + SETTLE_MS)
    assert (row.status, code_of(row), row.next_status) == ("declined", "expired", "")
    other = ask(
        bank, "asked", flow, source="pm_sandbox_silent", code=_code(flow), expires_at=began + 9_000
    )
    assert advance(bank, other, began + 8_999).status == "action_required"
    assert code_of(advance(bank, other, began + 9_000)) == "expired"


def _code(flow: str) -> str | None:
    return ALIPAY + "4" if flow == "presented_code" else None


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("flow", FLOWS)
def test_a_payer_who_pays_late(bank: Bank, flow: str, way: str) -> None:
    row, began = steer(bank, flow, "late", way), bank.now
    declined = advance(bank, row, began + SETTLE_MS)
    assert declined.status == "declined"
    assert advance(bank, row, began + 2 * SETTLE_MS - 1) == declined
    bank.reopen()
    paid = advance(bank, row, began + 2 * SETTLE_MS)
    assert (paid.status, paid.amount_captured, paid.decline) == ("captured", 1000, None)
    assert not list(bank.books.unfinished())


@pytest.mark.parametrize("word", ["acts", "declines", "late"])
def test_nobody_acts_when_the_time_is_over(bank: Bank, word: str) -> None:
    until = bank.now + SETTLE_MS - 1
    row = steer(bank, "push", word, expires_at=until)
    ended = advance(bank, row, until)
    assert (ended.status, code_of(ended)) == ("declined", "expired")
    assert ended.next_status == ("approved" if word == "late" else "")


def test_a_person_may_be_faster(bank: Bank) -> None:
    row = steer(bank, "push", "late")
    row, _ = bank.books.answer_action(bank.ledger, row.id, False)
    assert (row.status, row.next_status) == ("declined", "")
    row = steer(bank, "push", "declines")
    row, _ = bank.books.answer_action(bank.ledger, row.id, True)
    assert row.status == "captured"


def test_the_source_goes_before_the_description(bank: Bank) -> None:
    row = ask(bank, "r1", "push", source="pm_sandbox_acts", description="[sandbox: declines]")
    assert advance(bank, row, bank.now + SETTLE_MS).status == "captured"


def test_other_sources_keep_what_they_do(bank: Bank) -> None:
    declined = ask(bank, "r1", "redirect", source="pm_card_chargeDeclinedInsufficientFunds")
    assert (declined.status, code_of(declined)) == ("declined", "card_declined")
    twice = ask(bank, "r2", "redirect", description="[sandbox: decline_then_success]")
    assert twice.status == "declined"
    assert advance(bank, twice, bank.now + SETTLE_MS).status == "captured"
    pending = ask(bank, "r3", "redirect", source="pm_sandbox_pending_fail")
    assert code_of(advance(bank, pending, bank.now + SETTLE_MS)) == "card_declined"
    refused = ask(bank, "r4", "redirect", source="pm_card_threeDSecureRequiredChargeDeclined")
    refused, _ = bank.books.answer_action(bank.ledger, refused.id, True)
    assert code_of(refused) == "card_declined"
    paid = ask(bank, "r5", "redirect", source="pm_card_pendingRefund")
    bank.books.answer_action(bank.ledger, paid.id, True)
    refund, _ = bank.books.refund(bank.ledger, RefundRequest("f1", paid.id, 1))
    assert refund.status == "pending"
    plain = steer(bank, "push", "acts")
    advance(bank, plain, bank.now + SETTLE_MS)
    refund, _ = bank.books.refund(bank.ledger, RefundRequest("f2", plain.id, 1))
    assert refund.status == "succeeded"


def test_words_steer_no_token(bank: Bank) -> None:
    row = bank.charge("r1", description="[sandbox: declines]")
    assert row.status == "captured"
    for number, word in enumerate(STEERING):
        if word != "pm_sandbox_late":  # a fault of that name
            with refusal("source_unknown"):
                bank.charge(f"t{number}", source=word)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"))
    yield sandbox
    assert sandbox.stop() == 0


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_both_ends_of_a_late_payer_are_told(process: Sandbox, sink: Sink) -> None:
    charge = process.charge("late", "pm_sandbox_late", flow="shown_code", callback_url=sink.url)
    assert charge["status"] == "action_required"
    told = {event["data"]["status"] for event in sink.wait(2)}
    assert told == {"declined", "captured"}
    assert process.operation("late")[1]["charge"]["status"] == "captured"


def test_faults_of_sources_come_with_a_flow_too(process: Sandbox, sink: Sink) -> None:
    more = {"flow": "push", "callback_url": sink.url}
    with pytest.raises(AssertionError, match="internal_error"):
        process.charge("fault", "pm_sandbox_charge_then_500", **more)
    assert process.charge("fault", "pm_sandbox_charge_then_500", **more)["action"]["type"] == "push"
    process.charge("forged", "pm_sandbox_callback_forged_signature", **more)
    # Told by callbacks that may overtake each other: the faulty charge's, a forged one, a true one.
    told = [event["data"]["reference"] for event in sink.wait(3)]
    assert sorted(told) == ["fault", "forged", "forged"]
