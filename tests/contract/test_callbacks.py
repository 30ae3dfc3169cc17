"""Callbacks: what is not genuine, fresh and for this account is refused; the rest is read."""

import json
from typing import Any

import pytest
import stripe
from hypothesis import given, settings
from hypothesis import strategies as st

from bailiwick.channels.blocks import signatures
from bailiwick.channels.contract import (
    Account,
    CallbackEvent,
    CallbackRefused,
    Operation,
    Outcome,
    Result,
)
from tests.contract.answers import ACCOUNTS, CHANNELS, SECRET, encode, missing
from tests.contract.answers_payouts import bank_payout
from tests.contract.answers_sandbox import bank_charge, bank_dispute, bank_refund
from tests.contract.answers_stripe import intent, refund

NOW_S = 1_790_000_000
NOW_MS = NOW_S * 1000
HEADERS = {"sandbox": "sandbox-signature", "stripe": "stripe-signature"}


def bank_event(kind: str, data: Any) -> bytes:
    return encode({"id": "evt_1", "type": kind, "created": NOW_MS, "data": data})


def stripe_event(kind: str, data: Any, **more: Any) -> bytes:
    event = {
        "id": "evt_1",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": NOW_S,
        "livemode": False,
        "type": kind,
        "data": {"object": data},
    }
    return encode(event | more)


GENUINE = {
    "sandbox": bank_event("charge.updated", bank_charge()),
    "stripe": stripe_event("payment_intent.succeeded", intent()),
}


def header(body: bytes, *, secret: str = SECRET, timestamp: int = NOW_S) -> str:
    return f"t={timestamp},v1={signatures.sign(secret, timestamp, body)}"


def call(
    name: str, body: bytes, signature: str | None = None, account: Account | None = None
) -> CallbackEvent | None:
    given = header(body) if signature is None else signature
    headers = {HEADERS[name]: given}
    return CHANNELS[name].callback(headers, body, account or ACCOUNTS[name], NOW_MS)


