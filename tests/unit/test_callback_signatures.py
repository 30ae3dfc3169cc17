"""Schemes of callbacks: forgeries, rotation, the window. Judges: Stripe's SDK, and RFC 4231."""

import base64
import hashlib
import hmac
from collections.abc import Mapping

import pytest
import stripe
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bailiwick.channels.blocks import words
from bailiwick.channels.blocks.signatures import (
    OfAddress,
    OfBody,
    Timestamped,
    check_signature,
    sign,
)
from bailiwick.channels.contract import Account, CallbackRefused, Notice

NOW_S = 1_790_000_000
NOW_MS = NOW_S * 1000
SECRET = "whsec_test_secret_of_the_callbacks"
BODY = b'{"id":"evt_1","amount":1099}'
GOOD = sign(SECRET, NOW_S, BODY)


def header(*, secret: str = SECRET, timestamp: int = NOW_S) -> str:
    return f"t={timestamp},v1={sign(secret, timestamp, BODY)}"


def check(text: str | None, *secrets: str, body: bytes = BODY) -> bool:
    return check_signature(text, secrets or (SECRET,), body, NOW_MS)


FORGERIES = {
    "empty": "",
    "nonsense": "nonsense",
    "no time": f"v1={GOOD}",
    "two times": f"t={NOW_S},t={NOW_S},v1={GOOD}",
    "only v0": f"t={NOW_S},v0={GOOD}",
    "no signature": f"t={NOW_S}",
    "empty signature": f"t={NOW_S},v1=",
    "other secret": header(secret="whsec_other"),
    "other time": f"t={NOW_S - 1},v1={GOOD}",
    "upper case": f"t={NOW_S},v1={GOOD.upper()}",
    "cut": f"t={NOW_S},v1={GOOD[:-1]}",
    "not ASCII": f"t={NOW_S},v1=é{GOOD[1:]}",
    "other digits": f"t=١٧٩٠٠٠٠٠٠٠,v1={GOOD}",
    "signed number": f"t=+{NOW_S},v1={GOOD}",
    "oversized": f"t={NOW_S},v1={GOOD}," + "v1=0," * 2000,
}
BY_THE_SDK_TOO = (
    "empty",
    "nonsense",
    "only v0",
    "no signature",
    "other secret",
    "cut",
    "other time",
)


def test_a_genuine_one() -> None:
    assert check(header())
    assert stripe.WebhookSignature.verify_header(BODY, header(), SECRET)


@pytest.mark.parametrize("kind", sorted(FORGERIES))
def test_forgeries(kind: str) -> None:
    with pytest.raises(CallbackRefused):
        check(FORGERIES[kind])
    if kind in BY_THE_SDK_TOO:
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.WebhookSignature.verify_header(BODY, FORGERIES[kind], SECRET)


def test_another_body_and_no_header() -> None:
    with pytest.raises(CallbackRefused):
        check(header(), body=BODY.replace(b"1099", b"1"))
    with pytest.raises(CallbackRefused):
        check(None)


def test_several_signatures_and_several_secrets() -> None:
    assert check(f"t={NOW_S},v1={'0' * 64},v1={GOOD}")
    assert check(f"t={NOW_S},v0=junk,v1={GOOD}")
    assert check(header(), "whsec_new", SECRET)


@pytest.mark.parametrize("offset", [-NOW_S, -301, -300, 0, 300, 301, 10**11])
def test_the_window_in_which_it_is_believed(offset: int) -> None:
    """What is genuine but was signed at another time is no proof: the node asks."""
    assert check(header(timestamp=NOW_S + offset)) is (abs(offset) <= 300)
    with pytest.raises(CallbackRefused):
        check(header(secret="no", timestamp=NOW_S + offset))


@pytest.mark.parametrize("secret", ["", "  "])
def test_no_secret_means_no_callback(secret: str) -> None:
    """An empty key signs for everybody."""
    with pytest.raises(CallbackRefused, match="no callback secret"):
        check(header(secret=secret), secret)
    with pytest.raises(CallbackRefused, match="no callback secret"):
        check_signature(header(), (), BODY, NOW_MS)


def called(headers: Mapping[str, str] | None = None, body: bytes = BODY) -> Notice:
    """A callback."""
    return Notice("POST", "https://node.test/v1/callbacks/g", headers or {}, body)


