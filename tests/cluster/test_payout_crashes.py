"""Payouts where a process dies or an answer does not come: each is sent once and booked once. What
is done with them later: ``test_verb_crashes.py``."""

import hashlib
import io
import json
import time
import urllib.request
from typing import Any

import pytest
import stripe
from chaos_kit import Chaos

from bailiwick.resources.payouts.rows import sending
from tests.campaign import part
from tests.waiting import PATIENCE_S, wait_until

NODE, COUNTRY = "europe", "DE"
SENT = (
    "create.before",
    "create.committed",
    "call.before",
    "call.answered",
    "settle.before",
    "settle.committed",
)
LATER = {
    "resolve.asked": "charge_then_500",
    "resolve.settled": "charge_then_500",
    "replay.permitted": "error_500_before",
}
"""Points that only an unknown comes to, and the fault that makes one."""
FAULTS = ("charge_then_hang", "charge_then_500", "error_500_before", "reset_after", "reset_before")
KILLS = part([*SENT, *LATER], of=2)
UNANSWERED = part(FAULTS, of=2)
OF_EVIDENCE = part(["begin.committed", "call.answered", "settle.before", *FAULTS], of=2)
# Never sent, and the node came back so late that this was certain: it failed, and was given back.
BEFORE_SENDING = ("create.committed", "call.before")
PAPER = b"%PDF-1.7\n" + bytes(300_000)
numbers = iter(range(1000))


def client(chaos: Chaos) -> Any:
    demo = chaos.demo
    here = {"api": demo["base_url"], "files": demo["base_url"]}
    return stripe.StripeClient(
        demo["secret_key"], base_addresses=here, max_network_retries=1
    ).v1  # fmt: skip


def patient(call: Any, *arguments: Any) -> Any:
    """Repeat one request with one key until it is answered."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return call(*arguments)
        except (stripe.APIConnectionError, stripe.APIError):
            assert time.monotonic() < deadline
            time.sleep(0.5)


def uploaded(chaos: Chaos, dispute: str) -> Any:
    paper = {"purpose": "dispute_evidence", "file": io.BytesIO(PAPER), "dispute": dispute}
    return client(chaos).files.create(paper)


def paid(chaos: Chaos, method: str = "pm_card_visa") -> Any:
    return client(chaos).payment_intents.create(
        {
            "amount": 1999,
            "currency": "eur",
            "confirm": True,
            "payment_method": method,
            "location": {"country": COUNTRY},
        }
    )


def pay_out(chaos: Chaos, destination: str = "btok_sandbox") -> Any:
    wish = {
        "amount": 700,
        "currency": "eur",
        "destination": destination,
        "location": {"country": COUNTRY},
    }
    key = {"idempotency_key": f"payout-{time.time_ns()}-{next(numbers)}"}
    return patient(client(chaos).payouts.create, wish, key)


def ended(chaos: Chaos, identifier: str, *states: str) -> str:
    """The status of a payout once it is one of these."""
    last = ""

    def so() -> bool:
        nonlocal last
        last = patient(client(chaos).payouts.retrieve, identifier).status
        return last in states

    wait_until(so)
    return last


def in_the_books(chaos: Chaos, payout: str) -> list[str]:
    """The statuses of the rows that the provider has of a payout."""
    with urllib.request.urlopen(f"{chaos.demo['sandbox']['url']}/books", timeout=60) as answer:
        books = json.load(answer)
    mine = sending(payout)
    return [row["status"] for row in books["payouts"] if row["reference"] == mine]


@pytest.mark.parametrize("point", KILLS)
def test_a_kill_while_it_is_sent(chaos: Chaos, point: str) -> None:
    paid(chaos)
    pid = chaos.node(NODE)["pid"]
    try:
        if point in LATER:
            chaos.fault(provider="*", operation="callback", kind="callback_drop")
            chaos.fault(provider="*", operation="payout", kind=LATER[point], times=1)
        chaos.arm(NODE, point)
        made = pay_out(chaos)
        chaos.restarted(NODE, pid)
        state = ended(chaos, made.id, "paid", "failed")
    finally:
        chaos.heal()
    assert state == "paid" or point in BEFORE_SENDING
    assert in_the_books(chaos, made.id) == ([state] if state == "paid" else [])


@pytest.mark.parametrize("kind", UNANSWERED)
def test_an_answer_that_does_not_come(chaos: Chaos, kind: str) -> None:
    paid(chaos)
    chaos.fault(provider="*", operation="payout", kind=kind, times=1, params={"hang_ms": 3000})
    try:
        made = pay_out(chaos)
        assert made.status in ("pending", "in_transit", "paid")
        state = ended(chaos, made.id, "paid", "failed")
    finally:
        chaos.heal()
    assert in_the_books(chaos, made.id) == (["paid"] if state == "paid" else [])


@pytest.mark.parametrize("how", OF_EVIDENCE)
def test_evidence_is_sent_once(chaos: Chaos, how: str) -> None:
    payment = paid(chaos, "pm_card_createDispute")
    disputes = client(chaos).disputes
    found: list[Any] = []

    def opened() -> bool:
        found[:] = patient(disputes.list, {"payment_intent": payment.id}).data
        return bool(found)

    wait_until(opened)
    pid = chaos.node(NODE)["pid"]
    if how in FAULTS:
        rule = {"operation": "evidence", "kind": how, "times": 1, "params": {"hang_ms": 3000}}
        chaos.fault(provider="*", **rule)
    else:
        chaos.arm(NODE, how)
    receipt = patient(uploaded, chaos, found[0].id)
    said = {"evidence": {"uncategorized_text": "winning_evidence", "receipt": receipt.id}}
    key = {"idempotency_key": f"evidence-{time.time_ns()}"}

    def won() -> bool:
        try:
            patient(disputes.update, found[0].id, said, key)
        except stripe.InvalidRequestError:
            key["idempotency_key"] += "-again"  # it was never sent
        return bool(patient(disputes.retrieve, found[0].id).status == "won")

    try:
        wait_until(won)
        if how not in FAULTS:
            chaos.restarted(NODE, pid)
    finally:
        chaos.heal()
    with urllib.request.urlopen(f"{chaos.demo['sandbox']['url']}/books", timeout=60) as answer:
        books = json.load(answer)
    charge = payment.latest_charge
    ours = [row for row in books["charges"] if row["reference"] == charge]
    sent = [row for row in books["submissions"] if row["charge"] == ours[0]["id"]]
    assert [row["kind"] for row in sent] == ["evidence"]
    assert sent[0]["files"]["receipt"]["sha256"] == hashlib.sha256(PAPER).hexdigest()
    moved = client(chaos).balance_transactions.list({"source": found[0].id}).data
    assert sorted(each.amount for each in moved) == [-1999, 1999]


def test_the_books_agree_afterwards(chaos: Chaos) -> None:
    verdict = chaos.check()
    assert verdict["violations"] == 0
    names = {each["name"]: each["compared"] for each in verdict["invariants"]}
    assert names["payouts_within_balance"] >= len(KILLS) + len(UNANSWERED)
    for name in ("disputes_booked_once", "evidence_files_match_books", "files_kept"):
        assert names[name] >= len(OF_EVIDENCE)
