"""Every field of the SDKs' classes is in our objects: null or empty where we have nothing."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import stripe

from bailiwick.base import api_versions
from bailiwick.base.objects import encode
from bailiwick.channels.contract import redirect
from bailiwick.records.record import Record
from bailiwick.resources.events.render import event
from bailiwick.resources.mandates.render import mandate
from bailiwick.resources.payments import render
from bailiwick.resources.payments.rows import Details, Progress
from bailiwick.resources.payments.shown import charge as charges
from bailiwick.resources.refunds.render import refund
from bailiwick.resources.setup_intents import rows as setup_rows
from bailiwick.resources.setup_intents.render import setup_intent
from bailiwick.resources.setup_intents.rows import Setup
from bailiwick.resources.setup_intents.states import State
from bailiwick.resources.webhook_endpoints.render import webhook_endpoint
from tests.unit import payment_kit as kit

CLASSES: dict[str, dict[str, str]] = json.loads(
    Path(__file__).with_name("api_fields.json").read_text()
)["classes"]
OURS = {
    "PaymentIntent": {"node", "location", "assignment", "routing"},
    "Charge": {"gateway", "provider_reference"},
    "SetupIntent": {"node", "location", "routing"},
    "Event": {"node", "payment", "sequence", "subject"},
    # A decline says also which charge failed, as Stripe's answers of 402 do.
    "PaymentIntent.LastPaymentError": {"charge"},
}
# Stripe leaves these out too: of platforms' events, and after the one answer with the secret.
LEFT_OUT = {"Event": {"account", "context"}, "WebhookEndpoint": {"secret"}}
FULL = Progress(
    payment_method="pm_card_visa",
    receipt_email="ann@shop.example",
    return_url="https://shop.example/back",
    action=redirect("https://bank.example/3ds"),
    customer="cus_1",
    shipping={"name": "Ann", "address": {"city": "Bonn"}},
    billing={"name": "Ann", "address": {"country": "DE"}},
    last_error={"type": "card_error", "code": "card_declined", "charge": "ch_1"},
    canceled_ms=kit.NOW,
)
DETAILS = Details(
    "cs_1",
    {"country": "DE"},
    {"node": 1, "name": "europe"},
    automatic_methods={"enabled": True, "allow_redirects": "never"},
    types_allowed=True,
)
SETUP = Setup(
    id="seti_1", merchant="acct_1", livemode=False, version=1, state="requires_action", epoch=1,
    amount=0, currency="XXX", created_ms=kit.NOW, updated_ms=kit.NOW,
    details=setup_rows.Details(
        "cs_1", {"country": "DE"}, "europe", types_allowed=True,
        automatic_methods={"enabled": True, "allow_redirects": "never"},
    ),
    progress=setup_rows.Progress(
        action=redirect("https://bank.example/3ds"), mandate="mandate_1",
        last_error={"type": "card_error", "code": "card_declined", "message": "No."},
    ),
)  # fmt: skip
ONLINE = {"type": "online", "accepted_at": 1, "online": {"ip_address": "::1", "user_agent": "x"}}
FAILED = msgspec.Raw(b'{"code":"card_declined","decline_code":"lost_card","message":"No."}')


def wrong(shown: dict[str, Any], kind: str, *, whole: bool) -> list[str]:
    """Where an object differs from its class; ``whole``: optional fields must be there too."""
    fields = CLASSES[kind]
    known = {*fields, *OURS.get(kind, ())}
    found = [f"{kind}: {name} is not a field" for name in shown if name not in known]
    for name, said in fields.items():
        optional, null = said.startswith("?"), "|null" in said
        inner = said.rpartition(" ")[2] if " " in said else None
        if name not in shown:
            needed = (whole and name not in LEFT_OUT.get(kind, set())) or not optional
            found += [f"{kind}: {name} is missing"] if needed else []
        elif shown[name] is None:
            found += [] if optional or null else [f"{kind}: {name} is null"]
        elif inner is not None and isinstance(shown[name], dict):
            found += wrong(shown[name], inner, whole=False)
    return found


def plain(shown: Any) -> Any:
    return json.loads(bytes(encode(shown)))


def objects() -> list[tuple[str, dict[str, Any]]]:
    """Objects of each class, as empty and as full as they come."""
    made: list[tuple[str, dict[str, Any]]] = []
    for state in ("requires_payment_method", "requires_action", "succeeded", "canceled"):
        for progress in (Progress(), FULL):
            payment = kit.payment(state=state, progress=progress, details=DETAILS)
            made.append(("PaymentIntent", plain(render.payment_intent(payment))))
    for state in ("permitted", "approved", "declined", "unsent", "late"):
        payment = kit.payment(progress=FULL)
        identifier = payment.id.replace("pi_", "ch_")
        view = charges.charge_view(kit.attempt(id=identifier, state=state, result=FAILED))
        for holder in (payment, msgspec.structs.replace(payment, charge_attempt=view.id)):
            made.append(("Charge", plain(charges.charge(holder, view))))
    for state in State:
        shown = setup_intent(msgspec.structs.replace(SETUP, state=state.value))
        made.append(("SetupIntent", plain(shown)))
    for acceptance in ({"type": "offline", "accepted_at": 1}, ONLINE):
        said = {"payment_method": "pm_1", "acceptance": acceptance, "status": "active"}
        row = Record(
            "mandate_1", "acct_1", False, 1, False, None, None, None, kit.NOW, kit.NOW, said
        )
        made.append(("Mandate", plain(mandate(row))))
    known = {"method": "card", "customer": "cus_1", "payment_method": "pm_1", "metadata": {}}
    for details in ({}, {**known, "failure_reason": "unknown"}, {**known, "method": "pix"}):
        for state in ("pending", "succeeded", "failed"):
            row = kit.refund(state=state, details=details)
            made.append(("Refund", plain(refund(row, kit.payment()))))
    body = encode({"id": "pi_1"})
    made.append(
        (
            "Event",
            plain(
                event(
                    kit.new_id("evt", 1, kit.NOW),
                    "payment_intent.succeeded",
                    body,
                    False,
                    "pi_1",
                    2,
                    0,
                    api_versions.CURRENT,
                )
            ),
        )
    )
    endpoint: dict[str, Any] = {
        "id": "we_1",
        "details": {},
        "created_ms": kit.NOW,
        "events": ["*"],
        "livemode": False,
        "status": "enabled",
        "url": "https://shop.example",
        "secret": "whsec_1",
        "old_secrets": [],
    }
    for secret in (False, True):
        made.append(("WebhookEndpoint", plain(webhook_endpoint(endpoint, kit.NOW, secret=secret))))
    return made


MADE = objects()


@pytest.mark.parametrize(("kind", "shown"), MADE, ids=[f"{n}-{k}" for n, (k, _) in enumerate(MADE)])
def test_every_field_is_there(kind: str, shown: dict[str, Any]) -> None:
    assert not wrong(shown, kind, whole=True)


def test_what_is_missing_null_or_invented_is_found() -> None:
    good = MADE[0][1]
    assert not wrong(good, "PaymentIntent", whole=True)
    less = {name: value for name, value in good.items() if name != "amount_received"}
    assert wrong(less, "PaymentIntent", whole=True) == ["PaymentIntent: amount_received is missing"]
    null = {**good, "status": None}
    assert wrong(null, "PaymentIntent", whole=True) == ["PaymentIntent: status is null"]
    more = {**good, "amount_recieved": 0}
    assert wrong(more, "PaymentIntent", whole=True) == [
        "PaymentIntent: amount_recieved is not a field"
    ]
    short = {**good, "shipping": {"address": {"city": "Bonn"}}}
    assert len(wrong(short, "PaymentIntent", whole=True)) == 5


def test_who_pays_is_known_of_the_latest_charge_alone() -> None:
    payment = kit.payment(progress=FULL)
    latest = payment.id.replace("pi_", "ch_")
    view = charges.charge_view(kit.attempt(id=latest, state="approved"))
    assert plain(charges.charge(payment, view))["billing_details"]["name"] is None
    now = msgspec.structs.replace(payment, charge_attempt=latest)
    told = plain(charges.charge(now, view))["billing_details"]
    assert (told["name"], told["address"]["country"]) == ("Ann", "DE")
    assert told["address"]["city"] is None


def test_a_card_has_every_field_of_the_sdk_s() -> None:
    payment = kit.payment()
    view = charges.charge_view(kit.attempt(id=payment.id.replace("pi_", "ch_")))
    shown = plain(charges.charge(payment, view))["payment_method_details"]["card"]
    wanted = stripe.Charge.PaymentMethodDetails.Card.__annotations__
    assert set(shown) == {name for name in wanted if not name.startswith("_")}
    assert plain(render.payment_intent(payment))["payment_method_options"]["card"] == {
        "installments": None,
        "mandate_options": None,
        "network": None,
        "request_three_d_secure": "automatic",
    }, "the others are there if they were asked for"
