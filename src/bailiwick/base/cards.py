"""Recognise card numbers, so that they are refused at the edge and never kept.

Issuer range, length and check digit together, so that order numbers and timestamps stay.
Ranges: the card schemes' published issuer identification numbers (ISO/IEC 7812).

A text is read in time that grows with its length and with nothing else, whatever it holds: who
sends it may have made it to be slow.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate, pairwise

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
_DIGITS_MIN, _DIGITS_MAX = 12, 19
_KEY_GROUP_MAX = 6
_PREFIX = 4

# Digits and what may stand between the groups of one number: up to four characters. A card is
# written with one of the first kind in any grouping; with others, or with several, they are
# more often lists, dates and times, so that only the groupings printed on cards count.
_USUAL = frozenset(" -.+")
_RUN = re.compile(r"[0-9]++(?:(?:[\s\-.+_/:,;|*~]\0*+){1,4}+[0-9]++)*+")
_GROUP = re.compile(r"[0-9]+")
_ESCAPED = re.compile(r"%(?:20|09|0a|0d|2[b-f]|3a|3b|5f|7c|a0|c2%a0)", re.IGNORECASE)
_FOREIGN = re.compile(r"[^\x00-\x7f]")
_PRINTED = frozenset({(4, 6, 5), (4, 6, 4)})
_GROUPED_MIN = 4
_NO_CARD = re.compile(
    r"""
      \b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b              # a UUID
    | (?<![0-9a-z])(?=[0-9]*+[a-f])[0-9a-f]{32,128}+(?![0-9a-z])   # a digest in hexadecimal
    | (?<![0-9.])[0-9]{1,3}+\.[0-9]{7,}+(?![0-9.])                 # a random number, a coordinate
    """,
    re.IGNORECASE | re.VERBOSE,
)
# Twelve digits near each other: seldom, and only then is a text looked at closely.
_LONG_NUMBER = re.compile(r"(?:\d(?:%[0-9A-Fa-f]{2}|[\W_]){0,4}+){12}")
_NO_DIGITS = bytes(each for each in range(256) if not 48 <= each <= 57)
_TWICE = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))
_ONCE = bytes.maketrans(b"0123456789", bytes(range(10)))


def maybe_card(text: str) -> bool:
    """Whether there is anything to look at closely; cheap, and never False for a card number."""
    if text.isascii():
        digits = text.encode("ascii").translate(None, _NO_DIGITS)
        return len(digits) >= _DIGITS_MIN and _LONG_NUMBER.search(text) is not None
    return _LONG_NUMBER.search(text) is not None or _LONG_NUMBER.search(_plain(text)) is not None


def is_card_number(digits: str) -> bool:
    """Whether a string of ASCII digits has a card's issuer range, length and check digit."""
    return len(digits) in _lengths(digits[:_PREFIX]) and _Sums(digits).luhn(0, len(digits))


def has_card_number(text: str) -> bool:
    """Whether a card number is anywhere in the text, plain or grouped, in digits of any script.

    Passed over are UUIDs, digests and the long fractions of decimal numbers, as ``Math.random()``
    gives them: clients make keys of all three, one in hundreds or thousands has digits that fit,
    and no card is written so.
    """
    return _has(text, _DIGITS_MAX)


def is_card_key(key: str) -> bool:
    """Whether an idempotency key holds a card number as cards are written: in one piece, or in
    groups of at most six. Keys are often made of numbers with a hyphen between."""
    return maybe_card(key) and _has(key, _KEY_GROUP_MAX)


def without_cards(text: str) -> str:
    """The text with every card number replaced by ``[card]``."""
    pieces: list[str] = []
    done = 0
    for start, end in _cards(_plain(text), _DIGITS_MAX):
        pieces += text[done:start], CARD
        done = end
    return "".join((*pieces, text[done:])) if pieces else text


def _has(text: str, group_max: int) -> bool:
    plain = _NO_CARD.sub(" x ", _plain(text))
    return next(_cards(plain, group_max), None) is not None


