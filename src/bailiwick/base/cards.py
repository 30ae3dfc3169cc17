"""Recognise card numbers, so that they are refused at the edge and never kept.

Issuer range, length and check digit together, so that order numbers and timestamps pass.
Ranges: the card schemes' published issuer identification numbers (ISO/IEC 7812).
"""

import re

# first, last (as digits of equal width), lengths
_RANGES: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("4", "4", (13, 16, 19)),
    ("51", "55", (16,)),
    ("2221", "2720", (16,)),
    ("34", "34", (15,)),
    ("37", "37", (15,)),
    ("300", "305", (14, 16, 17, 18, 19)),
    ("309", "309", (14, 16, 17, 18, 19)),
    ("36", "36", (14, 15, 16, 17, 18, 19)),
    ("38", "39", (14, 16, 17, 18, 19)),
    ("3528", "3589", (16, 17, 18, 19)),
    ("6011", "6011", (16, 17, 18, 19)),
    ("644", "649", (16, 17, 18, 19)),
    ("65", "65", (16, 17, 18, 19)),
    ("60", "60", (16,)),
    ("62", "62", (16, 17, 18, 19)),
    ("81", "82", (16, 17, 18, 19)),
    ("508", "508", (16,)),
    ("5018", "5018", tuple(range(12, 20))),
    ("5020", "5020", tuple(range(12, 20))),
    ("5038", "5038", tuple(range(12, 20))),
    ("5893", "5893", tuple(range(12, 20))),
    ("6304", "6304", tuple(range(12, 20))),
    ("6759", "6763", tuple(range(12, 20))),
    ("2200", "2204", (16, 17, 18, 19)),
    ("506", "507", (16, 18, 19)),
    ("6363", "6363", (16,)),
    ("9792", "9792", (16,)),
)
CANDIDATE = re.compile(r"(?<!\d)\d(?:(?:[ \-.+]|%20)?\d){11,18}(?!\d)")
_SEPARATORS = re.compile(r"%20|[ \-.+]")
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def _luhn(digits: str) -> bool:
    total = 0
    for place, char in enumerate(reversed(digits)):
        value = ord(char) - 48
        total += _DOUBLED[value] if place % 2 else value
    return total % 10 == 0


def is_card(text: str) -> bool:
    """Whether these digits (separators allowed) are a card number."""
    digits = _SEPARATORS.sub("", text)
    if not digits.isascii() or not digits.isdigit() or not _luhn(digits):
        return False
    return any(
        first <= digits[: len(first)] <= last and len(digits) in lengths
        for first, last, lengths in _RANGES
    )


def find_card(text: str) -> str | None:
    """The first card number in a text, as it stands there."""
    for match in CANDIDATE.finditer(text):
        if is_card(match[0]):
            return match[0]
    return None
