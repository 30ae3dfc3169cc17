"""Charges that are given up by our reference of them, whether they came or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bailiwick_sandbox.bank.answers import reversal_view
from bailiwick_sandbox.bank.disputes import Disputes
from bailiwick_sandbox.bank.records import (
    CaptureRequest,
    Charge,
    RefundRequest,
    Refusal,
    Reversal,
    ReversalRequest,
    SetupRequest,
    VoidRequest,
)
from bailiwick_sandbox.bank.reversals import reverse
from bailiwick_sandbox.bank.setups import setup
from bailiwick_sandbox.web.views import export, operation_view
from tests.unit.test_sandbox_books import Bank, refusal
from tests.unit.test_sandbox_families import ALIPAY, ask
from tests.unit.test_sandbox_process import BANK, Json, Sandbox, Sink
from tests.waiting import wait_until


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    made = Bank(tmp_path)
    yield made
    made.journal.close()


def give_up(bank: Bank, reference: str, charge: str) -> tuple[Reversal, bool]:
    return reverse(bank.books, bank.ledger, ReversalRequest(reference, charge))


def now(bank: Bank, row: Charge) -> Charge:
    return bank.ledger.charges[row.id]


def test_what_was_charged_is_returned(bank: Bank) -> None:
    taken = bank.charge("r1")
    row, replayed = give_up(bank, "v1", "r1")
    assert (row.charge, row.amount, row.currency, replayed) == (taken.id, 1000, "EUR", False)
    charge = now(bank, taken)
    assert (charge.status, charge.amount_captured) == ("voided", 0)
    assert charge.void_reason == "reversed"
    assert give_up(bank, "v1", "r1") == (row, True)
    assert bank.charge("r1") == charge, "its own reference still answers as before"
    with refusal("not_refundable"):
        bank.books.refund(bank.ledger, RefundRequest("f1", taken.id, 1))
    again, _ = give_up(bank, "v2", "r1")
    assert (again.charge, again.amount) == (taken.id, 0)
    assert now(bank, taken) == charge


def test_what_is_held_is_released(bank: Bank) -> None:
    held = bank.charge("r1", capture=False)
    bank.books.capture(bank.ledger, held.id, CaptureRequest("c1", 300, False))
    assert give_up(bank, "v1", "r1")[0].amount == 300
    assert (now(bank, held).status, now(bank, held).amount_captured) == ("voided", 0)
    with refusal("already_voided"):
        bank.books.capture(bank.ledger, held.id, CaptureRequest("c2", 1))


@pytest.mark.parametrize(
    "source", ["pm_sandbox_acts", "pm_sandbox_silent", "pm_sandbox_late", "pm_sandbox_pending", ""]
)
def test_what_waits_is_closed(bank: Bank, source: str) -> None:
    row = ask(bank, "r1", "push", source=source)
    give_up(bank, "v1", "r1")
    closed = now(bank, row)
    assert (closed.status, closed.next_status) == ("voided", "")
    bank.now += 90 * 86_400_000
    assert bank.books.advance_charge(bank.ledger, row.id) == (closed, False)
    assert bank.books.answer_action(bank.ledger, row.id, True) == (closed, False)


@pytest.mark.parametrize(
    ("source", "ends"),
    [("pm_card_chargeDeclined", ""), ("pm_sandbox_decline_then_success", "approved")],
)
def test_a_declined_charge_stays_so_and_is_not_paid_later(
    bank: Bank, source: str, ends: str
) -> None:
    row = bank.charge("r1", source=source)
    assert row.next_status == ends
    give_up(bank, "v1", "r1")
    bank.now += 10_000
    after, changed = bank.books.advance_charge(bank.ledger, row.id)
    assert (after.status, after.decline, changed) == ("declined", row.decline, False)


def test_what_never_came_is_closed_for_ever(bank: Bank) -> None:
    row, _ = give_up(bank, "v1", "r1")
    assert (row.charge, row.amount) == ("", 0)
    before = reversal_view(row, None)
    assert (before.status, before.charge) == ("succeeded", None)
    bank.reopen()
    for charge in (
        ask(bank, "r1", "presented_code", code=ALIPAY + "2"),
        ask(bank, "r1", "presented_code", code=ALIPAY + "2"),
    ):
        assert (charge.status, charge.next_status) == ("declined", "")
        assert charge.decline is not None and charge.decline.code == "reversed"
    assert not bank.ledger.codes, "the payer's code is good for another charge"
    assert give_up(bank, "v1", "r1") == (row, True)
    second, _ = give_up(bank, "v2", "r2")
    card = bank.charge("r2", source="pm_sandbox_pending")
    assert card.decline is not None and card.decline.code == "reversed"
    assert give_up(bank, "v2", "r2") == (second, True)
    assert len(bank.ledger.charges) == 2


def test_a_reference_is_one_reversal(bank: Bank) -> None:
    taken = bank.charge("r1")
    give_up(bank, "v1", "r1")
    bank.books.void(bank.ledger, bank.charge("r2", capture=False).id, VoidRequest("v2"))
    for reference, charge in (("v1", "r3"), ("r1", "r3"), ("v2", "r2"), ("v3", "v1")):
        with refusal("reference_mismatch"):
            give_up(bank, reference, charge)
    with refusal("reference_mismatch"):
        bank.books.void(bank.ledger, taken.id, VoidRequest("v1"))
    with refusal("reference_mismatch"):
        bank.charge("v1")
    with pytest.raises(Refusal) as refused:
        give_up(bank, "v9", "v9")
    assert (refused.value.status, refused.value.param) == (400, "charge_reference")
    setup(bank.books, bank.ledger, SetupRequest("s1", "pm_card_visa"), str)
    with refusal("reference_mismatch"):
        give_up(bank, "v4", "s1")
    assert len(bank.ledger.reversals) == 1


def test_money_that_went_another_way_is_not_returned_twice(bank: Bank) -> None:
    refunded = bank.charge("r1")
    bank.books.refund(bank.ledger, RefundRequest("f1", refunded.id, 1))
    disputed = bank.charge("r2", source="pm_card_createDispute")
    Disputes(bank.books, 500, 500).open(bank.ledger, disputed.id)
    for reference in ("r1", "r2"):
        with refusal("not_reversible"):
            give_up(bank, f"v-{reference}", reference)
    assert now(bank, refunded).status == now(bank, disputed).status == "captured"
    coming = bank.charge("r3", source="pm_card_createDispute")
    give_up(bank, "v3", "r3")
    assert Disputes(bank.books, 500, 500).open(bank.ledger, coming.id) == []


def test_a_restart_forgets_none(bank: Bank) -> None:
    bank.charge("r1")
    give_up(bank, "v1", "r1")
    give_up(bank, "v2", "r2")
    before, issued = export(bank.books, None), bank.ledger.numbering.issued
    bank.reopen()
    assert (export(bank.books, None), bank.ledger.numbering.issued) == (before, issued)
    assert [row["reference"] for row in before["reversals"]] == ["v1", "v2"]
    assert [row["charge_reference"] for row in before["reversals"]] == ["r1", "r2"]
    for reference, charge in (("v1", "voided"), ("v2", None)):
        found = operation_view(bank.books, bank.ledger, reference)
        assert (found.type, found.status) == ("void", "succeeded")
        assert (found.charge and found.charge.status) == charge


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"))
    yield sandbox
    assert sandbox.stop() == 0


def send(
    process: Sandbox, reference: str, charge: str, **more: Any
) -> tuple[int, Json, str | None]:
    body = {"reference": reference, "charge_reference": charge, **more}
    status, told, headers = process.call("POST", f"/{BANK}/reversals", body)
    return status, told, headers["sandbox-replayed"]


def test_a_reversal_over_http(process: Sandbox) -> None:
    charge = process.charge("h1")
    status, told, replayed = send(process, "hv1", "h1")
    assert (status, replayed) == (200, None)
    shown = {**charge, "status": "voided", "amount_captured": 0}
    wanted = {"object": "reversal", "reference": "hv1", "charge_reference": "h1"}
    assert told.items() >= {**wanted, "status": "succeeded", "charge": shown}.items()
    assert send(process, "hv1", "h1") == (200, told, "true")
    status, unknown, _ = send(process, "hv2", "h2")
    assert (status, unknown["charge"]) == (200, None)
    late = process.charge("h2")
    assert (late["status"], late["decline"]["code"]) == ("declined", "reversed")
    assert send(process, "hv2", "h2")[1] == unknown
    status, found = process.operation("hv2")
    assert (status, found["type"], found["status"]) == (200, "void", "succeeded")
    for change, param in (
        ({"amount": 1}, "amount"),
        ({"charge_reference": ""}, "charge_reference"),
    ):
        status, told, _ = send(process, "hv3", "h3", **change)
        assert (status, told["error"]["param"]) == (400, param)
    assert process.call("PUT", f"/{BANK}/reversals", b"")[0] == 405


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("kind", "done"), [("error_500_before", False), ("charge_then_500", True), ("garbage", True)]
)
def test_reversals_go_wrong_as_voids_do(
    process: Sandbox, kind: str, done: bool, known: bool
) -> None:
    reference = f"{kind}-{known}"
    if known:
        process.charge(reference)
    process.fault("void", kind)
    try:
        status, _, _ = send(process, f"v-{reference}", reference)
        assert status == 500
    except ValueError:
        assert kind == "garbage"
    assert process.operation(f"v-{reference}")[0] == (200 if done else 404)
    status, told, replayed = send(process, f"v-{reference}", reference)
    assert (status, told["status"], replayed) == (200, "succeeded", "true" if done else None)


def test_a_source_spoils_the_reversal_of_its_charge(process: Sandbox) -> None:
    process.charge("own", "pm_sandbox_void_charge_then_500")
    assert send(process, "v-own", "own")[0] == 500
    assert send(process, "v-own", "own")[0] == 200
    assert process.booked("own")[0]["status"] == "voided"


def test_a_charge_that_arrives_after_its_reversal(process: Sandbox) -> None:
    sink = Sink()
    process.fault("charge", "late", params={"delay_ms": 300, "answer": "500"})
    with pytest.raises(AssertionError, match="internal_error"):
        process.charge("slow", callback_url=sink.url)
    status, told, _ = send(process, "v-slow", "slow")
    assert (status, told["status"]) == (200, "succeeded")
    wait_until(lambda: process.operation("slow")[0] == 200)
    assert process.booked("slow")[0]["amount_captured"] == 0
    assert sink.wait(1)[0]["data"]["status"] in ("voided", "declined")
    sink.server.shutdown()
    sink.server.server_close()