def test_as_a_scheme_it_signs_with_the_first_secret_and_takes_any() -> None:
    scheme = Timestamped("x-signature", ("first", "second"))
    account = Account("g", "https://provider.test", {"first": "a", "second": "b"})
    for secrets in ({"first": "a"}, {"first": "b"}):
        made = scheme.sign(called(), Account("g", "https://provider.test", secrets), NOW_MS)
        assert scheme.check(called({"X-Signature": made.headers["x-signature"]}), account, NOW_MS)


# RFC 4231, test case 2: the digests of one text under the key "Jefe".
OF_THE_RFC = {
    "sha256": "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    "sha512": "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
    "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
}


def of_body(secret: str, **more: str) -> Account:
    return Account("g", "https://provider.test", {"callback_secret": secret, **more})


@pytest.mark.parametrize("digest", OF_THE_RFC)
def test_of_the_body_as_the_rfc_has_it(digest: str) -> None:
    data, wanted = b"what do ya want for nothing?", OF_THE_RFC[digest]
    scheme, account = OfBody("x-signature", digest), of_body("Jefe")
    assert scheme.sign(called({}, data), account, NOW_MS).headers == {"x-signature": wanted}
    assert scheme.check(called({"X-Signature": wanted}, data), account, NOW_MS)
    for other in (wanted[:-1], wanted + "0", wanted.upper(), wanted[:-1] + "é", ""):
        with pytest.raises(CallbackRefused):
            scheme.check(called({"x-signature": other}, data), account, NOW_MS)
    with pytest.raises(CallbackRefused):
        scheme.check(called({"x-signature": wanted}, data + b" "), account, NOW_MS)
    with pytest.raises(CallbackRefused):
        scheme.check(called({}, data), account, NOW_MS)


def test_of_the_body_any_secret_fits_and_an_empty_one_none() -> None:
    scheme = OfBody("x-signature", "sha512", ("callback_secret", "second"))
    made = scheme.sign(called(), of_body("b"), NOW_MS)
    assert scheme.check(made, of_body("a", second="b"), NOW_MS)
    for nothing in (of_body(""), of_body(" "), Account("g", "https://provider.test", {})):
        with pytest.raises(CallbackRefused, match="no callback secret"):
            scheme.check(scheme.sign(called(), nothing, NOW_MS), nothing, NOW_MS)


def test_of_the_address_as_the_provider_s_own_kit_makes_it() -> None:
    """https://developer.squareup.com/docs/webhooks/step3validate: the key signs the address that
    was subscribed with, and the body right behind it."""
    scheme, account = OfAddress("x-signature"), of_body("asdf1234")
    notice = called({}, b'{"hello":"world"}')
    signed = b'https://node.test/v1/callbacks/g{"hello":"world"}'
    wanted = base64.b64encode(hmac.new(b"asdf1234", signed, hashlib.sha256).digest()).decode()
    assert scheme.sign(notice, account, NOW_MS).headers == {"x-signature": wanted}
    good = called({"X-Signature": wanted}, notice.body)
    assert scheme.check(good, account, NOW_MS)
    moved = replace(good, url=good.url + "?a=1")
    for other in (moved, replace(good, body=b"{}"), replace(good, headers={}), called()):
        with pytest.raises(CallbackRefused, match="does not fit"):
            scheme.check(other, account, NOW_MS)
    for wrong in (wanted[:-1], wanted.lower(), wanted + "é", ""):
        with pytest.raises(CallbackRefused, match="does not fit"):
            scheme.check(replace(good, headers={"x-signature": wrong}), account, NOW_MS)


def test_of_the_address_any_secret_fits_and_an_empty_one_none() -> None:
    scheme = OfAddress("x-signature", ("callback_secret", "second"))
    made = scheme.sign(called(), of_body("b"), NOW_MS)
    assert scheme.check(made, of_body("a", second="b"), NOW_MS)
    for nothing in (of_body(""), of_body(" "), Account("g", "https://provider.test", {})):
        with pytest.raises(CallbackRefused, match="no callback secret"):
            scheme.check(scheme.sign(called(), nothing, NOW_MS), nothing, NOW_MS)


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=80), body=st.binary(max_size=40))
def test_only_a_refusal_is_ever_raised(text: str, body: bytes) -> None:
    with pytest.raises(CallbackRefused):
        check(text, body=body)


@pytest.mark.parametrize(
    "code", ["insufficient_funds", "stolen_card", "lost_card", "do_not_honor", "fraudulent"]
)
def test_the_payer_s_own_declines_are_not_tried_elsewhere(code: str) -> None:
    assert code not in words.RETRYABLE_DECLINES