@pytest.fixture(params=sorted(CHANNELS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_genuine_one(name: str) -> None:
    notice = call(name, GENUINE[name])
    assert notice is not None
    assert (notice.notice_id, notice.reference) == ("evt_1", "ch_a1")
    assert notice.operation is Operation.CHARGE
    assert notice.result is not None
    assert (notice.result.outcome, notice.result.amount) == (Outcome.APPROVED, 1099)


def test_header_names_in_any_case(name: str) -> None:
    body = GENUINE[name]
    headers = {HEADERS[name].title(): header(body)}
    assert CHANNELS[name].callback(headers, body, ACCOUNTS[name], NOW_MS) is not None


def test_rotation_several_signatures(name: str) -> None:
    body = GENUINE[name]
    good = header(body).partition("v1=")[2]
    assert call(name, body, f"t={NOW_S},v1={'0' * 64},v1={good}") is not None
    assert call(name, body, f"t={NOW_S},v0=junk,v1={good}") is not None


@pytest.mark.parametrize("offset", [-NOW_S, -301, -300, 0, 300, 301, 10**11])
def test_the_window_in_which_it_is_believed(name: str, offset: int) -> None:
    """What is genuine but was signed at another time is no proof: the node asks."""
    body = GENUINE[name]
    notice = call(name, body, header(body, timestamp=NOW_S + offset))
    assert notice is not None
    assert notice.dated is (abs(offset) > 300)


@pytest.mark.parametrize("offset", [-301, 301])
def test_at_another_time_it_must_be_genuine_all_the_same(name: str, offset: int) -> None:
    with pytest.raises(CallbackRefused):
        call(name, GENUINE[name], header(GENUINE[name], secret="no", timestamp=NOW_S + offset))


def _forgeries(body: bytes) -> dict[str, str]:
    good = header(body).partition("v1=")[2]
    return {
        "empty": "",
        "nonsense": "nonsense",
        "no time": f"v1={good}",
        "two times": f"t={NOW_S},t={NOW_S},v1={good}",
        "only v0": f"t={NOW_S},v0={good}",
        "no signature": f"t={NOW_S}",
        "empty signature": f"t={NOW_S},v1=",
        "other secret": header(body, secret="whsec_other"),
        "other time": f"t={NOW_S - 1},v1={good}",
        "upper case": f"t={NOW_S},v1={good.upper()}",
        "cut": f"t={NOW_S},v1={good[:-1]}",
        "not ASCII": f"t={NOW_S},v1=é{good[1:]}",
        "other digits": f"t=١٧٩٠٠٠٠٠٠٠,v1={good}",
        "signed number": f"t=+{NOW_S},v1={good}",
        "oversized": f"t={NOW_S},v1={good}," + "v1=0," * 2000,
    }


@pytest.mark.parametrize("kind", sorted(_forgeries(b"")))
def test_forgeries(name: str, kind: str) -> None:
    body = GENUINE[name]
    with pytest.raises(CallbackRefused):
        call(name, body, _forgeries(body)[kind])


def test_without_a_header(name: str) -> None:
    with pytest.raises(CallbackRefused):
        CHANNELS[name].callback({}, GENUINE[name], ACCOUNTS[name], NOW_MS)


def test_an_altered_body(name: str) -> None:
    body = GENUINE[name]
    with pytest.raises(CallbackRefused):
        call(name, body.replace(b"1099", b"1"), header(body))


@pytest.mark.parametrize("secret", [None, "", "  "])
def test_no_secret_means_no_callback(name: str, secret: str | None) -> None:
    """An empty key signs for everybody."""
    secrets = {} if secret is None else {"callback_secret": secret}
    account = Account("g", "https://provider.test", secrets)
    body = GENUINE[name]
    with pytest.raises(CallbackRefused, match="no callback secret"):
        call(name, body, header(body, secret=secret or ""), account)


def test_refusals_tell_no_secret(name: str) -> None:
    with pytest.raises(CallbackRefused) as refused:
        call(name, GENUINE[name], "t=1,v1=0")
    assert SECRET not in str(refused.value)


def test_of_no_interest(name: str) -> None:
    assert call("sandbox", bank_event("balance.updated", {})) is None
    assert call("stripe", stripe_event("customer.created", {"id": "cus_1"})) is None
    foreign = stripe_event("payment_intent.succeeded", intent(metadata={}))
    assert call("stripe", foreign) is None


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"null", b"\xff", b'{"id":"evt_1","type":"x"}', b"[" * 100_000]
)
def test_genuine_but_unreadable(name: str, body: bytes) -> None:
    with pytest.raises(CallbackRefused):
        call(name, body)


def test_genuine_with_an_unreadable_object() -> None:
    with pytest.raises(CallbackRefused):
        call("sandbox", bank_event("charge.updated", missing(bank_charge(), "id")))
    with pytest.raises(CallbackRefused):
        call("stripe", stripe_event("refund.updated", {"object": "refund"}))


def test_the_sandbox_s_refund() -> None:
    body = bank_event("refund.updated", bank_refund(status="failed"))
    notice = call("sandbox", body)
    assert notice == CallbackEvent(
        "evt_1",
        Operation.REFUND,
        "re_a1",
        "rf_88",
        Result(Outcome.DECLINED, "rf_88", code="refund_failed", detail="declined"),
    )


def test_live_and_test_do_not_mix() -> None:
    body = stripe_event("payment_intent.succeeded", intent(), livemode=True)
    with pytest.raises(CallbackRefused, match="live"):
        call("stripe", body)


def test_a_capture_s_own_event_names_the_capture() -> None:
    tagged = {"bailiwick_reference": "ch_a1", "bailiwick_capture": "cap_a1"}
    notice = call("stripe", stripe_event("payment_intent.succeeded", intent(metadata=tagged)))
    assert notice is not None
    assert (notice.operation, notice.reference) == (Operation.CAPTURE, "cap_a1")


def test_a_cancellation_makes_the_node_ask() -> None:
    body = stripe_event("payment_intent.canceled", intent(status="canceled"))
    assert call("stripe", body) == CallbackEvent("evt_1", Operation.CHARGE, "ch_a1", "pi_77", None)


