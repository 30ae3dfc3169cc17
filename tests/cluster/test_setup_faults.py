"""Setups under kills at every crash point, and under every way in which a provider leaves us in the
dark: each ends definitely, once, and the checker agrees. One that is given up:
``test_verb_crashes.py``."""

import time
from typing import Any

import pytest
import stripe
from chaos_kit import Chaos
from test_crash_points import BY_METHOD, COUNTRY, NODE, POINTS

from tests.campaign import part
from tests.waiting import PATIENCE_S

# What brings a setup to the point, as a payment's charge does.
TOKENS = {
    point: token.replace("pm_sandbox_", "pm_sandbox_setup_").replace("setup_pending", "pending")
    for point, token in BY_METHOD.items()
}
# Setups have no disputes, are not tried at a next gateway, are not relayed, and are not counted
# against limits of payments.
NOT_THEIRS = ("dispute.", "next.", "relay.", "velocity.")
OURS = part([point for point in POINTS if not point.startswith(NOT_THEIRS)], of=2)
BEGINS = ("begin.before", "begin.committed")
BEFORE_SENDING = {"create.committed", "begin.committed", "call.before"}
DARK = ("charge_then_hang", "charge_then_500", "reset_after", "hang_before", "error_500_before",
        "garbage", "truncated", "wrong_amount", "eventual_read")  # fmt: skip


def definite(call: Any, *arguments: Any) -> Any:
    """Repeat one request with one key until its outcome is known, as a patient client does."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            found = call(*arguments)
        except (stripe.APIConnectionError, stripe.APIError):
            found = None
        if found is not None and found.status != "processing":
            return found
        assert time.monotonic() < deadline, f"still open: {found}"
        time.sleep(0.5)


class Shop:
    """A client, and a customer of its own."""

    def __init__(self, demo: dict[str, Any]) -> None:
        client = stripe.StripeClient(demo["secret_key"], base_addresses={"api": demo["base_url"]})
        self.api = client.v1
        self.who = self.api.customers.create({"name": "Ann", "location": {"country": COUNTRY}}).id

    def wish(self, token: str) -> dict[str, Any]:
        return {
            "customer": self.who,
            "confirm": True,
            "payment_method": token,
            "return_url": "https://shop.example/back",
            "location": {"country": COUNTRY},
            "mandate_data": {"customer_acceptance": {"type": "offline"}},
        }

    def ended(self, found: Any) -> None:
        """A setup has succeeded once: its payment method is the customer's only one."""
        assert found.status == "succeeded"
        kept = self.api.customers.payment_methods.list(self.who).data
        assert [each.id for each in kept] == [found.payment_method]
        assert self.api.mandates.retrieve(found.mandate).status == "active"
        pay = {"amount": 500, "currency": "eur", "confirm": True, "off_session": True,
               "customer": self.who, "payment_method": found.payment_method,
               "location": {"country": COUNTRY}}  # fmt: skip
        key = {"idempotency_key": f"setup-pay-{found.id}"}
        assert definite(self.api.payment_intents.create, pay, key).status == "succeeded"


@pytest.mark.parametrize("point", OURS)
def test_a_kill_there_loses_nothing(chaos: Chaos, point: str) -> None:
    shop = Shop(chaos.demo)
    wish = shop.wish(TOKENS.get(point, "pm_card_visa"))
    key = {"idempotency_key": f"setup-{point}-{time.time_ns()}"}
    setups = shop.api.setup_intents
    made = None
    if point in BEGINS:
        first = {name: wish[name] for name in ("customer", "payment_method", "location")}
        made = setups.create(first)
    pid = chaos.node(NODE)["pid"]
    if point.startswith("resolve."):
        chaos.fault(provider="*", operation="callback", kind="callback_drop")
    chaos.arm(NODE, point)
    try:
        if made is None:
            found = definite(setups.create, wish, key)
        else:
            data = {"mandate_data": wish["mandate_data"]}
            found = definite(setups.confirm, made.id, data, key)
    except stripe.CardError as error:
        # Never sent, and the node came back so late that this was certain.
        if error.code != "processing_error" or point not in BEFORE_SENDING:
            raise
        chaos.restarted(NODE, pid)
        return
    chaos.restarted(NODE, pid)
    chaos.heal()
    shop.ended(found if found.status == "succeeded" else definite(setups.retrieve, found.id))


@pytest.mark.parametrize("kind", part(DARK, of=2))
def test_a_provider_that_leaves_us_in_the_dark_is_asked(chaos: Chaos, kind: str) -> None:
    shop = Shop(chaos.demo)
    key = {"idempotency_key": f"setup-{kind}-{time.time_ns()}"}
    # A bank that lies for ever about an amount is put before a person: this one lies once.
    lie = {"answer_only": True}
    rule = chaos.fault(provider="*", operation="setup", kind=kind, times=1, params=lie)
    try:
        shop.ended(definite(shop.api.setup_intents.create, shop.wish("pm_card_visa"), key))
        assert chaos.hits({rule}) == 1
    finally:
        chaos.heal()


def test_the_books_agree_afterwards(chaos: Chaos) -> None:
    verdict = chaos.check()
    assert verdict["violations"] == 0
    compared = {each["name"]: each["compared"] for each in verdict["invariants"]}
    assert compared["setups_follow_attempts"] >= len(OURS)
