"""Secrets that replace each other: none of those that receivers hold stops working too early."""

import pytest
import standardwebhooks
import stripe
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.base.clock import now_ms
from bailiwick.delivery.secrets import (
    KNOWN_MAX,
    VALID_BEFORE_MAX,
    Old,
    TooMany,
    UsedBefore,
    replaced,
    valid,
)
from bailiwick.delivery.webhooks import Endpoint, signatures

A, B, C, D, E = ("whsec_" + letter * 32 for letter in "ABCDE")


def endpoint(secret: str, old: list[Old]) -> Endpoint:
    return Endpoint("we_1", "acct_1", False, "https://x/", secret, ["*"], "enabled", 1, {}, old)


def test_both_are_proof_while_they_overlap_and_the_new_one_alone_after() -> None:
    old = replaced([], A, B, 1_000, 61_000)
    assert endpoint(B, old).secrets(60_999) == [B, A]
    assert endpoint(B, old).secrets(61_000) == [B]
    body = b'{"id":"evt_1"}'
    headers = signatures([B, A], "evt_1", body, now_ms() // 1000)
    assert headers["Stripe-Signature"].count("v1=") == 2
    for secret in (A, B):
        stripe.WebhookSignature.verify_header(body.decode(), headers["Stripe-Signature"], secret)
        standardwebhooks.Webhook(secret).verify(body, headers)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(body.decode(), headers["Stripe-Signature"], C)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(C).verify(body, headers)


def test_a_roll_that_reached_some_nodes_only_leaves_the_first_secret_valid_there() -> None:
    """One node has B, which nobody was told; then C is made everywhere: A still signs."""
    here = replaced(replaced([], A, B, 0, 100), B, C, 10, 200)
    there = replaced([], A, C, 10, 200)
    assert endpoint(C, here).secrets(50) == [C, B, A]
    assert endpoint(C, there).secrets(50) == [C, A]


def test_one_that_leaked_ends_with_all_before_it_at_once() -> None:
    old = replaced(replaced([], A, B, 0, 10**9), B, C, 5, 0)
    assert endpoint(C, old).secrets(6) == [C]
    assert all(each.secret is None for each in old), "and is not even kept"


def test_an_old_request_brings_no_secret_back() -> None:
    old = replaced(replaced([], A, B, 0, 10), B, C, 20, 30)
    for before in (A, B):
        with pytest.raises(UsedBefore):
            replaced(old, C, before, 40, 50)


def test_no_more_than_a_header_should_hold() -> None:
    old: list[Old] = []
    for before, after in ((A, B), (B, C), (C, D)):
        old = replaced(old, before, after, 0, 100)
    assert len(valid(old, 50)) == VALID_BEFORE_MAX
    with pytest.raises(TooMany):
        replaced(old, D, E, 50, 200)
    assert endpoint(E, replaced(old, D, E, 100, 200)).secrets(150) == [E, D]
    assert endpoint(E, replaced(old, D, E, 50, 0)).secrets(60) == [E]


@given(st.lists(st.tuples(st.integers(0, 1_000), st.integers(-1, 500)), max_size=80))
def test_what_is_kept_is_bounded_and_nothing_valid_is_lost(steps: list[tuple[int, int]]) -> None:
    old: list[Old] = []
    now, current = 0, "s0"
    until: dict[str, int] = {}
    for number, (pause, overlap) in enumerate(steps, 1):
        now += pause
        after = f"s{number}"
        try:
            old = replaced(old, current, after, now, now + overlap)
        except TooMany:
            assert len(valid(old, now)) >= VALID_BEFORE_MAX
            continue
        until = {} if overlap <= 0 else {**until, current: now + overlap}
        current = after
        wanted = [name for name, end in until.items() if now < end]
        assert {each.secret for each in valid(old, now)} == set(wanted)
        assert len(old) <= KNOWN_MAX
