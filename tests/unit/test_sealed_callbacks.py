"""Callbacks that are signed in the body, over some of their fields, and what goes with them: marks
on references, times, and words. The signatures' judges: the channels' own, by published vectors."""

import base64
import hmac
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bailiwick.base.ids import new_id
from bailiwick.channels.blocks import marked, parsing, sealed, times, words
from bailiwick.channels.contract import Account, CallbackRefused, Notice

NOW_MS = 1_790_000_000_000
KEY = "00ff10ef"
SCHEME = sealed.OfFields(
    fields=("id", "sum.value", "sum.currency", "note"),
    signature="more.signature",
    inside="items.0",
    secrets=("key", "key_2"),
)


def account(**secrets: str) -> Account:
    return Account("g", "https://provider.test", secrets)


def notice(**fields: Any) -> Notice:
    item = {"id": "a-1", "sum": {"value": 1099, "currency": "EUR"}, **fields}
    return Notice("POST", "https://node.test/", {}, json.dumps({"items": [item]}).encode())


def item_of(given: Notice) -> Any:
    return json.loads(given.body)["items"][0]


def test_what_is_signed_is_named_and_nothing_else() -> None:
    made = SCHEME.sign(notice(other="x"), account(key=KEY), NOW_MS)
    wanted = hmac.digest(bytes.fromhex(KEY), b"a-1:1099:EUR:", "sha256")
    assert item_of(made)["more"] == {"signature": base64.b64encode(wanted).decode()}
    assert SCHEME.check(made, account(key=KEY), NOW_MS)
    body = made.body.replace(b'"x"', b'"y"')
    assert SCHEME.check(Notice("POST", made.url, {}, body), account(key=KEY), NOW_MS)
    for old, new in ((b"a-1", b"a-2"), (b"1099", b"1098"), (b"EUR", b"USD"), (b"sum", b"som")):
        with pytest.raises(CallbackRefused):
            altered = Notice("POST", made.url, {}, made.body.replace(old, new))
            SCHEME.check(altered, account(key=KEY), NOW_MS)


def test_any_key_fits_and_none_that_is_no_key() -> None:
    made = SCHEME.sign(notice(), account(key=KEY), NOW_MS)
    assert SCHEME.check(made, account(key="aa", key_2=KEY), NOW_MS)
    for secrets in ({"key": "aa"}, {"key": ""}, {"key": "  "}, {"key": "no hex"}, {}):
        with pytest.raises(CallbackRefused):
            SCHEME.check(made, account(**secrets), NOW_MS)
    with pytest.raises(ValueError, match="fromhex"):
        SCHEME.sign(notice(), account(key="no hex"), NOW_MS)
    unsigned = SCHEME.sign(notice(), account(key=""), NOW_MS)
    with pytest.raises(CallbackRefused):
        SCHEME.check(unsigned, account(key=""), NOW_MS)


def test_a_field_that_may_be_two_is_refused() -> None:
    made = SCHEME.sign(notice(note="a:b"), account(key=KEY), NOW_MS)
    with pytest.raises(CallbackRefused, match="may be two"):
        SCHEME.check(made, account(key=KEY), NOW_MS)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"items":[]}', b'{"items":[1]}'])
def test_a_body_without_the_object_is_refused(body: bytes) -> None:
    made = SCHEME.sign(Notice("POST", "https://node.test/", {}, body), account(key=KEY), NOW_MS)
    with pytest.raises(CallbackRefused):
        SCHEME.check(made, account(key=KEY), NOW_MS)


def test_what_stands_where_the_signature_is_to_be() -> None:
    for more in (None, 1, [], "x"):
        made = SCHEME.sign(notice(more=more), account(key=KEY), NOW_MS)
        with pytest.raises(CallbackRefused):
            SCHEME.check(made, account(key=KEY), NOW_MS)


def test_places() -> None:
    whole = {"a": [{"b": 1}, 2]}
    assert (sealed.at(whole, ""), sealed.at(whole, "a.0.b"), sealed.at(whole, "a.1")) == (
        whole,
        1,
        2,
    )
    for place in ("b", "a.2", "a.b", "a.-1", "a.0.b.c", "a.x"):
        assert sealed.at(whole, place) is None


# References that are marked


def test_a_charge_that_is_held_is_told_by_its_reference() -> None:
    own = new_id("ch", 1, NOW_MS)
    assert marked.own(marked.spelt(own, automatic=True)) == (own, False)
    assert marked.own(marked.spelt(own, automatic=False)) == (own, True)
    for text in (None, "", "-hold", "order-7", own + "-held", own + "-hold-hold", "x-" + own):
        assert marked.own(text) is None


# Times and texts


def test_times() -> None:
    assert times.to_ms("2026-09-21T14:23:20Z") == 1_790_000_600_000
    assert times.to_ms("2026-09-21T16:23:20.250+02:00") == 1_790_000_600_250
    assert times.of_ms(1_790_000_600_999) == "2026-09-21T14:23:20Z"
    for text in (None, "", "soon", "2026-09-21", "2026-09-21T14:23:20", "1790000600"):
        assert times.to_ms(text) is None
    for text in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1969-12-31T23:59:59Z"):
        assert times.to_ms(text) is None


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 7_000_000_000))
def test_times_come_back(second: int) -> None:
    assert times.to_ms(times.of_ms(second * 1000)) == second * 1000


def test_what_a_payer_is_shown() -> None:
    for text in ("00020126580014br.gov.bcb.pix", "weixin://wxpay/1", "Überweisung 1"):
        assert parsing.shown(text) == text
    for bad in (None, "", "a\x00b", "a\nb", "\ud800", "x" * 2049):
        assert parsing.shown(bad) is None


def test_tables_of_words() -> None:
    assert words.pairs("51 insufficient_funds\n 54 expired_card ") == {
        "51": "insufficient_funds",
        "54": "expired_card",
    }
    with pytest.raises(ValueError, match="shorter"):
        words.pairs("51 insufficient_funds 54")
