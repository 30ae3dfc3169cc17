"""Card numbers, tokens and secrets go; order numbers, times and ids stay."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.base.cards import has_card_number, is_card_key, is_card_number
from bailiwick.channels.blocks.redact import redact, transcript
from bailiwick.channels.contract import Exchange, Phase, Reply, Request

CARDS = [
    "4242424242424242",
    "4000056655665556",
    "5555555555554444",
    "2223003122003222",
    "378282246310005",
    "371449635398431",
    "6011111111111117",
    "3056930009020004",
    "36227206271667",
    "3566002020360505",
    "6200000000000005",
    "4222222222222",
    "6759649826438453",
]


@pytest.mark.parametrize("card", CARDS)
def test_published_test_cards_are_found(card: str) -> None:
    assert is_card_number(card)
    groups = [card[start : start + 4] for start in range(0, len(card), 4)]
    for text in (card, " ".join(groups), "-".join(groups), "+".join(groups), "%20".join(groups)):
        for around in (f'{{"number":"{text}"}}', f"card={text}&x=1", f"on {text}, 7 of 12"):
            assert has_card_number(around)
            clean = redact(around)
            assert not has_card_number(clean)
            assert card[-4:] not in clean


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424241",  # the check digit is wrong
        "1790000000000000",  # no issuer range
        "created 1790000000000 ms",
        "order 20261123-000042-0001",
        "0000000000000000",
        "42424242",
        "424242424242424242424242424242",
        "pi_01jd3x4m5n6p7q8r9s0tabcdef",
        '{"amount":1099,"created":1790000000}',
    ],
)
def test_other_numbers_stay(text: str) -> None:
    assert not has_card_number(text)
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abc.def-123", "abc.def-123"),
        ("key sk_live_51abcDEF", "51abcDEF"),
        ("rk_test_zzz9", "zzz9"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8"),
        ('{"client_secret": "pi_77_secret_Dm43"}', "Dm43"),
        ('{"api_key":"k\\"qqq"}', "qqq"),
        ('{"cvc":"123","cvv": 456}', "123"),
        ("card[cvc]=987&x=1", "987"),
        ("card%5Bcvc%5D=987", "987"),
        ("a=1&password=hunter2", "hunter2"),
        ("https://x.test/?access_token=tttt", "tttt"),
        ('{"authorization_code":"AUTH_uh8bcl3zbn"}', "uh8bcl3zbn"),
        ("pm_1PgafyB7WZ01zgkWSjxsAJo3", "PgafyB7"),
        ("my literal", "literal"),
    ],
)
def test_secrets_go(text: str, secret: str) -> None:
    assert secret not in redact(text, ["literal"])


def test_test_tokens_and_references_stay() -> None:
    text = "payment_method=pm_card_visa&reference=ch_a1&pinned=1"
    assert redact(text) == text


@given(st.text(max_size=60), st.sampled_from(CARDS), st.text(max_size=60))
def test_redaction_is_final(before: str, card: str, after: str) -> None:
    clean = redact(f"{before}|{card}|{after}")
    assert card not in clean
    assert redact(clean) == clean


def test_hardly_any_order_number_is_taken_for_a_card() -> None:
    numbers = random.Random(1)
    taken = sum(is_card_number(str(numbers.randrange(10**15, 10**16))) for _ in range(5000))
    assert taken < 5000 * 0.04


def test_a_transcript_is_plain_and_clean() -> None:
    request = Request(
        "POST", "https://x.test/?api_key=kk", {"X-API-Key": "zz"}, b"\xff4242424242424242"
    )
    reply = Reply(200, {"set-cookie": "sid=1", "b": "2"}, b'{"secret":"s"}')
    kept = transcript(request, Exchange(Phase.ANSWERED, reply))
    text = str(kept)
    for secret in ("kk", "zz", "4242", "sid", '"s"'):
        assert secret not in text


def test_a_uuid_is_no_card_number() -> None:
    """Luhn and issuer range fit by chance now and then: it is still a key."""
    groups = [f"{number:012}" for number in range(601_100_099_000, 601_100_100_000)]
    assert any(has_card_number(f"key 4242 {group}") for group in groups)
    assert not any(has_card_number(f"key 0a3f9c1e-5b7d-4c3a-4242-{group}") for group in groups)
    assert has_card_number("3c4242ab-9f4a-4b4c-8a37-601100099013 4242 4242 4242 4242")


@pytest.mark.parametrize(
    ("key", "card"),
    [
        ("order-4242-4242-4242-4242", True),
        ("4242424242424242", True),
        ("3782 822463 10005", True),
        ("k426731234-1008", False),  # thirteen digits that fit, in groups that cards have not
        ("2026-11-23-4111-1", False),
        ("node-1796000000000-0.4242424242424242", False),  # as Math.random() writes it
        ("0.4242424242424242", False),
        ("order_00a4242424242424242bcdefabcdefabcd", False),  # a digest
        ("a4242424242424242b", True),
        ("0" * 16 + "4242424242424242", False),  # too long a number for a card
        ("v1.2.4242424242424242", True),
        ("1234.4242424242424242", True),
    ],
)
def test_a_key_holds_a_card_as_cards_are_written(key: str, card: bool) -> None:
    assert is_card_key(key) is card
