"""Rows as API objects: amounts, states and what stays private."""

import json
from typing import Any

import msgspec
import pytest

from bailiwick.base import api_versions
from bailiwick.base.objects import encode
from bailiwick.channels.contract import redirect
from bailiwick.resources.events.render import event
from bailiwick.resources.payments import render
from bailiwick.resources.payments.rows import Progress
from bailiwick.resources.payments.shown import charge as charges
from bailiwick.resources.payments.states import State
from bailiwick.resources.refunds.render import refund
from bailiwick.resources.webhook_endpoints.render import webhook_endpoint
from tests.unit import payment_kit as kit

SECRET_WORDS = ("metadata", "node", "location", "assignment", "routing", "customer")


def intent(**values: Any) -> dict[str, Any]:
    return render.payment_intent(kit.payment(**values))


@pytest.mark.parametrize("state", list(State))
def test_inner_states_are_not_shown(state: State) -> None:
    documented = {"requires_payment_method", "requires_confirmation", "requires_action",
                  "processing", "requires_capture", "canceled", "succeeded"}  # fmt: skip
    assert intent(state=state.value)["status"] in documented


def test_amounts_are_integers_and_currencies_small() -> None:
    shown = intent(state="succeeded", amount_received=1000)
    assert (shown["amount"], shown["amount_received"], shown["currency"]) == (1000, 1000, "eur")
    assert shown["created"] == kit.NOW // 1000 and shown["node"] == "europe"
    json.loads(bytes(encode(shown)))


def test_the_payer_is_sent_on_only_while_that_is_needed() -> None:
    progress = Progress(action=redirect("https://bank/3ds"), return_url="https://shop/back")
    waiting = intent(state="requires_action", progress=progress)
    assert waiting["next_action"]["redirect_to_url"] == {
        "url": "https://bank/3ds", "return_url": "https://shop/back",
    }  # fmt: skip
    assert intent(state="processing", progress=progress)["next_action"] is None


def test_a_browser_sees_nothing_private() -> None:
    payment = kit.payment(progress=Progress(metadata={"vip": "yes"}, customer="cus_1"))
    shown = render.payment_intent(payment, public=True)
    assert not set(SECRET_WORDS) & set(shown)
    stored = bytes(encode(render.payment_intent(payment)))
    assert json.loads(render.public(stored)) == json.loads(bytes(encode(shown)))
    error = render.card_error({"type": "card_error"}, render.payment_intent(payment))
    told = json.loads(render.public(bytes(encode(error))))
    assert not set(SECRET_WORDS) & set(told["error"]["payment_intent"])


@pytest.mark.parametrize(
    ("state", "status", "paid"),
    [("approved", "succeeded", True), ("declined", "failed", False), ("unsent", "failed", False),
     ("permitted", "pending", False), ("unknown", "pending", False), ("pending", "pending", False),
     ("late", "succeeded", True)],
)  # fmt: skip
def test_a_charge_is_paid_only_when_approved(state: str, status: str, paid: bool) -> None:
    payment = kit.payment(state="succeeded", amount_received=1000, charge_attempt="ch_1")
    view = charges.charge_view(kit.attempt(id="ch_1", state=state))
    view = msgspec.structs.replace(view, id=payment.id.replace("pi_", "ch_"))
    holder = msgspec.structs.replace(payment, charge_attempt=view.id)
    shown = charges.charge(holder, view)
    assert (shown["status"], shown["paid"], shown["captured"]) == (status, paid, paid)
    assert shown["amount_captured"] == (1000 if paid else 0)
    if state == "late":
        return  # real money, though it is not what paid the payment
    other = charges.charge(payment, view)
    assert not other["paid"] and other["amount_captured"] == 0, "another attempt holds the money"


def test_a_failed_charge_says_why() -> None:
    result = msgspec.Raw(b'{"code":"card_declined","decline_code":"lost_card","message":"No."}')
    view = charges.charge_view(kit.attempt(state="declined", result=result))
    view = msgspec.structs.replace(view, id=kit.payment().id.replace("pi_", "ch_"))
    shown = charges.charge(kit.payment(), view)
    assert (shown["failure_code"], shown["failure_message"]) == ("card_declined", "No.")
    assert shown["outcome"]["reason"] == "lost_card"


def test_refunded_means_all_of_it() -> None:
    for refunded, whole in ((1000, True), (400, False), (0, False)):
        payment = kit.payment(state="succeeded", amount_received=1000, amount_refunded=refunded)
        view = charges.ChargeView(payment.id.replace("pi_", "ch_"), "approved", 1000, "bank")
        payment = msgspec.structs.replace(payment, charge_attempt=view.id)
        assert charges.charge(payment, view)["refunded"] is whole


def test_a_refund() -> None:
    row = kit.refund(details={"reason": "duplicate", "metadata": {"a": "1"},
                              "failure_reason": "lost"})  # fmt: skip
    shown = refund(row, kit.payment(), expanded={"charge": {"id": "ch_1"}})
    assert (shown["amount"], shown["status"], shown["reason"]) == (400, "pending", "duplicate")
    assert shown["charge"] == {"id": "ch_1"} and shown["failure_reason"] == "lost"


def test_an_event_holds_the_object_byte_for_byte() -> None:
    body = msgspec.Raw(b'{"b":1,"a":[2.50,"\xc3\xa9"]}')
    payment = kit.payment()
    shown = event(
        payment.id.replace("pi_", "evt_"),
        "payment_intent.created",
        body,
        False,
        payment.id,
        1,
        2,
        api_versions.CURRENT,
    )
    assert bytes(body) in bytes(encode(shown))
    assert (shown["sequence"], shown["payment"], shown["node"]) == (1, payment.id, 1)
    assert shown["pending_webhooks"] == 2


def test_a_webhook_s_secret_is_shown_once() -> None:
    row = {"id": "we_1", "details": {}, "created_ms": 1, "events": ["*"], "livemode": False,
           "status": "enabled", "url": "https://x.example", "secret": "whsec_x",
           "old_secrets": []}  # fmt: skip
    assert "secret" not in webhook_endpoint(row, 5)
    assert webhook_endpoint(row, 5, secret=True)["secret"] == "whsec_x"
