"""The Stripe channel held against Stripe's own SDK, and against what Stripe has published."""

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import stripe
import stripe.params
from msgspec.structs import replace

from bailiwick.channels import registry
from bailiwick.channels.blocks import parsing
from bailiwick.channels.contract import CallbackEvent, Notice, Operation
from bailiwick.channels.stripe import API_VERSION, CHANNEL, readings
from bailiwick_lab.channel_suite import transcript
from bailiwick_lab.channel_suite.subject import CALLED, NOW_MS, subject

NOW_S = NOW_MS // 1000
REPO = Path(__file__).parents[3]
SPECS = Path(os.environ.get("BAILIWICK_SPECS", REPO.parent / "shared" / "specs"))
FIXTURES = SPECS / "stripe-fixtures3.json"
IT = subject(CHANNEL, registry.folder("stripe"))
SECRET = IT.cases.account.secrets["callback_secret"]
GENUINE = next(each for each in IT.cases.callbacks if each.says is not None)
OPERATIONS = list(CHANNEL.profile.resolve)


def call(body: bytes, signature: str) -> CallbackEvent | None:
    headers = {"stripe-signature": signature}
    notice = Notice("POST", CALLED, headers, body)
    return CHANNEL.callback(notice, IT.cases.account, NOW_MS)


def test_the_official_sdk_accepts_what_we_sign() -> None:
    for case in IT.cases.callbacks:
        header = IT.signed(case).headers["stripe-signature"]
        assert stripe.WebhookSignature.verify_header(case.body, header, SECRET)
        event = stripe.Webhook.construct_event(  # type: ignore[no-untyped-call]
            case.body, header, SECRET, tolerance=None
        )
        assert event.type == json.loads(case.body)["type"]


def test_we_accept_what_the_official_sdk_signs() -> None:
    signed = stripe.WebhookSignature.generate_signature_header(  # type: ignore[no-untyped-call]
        GENUINE.body.decode(), SECRET, NOW_S
    )
    assert call(GENUINE.body, signed) == GENUINE.says


def test_the_second_secret_is_as_good_while_secrets_are_changed() -> None:
    account = replace(IT.cases.account, secrets={"callback_secret": "a", "callback_secret_2": "b"})
    for secret in ("a", "b"):
        signed = stripe.WebhookSignature.generate_signature_header(  # type: ignore[no-untyped-call]
            GENUINE.body.decode(), secret, NOW_S
        )
        notice = Notice("POST", CALLED, {"stripe-signature": signed}, GENUINE.body)
        assert CHANNEL.callback(notice, account, NOW_MS) == GENUINE.says


def _names(body: bytes) -> set[str]:
    return {name.partition("[")[0] for name, _ in parse_qsl(body.decode(), keep_blank_values=True)}


KINDS = {
    Operation.CHARGE: "PaymentIntentCreateParams",
    Operation.CAPTURE: "PaymentIntentCaptureParams",
    Operation.VOID: "PaymentIntentCancelParams",
    Operation.REFUND: "RefundCreateParams",
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_official_sdk_knows_our_parameters(operation: Operation) -> None:
    request = CHANNEL.request(IT.instruction(operation), IT.cases.account)
    known = set(getattr(stripe.params, KINDS[operation]).__annotations__)
    assert _names(request.body) <= known


def test_the_official_sdk_has_the_fields_that_we_read() -> None:
    for ours, theirs in (
        ("payment", stripe.PaymentIntent),
        ("refund", stripe.Refund),
        ("event", stripe.Event),
    ):
        assert readings.SHAPES[ours].members <= set(theirs.__annotations__), theirs


def test_the_pinned_version_is_the_sdk_s() -> None:
    assert stripe.api_version == API_VERSION


def test_no_client_secret_is_recorded() -> None:
    kept = (IT.folder / transcript.FILE).read_text()
    assert "_secret_" not in kept
    assert "Bearer" not in kept


@pytest.mark.parametrize(
    ("currency", "amount", "sent"),
    [("ISK", 500, 500), ("UGX", 500, 500), ("MGA", 10, 10), ("JPY", 500, 500), ("KWD", 5120, 5120)],
)
def test_stripe_s_own_exponents(currency: str, amount: int, sent: int) -> None:
    order = replace(IT.instruction(Operation.CHARGE), amount=amount, currency=currency)
    assert b"amount=%d&" % sent in CHANNEL.request(order, IT.cases.account).body


def _own(kind: str) -> dict[str, Any]:
    """An object of the cases' answers."""
    for case in IT.cases.answers:
        found = parsing.decode(case.reply.body, dict[str, Any])
        if case.reply.status == 200 and found is not None and found.get("object") == kind:
            return found
    raise LookupError(kind)


if FIXTURES.exists():  # published data that is not shipped; the tests above need none of it

    @pytest.mark.parametrize(
        ("resource", "kind"), [("payment_intent", "payment"), ("refund", "refund")]
    )
    def test_published_fixtures_can_be_read(resource: str, kind: str) -> None:
        data = json.loads(FIXTURES.read_bytes())["resources"][resource]
        assert readings.SHAPES[kind].read(json.dumps(data).encode()) is not None
        assert set(_own(resource)) <= set(data)
