"""Every crash point that the code names is hit by a kill, and nothing is lost at any of them.

Here by charges; what follows on them is in ``test_verb_crashes.py``; setups and payouts have files
of their own."""

import re
import time
from pathlib import Path

import pytest
import stripe
from chaos_kit import Chaos

import bailiwick
from tests.waiting import PATIENCE_S

SOURCE = Path(bailiwick.__file__).parent
OF_COMMANDS = {"deletion.committed", "erase.committed"}
"""Those of operators' commands: ``test_test_data.py``, ``test_erase_crash.py`` in
``tests/postgres``."""
POINTS = sorted(
    {
        name
        for file in SOURCE.rglob("*.py")
        for name in re.findall(r'^\s+crash_point\("([a-z.]+)"\)', file.read_text(), re.MULTILINE)
    }
    - OF_COMMANDS
)
NODE, COUNTRY = "europe", "DE"

# What brings a payment to the point: the payment method to pay with, or a verb to use.
BY_METHOD = {
    "resolve.asked": "pm_sandbox_charge_then_500",
    "resolve.settled": "pm_sandbox_charge_then_500",
    "replay.permitted": "pm_sandbox_error_500_before",
    "callback.claimed": "pm_sandbox_pending",
    "callback.settled": "pm_sandbox_pending",
    "dispute.booked": "pm_card_createDispute",
    "next.permitted": "pm_card_threeDSecure2Required",
}
FORGONE = {"next.permitted"}
"""Reached by a charge that waits for the payer and must not: its void follows at once."""
BY_VERB = {"begin.before", "begin.committed"}
BEFORE_SENDING = {"create.committed", "call.before"}


def test_the_points_are_found() -> None:
    assert len(POINTS) >= 12
    assert set(BY_METHOD) | BY_VERB | FORGONE <= set(POINTS), (
        "a point was renamed: rename it here too"
    )


def definite(call, *arguments, within_s: float = PATIENCE_S):  # type: ignore[no-untyped-def]
    """Repeat one request with one key until its outcome is known, as a patient client does."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            found = call(*arguments)
        except (stripe.APIConnectionError, stripe.APIError):
            found = None
        if found is not None and found.status != "processing":
            return found
        assert time.monotonic() < deadline, f"still open: {found}"
        time.sleep(0.5)


@pytest.mark.parametrize(
    ("point", "token"),
    [(point, BY_METHOD.get(point, "pm_card_visa")) for point in POINTS]
    + [("callback.claimed", "pm_card_createDispute")],
)
def test_a_kill_there_loses_nothing(chaos: Chaos, point: str, token: str) -> None:
    demo = chaos.demo
    client = stripe.StripeClient(demo["secret_key"], base_addresses={"api": demo["base_url"]})
    intents = client.v1.payment_intents
    wish = {
        "amount": 1999,
        "currency": "eur",
        "confirm": True,
        "payment_method": token,
        "location": {"country": COUNTRY},
        "metadata": {"point": point},
        "receipt_email": f"{point}@example.com",  # a payer's tries are counted
        "error_on_requires_action": point in FORGONE,
    }
    key = {"idempotency_key": f"crash-{point}-{time.time_ns()}"}
    pid = chaos.node(NODE)["pid"]
    if point.startswith("resolve."):
        chaos.fault(provider="*", operation="callback", kind="callback_drop")
    if point in BY_VERB:
        made = definite(intents.create, {**wish, "capture_method": "manual"}, key)
        chaos.arm(NODE, point)
        again = {"idempotency_key": f"{key['idempotency_key']}-capture"}
        paid = definite(intents.capture, made.id, {}, again)
    else:
        chaos.arm(NODE, point)
        try:
            paid = definite(intents.create, wish, key)
        except stripe.CardError as error:
            if point in FORGONE and error.code == "authentication_required":
                chaos.restarted(NODE, pid)
                return
            # Never sent, and the node came back so late that this was certain; that the books
            # have no charge is checked afterwards.
            if error.code != "processing_error" or point not in BEFORE_SENDING:
                raise
            chaos.restarted(NODE, pid)
            return
    chaos.restarted(NODE, pid)
    chaos.heal()
    assert paid.status == "succeeded"
    assert definite(intents.retrieve, paid.id).amount_received == 1999


def test_the_books_agree_afterwards(chaos: Chaos) -> None:
    verdict = chaos.check()
    assert verdict["violations"] == 0
