"""Callbacks signed over what they are about, their number and the time."""

import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bailiwick.channels.blocks.signatures import OfName
from bailiwick.channels.contract import Account, CallbackRefused, Notice

NOW_MS = 1_790_000_000_000
SCHEME = OfName("x-signature")
CALLED = "https://node.test/v1/callbacks/g"
NUMBER = "2066ca19-c6f1-498a-be75-1923005edd06"


def account(secret: str = "a", **more: str) -> Account:
    return Account("g", "https://provider.test", {"callback_secret": secret, **more})


def called(query: str = "data.id=12&type=payment", number: str | None = NUMBER) -> Notice:
    headers = {} if number is None else {"X-Request-Id": number}
    return Notice("POST", f"{CALLED}?{query}", headers, b"{}")


def digest(text: str, secret: str = "a") -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("notice", "text"),
    [
        (called(), f"id:12;request-id:{NUMBER};ts:{NOW_MS};"),
        (called("type=payment"), f"request-id:{NUMBER};ts:{NOW_MS};"),
        (called(number=None), f"id:12;ts:{NOW_MS};"),
        (called("data.id=12&data.id=13"), f"id:12;request-id:{NUMBER};ts:{NOW_MS};"),
        (called("data.id=1%3B2"), f"id:1;2;request-id:{NUMBER};ts:{NOW_MS};"),
    ],
)
def test_what_is_signed(notice: Notice, text: str) -> None:
    signed = SCHEME.sign(notice, account(), NOW_MS)
    assert signed.headers["x-signature"] == f"ts={NOW_MS},v1={digest(text)}"
    assert SCHEME.check(signed, account(), NOW_MS)


def test_any_other_is_refused() -> None:
    good = SCHEME.sign(called(), account(), NOW_MS)
    for other in (
        replace(good, url=f"{CALLED}?data.id=13"),
        replace(good, url=CALLED),
        replace(good, headers={**good.headers, "X-Request-Id": "another"}),
        replace(good, headers={**good.headers, "x-signature": f"ts={NOW_MS},v1={'0' * 64}"}),
    ):
        with pytest.raises(CallbackRefused, match="does not fit"):
            SCHEME.check(other, account(), NOW_MS)
    with pytest.raises(CallbackRefused, match="does not fit"):
        SCHEME.check(good, account("b"), NOW_MS)
    assert SCHEME.check(replace(good, body=b"another"), account(), NOW_MS)


def test_the_time_in_seconds_or_milliseconds() -> None:
    for instant, fresh in (
        (NOW_MS, True),
        (NOW_MS - 301_000, False),
        (NOW_MS + 301_000, False),
        (NOW_MS // 1000 + 299, True),
        (NOW_MS // 1000 - 301, False),
    ):
        hashed = digest(f"id:12;request-id:{NUMBER};ts:{instant};")
        headers = {"x-request-id": NUMBER, "x-signature": f"ts={instant}, v1={hashed}"}
        notice = replace(called(), headers=headers)
        assert SCHEME.check(notice, account(), NOW_MS) == fresh


def test_any_secret_fits_and_an_empty_one_none() -> None:
    scheme = OfName("x-signature", secrets=("callback_secret", "second"))
    made = scheme.sign(called(), account("b"), NOW_MS)
    assert scheme.check(made, account("a", second="b"), NOW_MS)
    for nothing in (account(""), account(" "), Account("g", "https://provider.test", {})):
        with pytest.raises(CallbackRefused, match="no callback secret"):
            scheme.check(scheme.sign(called(), nothing, NOW_MS), nothing, NOW_MS)


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=120), query=st.text(max_size=40))
def test_only_a_refusal_is_ever_raised(text: str, query: str) -> None:
    notice = replace(called(query), headers={"x-signature": text})
    with pytest.raises(CallbackRefused):
        SCHEME.check(notice, account(), NOW_MS)
