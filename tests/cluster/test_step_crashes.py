"""Charges of several requests, where a process dies or a provider misbehaves between them: the
money is taken once, for whoever has approved, whether a callback, a look or the payer brought it
on."""

import urllib.error
import urllib.request

import pytest
from chaos_kit import Chaos
from payer_kit import Payer, where

from tests.campaign import part
from tests.waiting import wait_until

NODE = "europe"
BY_CALLBACK = part([
    ("settle.before", 1), ("settle.before", 2), ("settle.committed", 1), ("settle.committed", 2),
    ("next.permitted", 1), ("callback.settled", 1), ("callback.claimed", 1), ("call.before", 1),
    ("call.answered", 1),
], of=2)  # fmt: skip
BY_LOOK = part([
    ("resolve.asked", 1), ("settle.before", 1), ("next.permitted", 1), ("resolve.settled", 1),
    ("call.before", 1), ("call.answered", 1), ("settle.before", 2),
], of=2)  # fmt: skip
BY_PAYER = part([
    ("settle.before", 1), ("next.permitted", 1), ("call.before", 1), ("call.answered", 1),
    ("settle.before", 2),
], of=2)  # fmt: skip
FAULTS = part((
    "reset_before", "reset_after", "error_500_before", "charge_then_500", "garbage", "truncated",
    "rate_limited", "late", "eventual_read", "early_callback", "duplicate_callback",
), of=2)  # fmt: skip


@pytest.mark.parametrize(("point", "nth"), BY_CALLBACK)
def test_a_kill_after_a_callback(chaos: Chaos, point: str, nth: int) -> None:
    payer = Payer(chaos.demo, "paypal")
    pid = chaos.node(NODE)["pid"]
    chaos.arm(NODE, point, nth)
    payer.approves()
    chaos.restarted(NODE, pid)
    payer.has_paid_once()


@pytest.mark.parametrize(("point", "nth"), BY_LOOK)
def test_a_kill_after_a_look(chaos: Chaos, point: str, nth: int) -> None:
    payer = Payer(chaos.demo, "paypal")
    pid = chaos.node(NODE)["pid"]
    chaos.fault(provider="*", operation="callback", kind="callback_drop")
    payer.approves()
    chaos.arm(NODE, point, nth)
    chaos.restarted(NODE, pid)
    chaos.heal()
    payer.has_paid_once()


@pytest.mark.parametrize(("point", "nth"), BY_PAYER)
def test_a_kill_after_the_payer_came_back(chaos: Chaos, point: str, nth: int) -> None:
    """A payer who was shown an error reloads the page."""
    payer = Payer(chaos.demo, "wallet")
    pid = chaos.node(NODE)["pid"]
    back = payer.approves()
    assert "/returns/" in back and "result=" in back
    chaos.arm(NODE, point, nth)
    _quietly(back)
    chaos.restarted(NODE, pid)
    payer.comes_back(back)
    payer.has_paid_once()


def _quietly(url: str) -> None:
    try:
        where(urllib.request.Request(url))
    except (OSError, urllib.error.URLError):
        return


@pytest.mark.parametrize("point", ["replay.permitted", "resolve.asked"])
def test_a_kill_while_an_unknown_step_is_ended(chaos: Chaos, point: str) -> None:
    payer = Payer(chaos.demo, "paypal")
    pid = chaos.node(NODE)["pid"]
    kind = "error_500_before" if point.startswith("replay") else "charge_then_500"
    chaos.fault(provider="*", operation="complete", kind=kind, times=1)
    chaos.fault(provider="*", operation="callback", kind="callback_drop")
    payer.approves()

    def unanswered() -> bool:
        _, found = payer.api.get(f"/v1/payment_intents/{payer.made['id']}")
        return bool(found["status"] == "processing")

    wait_until(unanswered)
    chaos.arm(NODE, point)
    chaos.restarted(NODE, pid)
    chaos.heal()
    payer.has_paid_once()


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_of_the_provider(chaos: Chaos, kind: str) -> None:
    payers = [Payer(chaos.demo, method) for method in ("paypal", "wallet")]
    chaos.fault(provider="*", operation="complete", kind=kind, times=2)
    first, second = payers
    first.approves()
    second.comes_back(second.approves())
    for payer in payers:
        payer.has_paid_once()
    chaos.heal()


def test_many_at_once(chaos: Chaos) -> None:
    payers = [Payer(chaos.demo, "paypal") for _ in range(24)]
    pid = chaos.node(NODE)["pid"]
    chaos.arm(NODE, "call.answered", 7)
    for payer in payers:
        payer.approves()
    chaos.restarted(NODE, pid)
    for payer in payers:
        payer.has_paid_once()


def test_what_is_left_undone_takes_nothing(chaos: Chaos) -> None:
    payer = Payer(chaos.demo, "paypal")
    status, said = payer.api.post(f"/v1/payment_intents/{payer.made['id']}/cancel")
    assert (status, said["status"]) == (200, "canceled"), said
    payer.approves()
    other = Payer(chaos.demo, "paypal")
    other.approves()
    other.has_paid_once()
    assert payer.row()["amount_captured"] == 0, "the other one was completed, this one was not"


def test_the_books_agree_afterwards(chaos: Chaos) -> None:
    verdict = chaos.check()
    assert verdict["violations"] == 0, verdict
