"""What is kept of a webhook's try: bounded, without card numbers, cookies or what no text is."""

import ssl

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.base.cards import has_card_number
from bailiwick.delivery.lookups import NotPublic
from bailiwick.delivery.post import failure_of
from bailiwick.delivery.tries import (
    BODY_CHARS_MAX,
    HEADER_CHARS_MAX,
    HEADER_NAME_CHARS_MAX,
    HEADERS_MAX,
    HELD_BACK,
    bounded_body,
    bounded_headers,
)

CARD = "4242 4242 4242 4242"


@pytest.mark.parametrize("before", [0, 1, 1_000, *range(BODY_CHARS_MAX - 24, BODY_CHARS_MAX + 3)])
def test_a_card_number_is_not_kept_wherever_it_stands(before: int) -> None:
    said, _ = bounded_body(("x" * before + CARD + " thanks").encode(), more=False)
    assert not has_card_number(said)
    assert "4242" not in said
    assert len(said) <= BODY_CHARS_MAX


@given(st.binary(max_size=20_000), st.booleans())
def test_any_bytes_become_a_bounded_text(raw: bytes, more: bool) -> None:
    said, cut = bounded_body(raw, more=more)
    assert len(said) <= BODY_CHARS_MAX and "\0" not in said
    said.encode()
    assert cut or (not more and len(raw.decode("utf-8", "replace")) <= BODY_CHARS_MAX)


@given(st.lists(st.tuples(st.text(min_size=1, max_size=200), st.text(max_size=2_000)), max_size=60))
def test_any_headers_are_bounded(headers: list[tuple[str, str]]) -> None:
    found = bounded_headers(headers)
    assert len(found) <= HEADERS_MAX
    for name, value in found.items():
        assert len(name) <= HEADER_NAME_CHARS_MAX and len(value) <= HEADER_CHARS_MAX
        (name + value).encode()
        assert "\0" not in name + value


def test_headers_as_they_are_shown() -> None:
    given = [("Set-Cookie", "session=secret"), ("X-Order", f"paid with {CARD}"), ("Via", "a"),
             ("via", "b"), ("Odd", "\udcff")]  # fmt: skip
    assert bounded_headers(given) == {
        "set-cookie": HELD_BACK, "x-order": "paid with [card]", "via": "a, b", "odd": "?",
    }  # fmt: skip


def _chained(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (TimeoutError(), "timeout"),
        (_chained(aiohttp.ClientError(), NotPublic("x")), "address_refused"),
        (NotPublic("x"), "address_refused"),
        (aiohttp.ServerDisconnectedError(), "disconnected"),
        (ConnectionResetError(), "disconnected"),
        (_chained(ValueError("a"), ValueError("b")), "no_http"),
        (aiohttp.ClientPayloadError(), "no_http"),
        (_chained(aiohttp.ClientError(), ssl.SSLError()), "no_http"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_why_there_was_no_answer(error: Exception, word: str) -> None:
    assert failure_of(error) == word
