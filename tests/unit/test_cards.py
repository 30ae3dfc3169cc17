"""Card numbers however they are written, what is none, and the work of looking for them."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from bailiwick.base.cards import (
    CARD,
    has_card_number,
    is_card_key,
    is_card_number,
    maybe_card,
    without_cards,
)
from bailiwick.base.errors import ApiError
from bailiwick.serving.card_check import refuse_cards

NUMBERS = {
    "visa": "4242424242424242",
    "visa 13": "4222222222222",
    "mastercard": "5555555555554444",
    "mastercard 2": "2223003122003222",
    "amex": "378282246310005",
    "diners": "30569309025904",
    "discover": "6011111111111117",
    "jcb": "3566002020360505",
    "unionpay": "6200000000000005",
}
SEPARATORS = [
    "", " ", "-", ".", "+", "%20", "  ", "   ", "\t", "\n", "\r\n", "\u00a0", "\u2007", "\u202f",
    "\u3000", "\u200b", "\u00ad", "\u2060", "\ufeff", "\u2010", "\u2013", "\u2014", "\u2212", "_",
    "/", ":", ",", ", ", ";", "|", " - ", " / ", "%2D", "%2d", "%09", "%C2%A0", "%2F", "%3A", "%5F",
]  # fmt: skip
SCRIPTS = {"full width": 0xFF10, "arabic": 0x660, "devanagari": 0x966, "bold": 0x1D7CE}


def grouped(digits: str, separator: str) -> str:
    """A number as it is printed on a card, with other separators."""
    sizes = (4, 6, 5) if len(digits) == 15 else (4, 6, 4) if len(digits) == 14 else (4, 4, 4, 4)
    parts, at = [], 0
    for size in sizes:
        parts.append(digits[at : at + size])
        at += size
    return separator.join(part for part in parts if part)


@pytest.mark.parametrize("separator", SEPARATORS, ids=repr)
@pytest.mark.parametrize("digits", NUMBERS.values(), ids=NUMBERS)
def test_a_number_is_seen_whatever_stands_between(digits: str, separator: str) -> None:
    written = grouped(digits, separator)
    for text in (written, f"card {written} of mine", f"x{written}y", f'{{"n": "{written}"}}'):
        assert maybe_card(text) and has_card_number(text), text
        clean = without_cards(text)
        assert CARD in clean and not has_card_number(clean)
        assert clean == text.replace(written, CARD)
    assert is_card_key(written)


@pytest.mark.parametrize("zero", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize("separator", ["", " ", "\u3000", "/"], ids=repr)
def test_digits_of_every_script_are_digits(zero: int, separator: str) -> None:
    other = str.maketrans({str(n): chr(zero + n) for n in range(10)})
    written = grouped(NUMBERS["visa"], separator).translate(other)
    mixed = written[: len(written) // 2] + grouped(NUMBERS["visa"], separator)[len(written) // 2 :]
    for text in (written, f"card {written}", mixed):
        assert maybe_card(text) and has_card_number(text)
        assert without_cards(text).endswith(CARD)


@pytest.mark.parametrize("digits", NUMBERS.values(), ids=NUMBERS)
def test_single_digits_are_a_number_when_nothing_else_is_there(digits: str) -> None:
    for separator in (" ", "-", "_", "  ", "\u00a0"):
        assert has_card_number(separator.join(digits))


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-30 05:41:14.123456",  # 14 digits that begin like a card's, the check digit too
        "2026-11-30T05:41:14.123456789Z",
        "30/05/41, 14:12, 34:56",
        "36,38,40,42,44,46,48",
        "4,5,5,4,3,5,4,4,5,5,4,3,5,4,4,5,4,4,5",
        "192.168.100.200, 192.168.100.201",
        "order 4242 of 4242",
        "+49 30 1234 5678",
        "48.137154,11.576124",
        "0.4242424242424242",
        "3c4242ab-4242-4242-4242-424242424242",
        "4242424242424241",
        "42424242424242424242424242",
    ],
)
def test_what_is_no_card_number(text: str) -> None:
    assert not has_card_number(text)


def test_the_check_digit_decides() -> None:
    for digits in NUMBERS.values():
        assert is_card_number(digits)
        for other in "0123456789":
            changed = digits[:-1] + other
            assert is_card_number(changed) is (changed == digits)


HOSTILE = {
    "4+": "4+", "4,": "4,", "4": "4", "4444:": "4444:", "decimals": "1.4444444", "hex": "4a",
    "escapes": "4%20", "wide": "\uff14", "no-break": "4\u00a0", "wide gaps": "4    ",
    "wider gaps": "4     ", "hex and dash": "4444444a-", "blanks": " ", "19": "4" * 19 + " ",
    "11": "4" * 11 + "x", "uuid": "4444444a-4444-4444-4444-44444444444g", "percent": "%",
    "zero": "0",
    "cards": "4242424242424242 ", "luhn": "0000000000000000,",
}  # fmt: skip


def lines_run(work: Callable[[], Any]) -> int:
    """How many lines of Python a call runs: its work, without a clock."""
    count = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("scan", [has_card_number, without_cards, is_card_key, maybe_card])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_the_work_grows_with_the_length_alone(scan: Callable[[str], Any], text: str) -> None:
    """``bailiwick_lab.bench.parts.scan`` shows the same as time per byte, up to a megabyte."""
    scan(text * 100)  # fills the tables that are kept
    small = lines_run(lambda: scan(text * 1_000))
    large = lines_run(lambda: scan(text * 4_000))
    assert large <= 4 * small + 400, (small, large)
    assert large <= 60 * len(text) * 4_000 + 400


def test_a_wrong_request_is_read_only_so_far() -> None:
    params = {"a": {str(n): "x" * 1_000 for n in range(100)}, "b": NUMBERS["visa"]}
    refuse_cards(params, chars_max=4_096)
    with pytest.raises(ApiError, match="card number"):
        refuse_cards({"b": NUMBERS["visa"], **params}, chars_max=4_096)
    with pytest.raises(ApiError) as caught:
        refuse_cards(params)
    assert caught.value.param == "b"


def test_time_per_byte_is_shown() -> None:
    """The command of the page on benchmarks."""
    command = [sys.executable, "-m", "bailiwick_lab.bench.parts.scan", "--json", "--kilobytes", "1"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    report = json.loads(out)
    assert report["sizes_kb"] == [1]
    assert {"has_card_number", "form", "json"} <= {row["scanner"] for row in report["rows"]}
    assert all(row["ns_per_byte"][0] > 0 for row in report["rows"])
