"""Payouts where a process dies or an answer does not come: each is sent once and booked once. What
is done with them later: ``test_verb_crashes.py``."""

import json
import time
import urllib.request
from typing import Any

import pytest
import stripe
from chaos_kit import Chaos

from bailiwick.resources.payouts.rows import sending
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
# Never sent, and the node came back so late that this was certain: it failed, and was given back.
BEFORE_SENDING = ("create.committed", "call.before")
numbers = iter(range(1000))


def client(chaos: Chaos) -> Any:
    demo = chaos.demo
    return stripe.StripeClient(
        demo["secret_key"], base_addresses={"api": demo["base_url"]}, max_network_retries=1
    ).v1


def patient(call: Any, *arguments: Any) -> Any:
    """Repeat one request with one key until it is answered."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return call(*arguments)
        except (stripe.APIConnectionError, stripe.APIError):
            assert time.monotonic() < deadline
            time.sleep(0.5)


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


@pytest.mark.parametrize("point", [*SENT, *LATER])
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


@pytest.mark.parametrize("kind", FAULTS)
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


def test_the_books_agree_afterwards(chaos: Chaos) -> None:
    verdict = chaos.check()
    assert verdict["violations"] == 0
    names = {each["name"]: each["compared"] for each in verdict["invariants"]}
    assert names["payouts_within_balance"] > 10