def _plain(text: str) -> str:
    """The text with ASCII digits and separators for those of other scripts and for escaped ones;
    as long as before, so that places in it are places in the text."""
    if not text.isascii():
        text = _FOREIGN.sub(_ascii_of, text)
    return _ESCAPED.sub(_unescaped, text) if "%" in text else text


def _ascii_of(found: re.Match[str]) -> str:
    return _ascii(found[0])


@lru_cache(maxsize=4096)
def _ascii(char: str) -> str:
    digit = unicodedata.digit(char, None)
    if digit is not None:
        return str(digit)
    kind = unicodedata.category(char)
    if kind == "Pd" or char == "\N{MINUS SIGN}":
        return "-"
    return "\t" if kind[0] in "PSZC" else char


def _unescaped(found: re.Match[str]) -> str:
    code = int(found[0][-2:], 16)
    return ("\t" if code == 0xA0 else chr(code)).ljust(len(found[0]), "\0")


@lru_cache(maxsize=10_000)
def _lengths(prefix: str) -> frozenset[int]:
    """How long a card number is that begins so; empty for what begins no card number."""
    return frozenset(
        length
        for first, last, lengths in _RANGES
        if first <= prefix[: len(first)] <= last
        for length in lengths
    )


class _Sums:
    """Check sums of any part of a row of digits, from running totals (Luhn, ISO/IEC 7812-1)."""

    def __init__(self, digits: str) -> None:
        row = digits.encode("ascii")
        once, twice = row.translate(_ONCE), row.translate(_TWICE)
        even, odd = bytearray(once), bytearray(once)
        even[0::2], odd[1::2] = twice[0::2], twice[1::2]
        self._doubled = (
            list(accumulate(even, initial=0)),
            list(accumulate(odd, initial=0)),
        )

    def luhn(self, start: int, end: int) -> bool:
        """Whether the digits from ``start`` up to ``end`` have the right last digit."""
        totals = self._doubled[end % 2]
        return (totals[end] - totals[start]) % 10 == 0


def _cards(plain: str, group_max: int) -> Iterator[tuple[int, int]]:
    """Where card numbers stand: from the start of a group of digits to the end of one. Groups of
    more than ``group_max`` digits stand alone."""
    for run in _RUN.finditer(plain):
        if run.end() - run.start() >= _DIGITS_MIN:
            yield from _in_run(plain, run.start(), run.end(), group_max)


def _in_run(plain: str, begin: int, end: int, group_max: int) -> Iterator[tuple[int, int]]:
    groups = [found.span() for found in _GROUP.finditer(plain, begin, end)]
    digits = "".join([plain[start:stop] for start, stop in groups])
    if len(digits) < _DIGITS_MIN:
        return
    sums: _Sums | None = None
    # How many groups have ended when so many digits are read; 0: in the middle of one.
    ended = [0] * (len(digits) + 1)
    read = 0
    for number, (start, stop) in enumerate(groups):
        read += stop - start
        ended[read] = number + 1
    skip_until = at = 0
    for number, (start, stop) in enumerate(groups):
        if number >= skip_until:
            for length in _lengths(digits[at : at + _PREFIX]):
                last = ended[at + length] if at + length <= len(digits) else 0
                if not last:
                    continue
                sums = sums or _Sums(digits)
                if sums.luhn(at, at + length) and _written_so(
                    plain, groups[number:last], len(groups), group_max
                ):
                    yield start, groups[last - 1][1]
                    skip_until = last
                    break
        at += stop - start


def _written_so(
    plain: str, groups: list[tuple[int, int]], groups_of_run: int, group_max: int
) -> bool:
    """Whether card numbers are grouped like this."""
    if len(groups) == 1:
        return True
    sizes = tuple(stop - start for start, stop in groups)
    if max(sizes) > group_max:
        return False
    gaps = {plain[before[1] : after[0]].rstrip("\0") for before, after in pairwise(groups)}
    if gaps <= _USUAL or sizes in _PRINTED:
        return True
    if sizes[0] == 1:
        return max(sizes) == 1 and len(groups) == groups_of_run
    return sizes[0] >= _GROUPED_MIN and set(sizes[:-1]) == {sizes[0]} and sizes[-1] <= sizes[0]