def test_an_undecided_event_makes_the_node_ask() -> None:
    body = stripe_event("payment_intent.payment_failed", intent(status="requires_payment_method"))
    assert call("stripe", body) == CallbackEvent("evt_1", Operation.CHARGE, "ch_a1", "pi_77", None)


@pytest.mark.parametrize("kind", ["refund.updated", "refund.failed", "charge.refund.updated"])
def test_stripe_s_refunds(kind: str) -> None:
    body = stripe_event(kind, refund(status="failed", failure_reason="lost_or_stolen_card"))
    notice = call("stripe", body)
    assert notice is not None
    assert notice.result is not None
    assert (notice.reference, notice.result.code) == ("re_a1", "lost_or_stolen_card")


# The official SDK as the judge, in both directions


def test_the_official_sdk_accepts_what_we_sign() -> None:
    body = GENUINE["stripe"]
    assert stripe.WebhookSignature.verify_header(body, header(body), SECRET)
    event = stripe.Webhook.construct_event(  # type: ignore[no-untyped-call]
        body, header(body), SECRET, tolerance=None
    )
    assert event.type == "payment_intent.succeeded"


def test_we_accept_what_the_official_sdk_signs() -> None:
    body = GENUINE["stripe"]
    signed = stripe.WebhookSignature.generate_signature_header(  # type: ignore[no-untyped-call]
        body.decode(), SECRET, NOW_S
    )
    assert call("stripe", body, signed) is not None


@pytest.mark.parametrize(
    "kind", ["empty", "nonsense", "only v0", "no signature", "other secret", "cut", "other time"]
)
def test_the_official_sdk_refuses_what_we_refuse(kind: str) -> None:
    body = GENUINE["stripe"]
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(body, _forgeries(body)[kind], SECRET)


# Anything at all


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(sorted(CHANNELS)),
    body=st.binary(max_size=120)
    | st.dictionaries(
        st.sampled_from(["id", "type", "data", "object", "livemode"]),
        st.none() | st.integers() | st.text(max_size=5) | st.just({"object": {}}),
    ).map(lambda data: json.dumps(data).encode()),
    signature=st.text(max_size=80),
    genuine=st.booleans(),
)
def test_only_a_refusal_is_ever_raised(
    name: str, body: bytes, signature: str, genuine: bool
) -> None:
    try:
        call(name, body, header(body) if genuine else signature)
    except CallbackRefused:
        return
    assert genuine


def test_a_dispute_says_how_it_stands_and_nothing_of_the_charge() -> None:
    body = bank_event("dispute.updated", bank_dispute())
    notice = call("sandbox", body)
    assert notice is not None and notice.dispute is not None
    assert (notice.operation, notice.reference, notice.provider_ref) == (
        Operation.CHARGE, "ch_a1", "ch_66",
    )  # fmt: skip
    assert notice.result is None and not notice.dated
    told = notice.dispute
    assert (told.provider_ref, told.status, told.funds, told.fee, told.sequence) == (
        "ch_77", "under_review", "withdrawn", 1500, 2,
    )  # fmt: skip
    old = call("sandbox", body, header(body, timestamp=NOW_S - 3600))
    assert old is not None and old.dated
    for wrong in ({"status": "settled"}, {"funds": "gone"}, {"amount": -1}, {"sequence": 1.5}):
        spoiled = bank_event("dispute.updated", bank_dispute(**wrong))
        with pytest.raises(CallbackRefused):
            call("sandbox", spoiled)


def test_a_payout_only_says_that_there_is_news() -> None:
    """Callbacks overtake each other: an older one must not undo what came later."""
    for status in ("pending", "in_transit", "paid", "failed", "canceled"):
        notice = call("sandbox", bank_event("payout.updated", bank_payout(status=status)))
        assert notice is not None and notice.result is None and notice.dispute is None
        about = (notice.operation, notice.reference, notice.provider_ref)
        assert about == (Operation.PAYOUT, "po_a1", "ch_77")
    with pytest.raises(CallbackRefused):
        call("sandbox", bank_event("payout.updated", {"object": "payout"}))
