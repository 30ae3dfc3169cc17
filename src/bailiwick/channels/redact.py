"""Remove secrets, tokens and card numbers from what is kept of an exchange.

For transcripts, traces and error texts. A card number is recognised by issuer range, length and
check digit together, so that order numbers and timestamps stay readable. Ranges: the card
schemes' published issuer identification numbers (ISO/IEC 7812).
"""

import re
from collections.abc import Iterable, Mapping

from bailiwick.channels.base import Exchange, Request

REMOVED = "[removed]"
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
_RUN = re.compile(r"[0-9]+(?:(?:[ \-.+]|%20)[0-9]+)*")
_GROUP = re.compile(r"(?<!%)[0-9]+")
_CARD_DIGITS_MIN, _CARD_DIGITS_MAX = 12, 19
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)

_TOKENS = re.compile(
    r"\b(?:sk|rk|pk)_(?:test|live)_[A-Za-z0-9_]+|\bwhsec_[A-Za-z0-9+/=_]+"
    r"|\b(?:pi|seti)_[A-Za-z0-9]+_secret_[A-Za-z0-9]+"
    r"|\b(?:pm|tok|src|btok|card)_[A-Za-z0-9]{14,}\b"
    r"|\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]*"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)(?:\s+|%20|\+)[A-Za-z0-9._~+/=\-]{6,}")
_NAMES = (
    r"api_?key|client_?secret|secret|password|passwd|cvc2?|cvv2?|security_?code|access_?token"
    r"|refresh_?token|private_?key|pin|track[12]?(?:_?data)?"
)
_JSON_FIELD = re.compile(rf'(?i)("(?:[a-z0-9_]*_)?(?:{_NAMES})"\s*:\s*)("(?:[^"\\]|\\.)*"|[0-9.]+)')
_FORM_FIELD = re.compile(
    rf"(?i)((?:^|[?&\[]|%5B)(?:[a-z0-9_]*_)?(?:{_NAMES})(?:\]|%5D)?=)([^&\s\"]*)"
)

_SECRET_HEADERS = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "api-key",
        "stripe-signature",
        "sandbox-signature",
    }
)


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
        for first, last, lengths in _RANGES
    )
    return in_range and _luhn(digits)


def _cards(run: str) -> list[tuple[int, int]]:
    """Where card numbers stand in a run of digit groups: from one group's start to an end."""
    blank = run.replace("%20", "   ")
    groups = [(found.start(), found.end()) for found in _GROUP.finditer(blank)]
    spans: list[tuple[int, int]] = []
    first = 0
    while first < len(groups):
        digits = ""
        step = 1
        for last in range(first, len(groups)):
            digits += blank[groups[last][0] : groups[last][1]]
            if len(digits) > _CARD_DIGITS_MAX:
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
    """Whether a card number is anywhere in the text, plain or grouped."""
    return any(
        len(found.group()) >= _CARD_DIGITS_MIN and _cards(found.group())
        for found in _RUN.finditer(text)
    )


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without card numbers, tokens, named secrets and the given literal secrets."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, REMOVED)
    text = _BEARER.sub(rf"\1 {REMOVED}", text)
    text = _TOKENS.sub(REMOVED, text)
    text = _JSON_FIELD.sub(rf'\1"{REMOVED}"', text)
    text = _FORM_FIELD.sub(rf"\1{REMOVED}", text)
    return _RUN.sub(_without_cards, text)


def headers(given: Mapping[str, str], secrets: Iterable[str] = ()) -> dict[str, str]:
    """Headers with lower-case names, sorted, without what authenticates anybody."""
    known = tuple(secrets)
    return {
        name.lower(): REMOVED if name.lower() in _SECRET_HEADERS else redact(value, known)
        for name, value in sorted(given.items(), key=lambda item: item[0].lower())
    }


def transcript(
    request: Request, exchange: Exchange, secrets: Iterable[str] = ()
) -> dict[str, object]:
    """One exchange as plain data that may be kept: everything in it is redacted."""
    known = tuple(secrets)
    reply = exchange.reply
    return {
        "request": {
            "method": request.method,
            "url": redact(request.url, known),
            "headers": headers(request.headers, known),
            "body": redact(request.body.decode("utf-8", "replace"), known),
        },
        "phase": exchange.phase.value,
        "error": exchange.error,
        "reply": None
        if reply is None
        else {
            "status": reply.status,
            "headers": headers(reply.headers, known),
            "body": redact(reply.body.decode("utf-8", "replace"), known),
        },
    }
