"""Recognise card numbers, so that they are refused at the edge and never kept.

Issuer range, length and check digit together, so that order numbers and timestamps stay.
Ranges: the card schemes' published issuer identification numbers (ISO/IEC 7812).
"""

import re

CARD = "[card]"

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
_BY_FIRST = {
    digit: tuple(
        each for each in _RANGES if each[0][0] == digit or each[0][0] < digit <= each[1][0]
    )
    for digit in "0123456789"
}
_RUN = re.compile(r"[0-9]+(?:(?:[ \-.+]|%20)[0-9]+)*")
_NO_CARD = re.compile(
    r"""
      \b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b              # a UUID
    | (?<![0-9a-z])(?=[0-9]*[a-f])[0-9a-f]{32,128}(?![0-9a-z])     # a digest in hexadecimal
    | (?<![0-9.])[0-9]{1,3}\.[0-9]{7,}(?![0-9.])                   # a random number, a coordinate
    """,
    re.IGNORECASE | re.VERBOSE,
)
_GROUP = re.compile(r"(?<!%)[0-9]+")
_CARD_DIGITS_MIN, _CARD_DIGITS_MAX = 12, 19
_KEY_GROUP_MAX = 6
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


# Twelve digits near each other: seldom, and only then is every field looked at closely.
_LONG_NUMBER = re.compile(r"(?:\d[ \-.+]?){12}")


def maybe_card(text: str) -> bool:
    """Whether there is anything to look at closely; cheap, and never False for a card number."""
    return _LONG_NUMBER.search(text) is not None


def _luhn(digits: str) -> bool:
    total = 0
    for place, char in enumerate(reversed(digits)):
        digit = ord(char) - 48
        total += _DOUBLED[digit] if place % 2 else digit
    return total % 10 == 0


def is_card_number(digits: str) -> bool:
    """Whether a string of ASCII digits has a card's issuer range, length and check digit."""
    size = len(digits)
    in_range = any(
        size in lengths and first <= digits[: len(first)] <= last
        for first, last, lengths in _BY_FIRST[digits[0]]
    )
    return in_range and _luhn(digits)


def _cards(run: str, group_max: int = _CARD_DIGITS_MAX) -> list[tuple[int, int]]:
    """Where card numbers stand in a run of digit groups: from one group's start to an end. Groups
    of more than ``group_max`` digits stand alone."""
    blank = run.replace("%20", "   ")
    groups = [(found.start(), found.end()) for found in _GROUP.finditer(blank)]
    spans: list[tuple[int, int]] = []
    first = 0
    while first < len(groups):
        digits = ""
        step = 1
        longest = 0
        for last in range(first, len(groups)):
            digits += blank[groups[last][0] : groups[last][1]]
            longest = max(longest, groups[last][1] - groups[last][0])
            if len(digits) > _CARD_DIGITS_MAX or (last > first and longest > group_max):
                break
            if len(digits) >= _CARD_DIGITS_MIN and is_card_number(digits):
                spans.append((groups[first][0], groups[last][1]))
                step = last - first + 1
                break
        first += step
    return spans


def _without_cards(match: re.Match[str]) -> str:
    run = match.group()
    if len(run) < _CARD_DIGITS_MIN:
        return run
    for start, end in reversed(_cards(run)):
        run = run[:start] + CARD + run[end:]
    return run


def has_card_number(text: str) -> bool:
    """Whether a card number is anywhere in the text, plain or grouped. Passed over are UUIDs,
    digests and the long fractions of decimal numbers, as ``Math.random()`` gives them: clients make
    keys of all three, one in hundreds or thousands has digits that fit, and no card is written so.
    """
    return _has(text, _CARD_DIGITS_MAX)


def is_card_key(key: str) -> bool:
    """Whether an idempotency key holds a card number as cards are written: in one piece, or in
    groups of at most six. Keys are often made of numbers with a hyphen between."""
    return maybe_card(key) and _has(key, _KEY_GROUP_MAX)


def _has(text: str, group_max: int) -> bool:
    return any(
        len(found.group()) >= _CARD_DIGITS_MIN and _cards(found.group(), group_max)
        for found in _RUN.finditer(_NO_CARD.sub(" x ", text))
    )


def without_cards(text: str) -> str:
    """The text with every card number replaced by ``[card]``."""
    return _RUN.sub(_without_cards, text)
