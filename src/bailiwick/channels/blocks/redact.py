"""Remove secrets, tokens and card numbers from what is kept of an exchange.

For transcripts, traces and error texts. A card number is recognised by issuer range, length and
check digit together, so that order numbers and timestamps stay readable. Ranges: the card
schemes' published issuer identification numbers (ISO/IEC 7812).
"""

import re
from collections.abc import Iterable, Mapping

from bailiwick.base.cards import without_cards
from bailiwick.channels.contract import Exchange, Request

REMOVED = "[removed]"

_TOKENS = re.compile(
    r"\b(?:sk|rk|pk)_(?:test|live)_[A-Za-z0-9_]+|\bwhsec_[A-Za-z0-9+/=_]+"
    r"|\b(?:pi|seti)_[A-Za-z0-9]+_secret_[A-Za-z0-9]+"
    r"|\b(?:pm|tok|src|btok|card)_[A-Za-z0-9]{14,}\b"
    r"|\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]*"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)(?:\s+|%20|\+)[A-Za-z0-9._~+/=\-]{6,}")
_NAMES = (
    r"api_?key|client_?secret|secret|password|passwd|cvc2?|cvv2?|security_?code|access_?token"
    r"|refresh_?token|authorization_?code|private_?key|pin|track[12]?(?:_?data)?"
)
_JSON_FIELD = re.compile(rf'(?i)("(?:[a-z0-9_]*_)?(?:{_NAMES})"\s*:\s*)("(?:[^"\\]|\\.)*"|[0-9.]+)')
_FORM_FIELD = re.compile(
    rf"(?i)((?:^|[?&\[]|%5B)(?:[a-z0-9_]*_)?(?:{_NAMES})(?:\]|%5D)?=)([^&\s\"]*)"
)

SECRET_HEADERS = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "api-key",
    }
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
    return without_cards(text)


def headers(
    given: Mapping[str, str], secrets: Iterable[str] = (), removed: Iterable[str] = ()
) -> dict[str, str]:
    """Headers with lower-case names, sorted, without what authenticates anybody.

    ``removed``: names of further such headers, in lower case.
    """
    known, gone = tuple(secrets), SECRET_HEADERS.union(removed)
    return {
        name.lower(): REMOVED if name.lower() in gone else redact(value, known)
        for name, value in sorted(given.items(), key=lambda item: item[0].lower())
    }


def transcript(
    request: Request,
    exchange: Exchange,
    secrets: Iterable[str] = (),
    secret_headers: Iterable[str] = (),
) -> dict[str, object]:
    """One exchange as plain data that may be kept: everything in it is redacted.

    ``secret_headers`` are those that the channel declares (``Profile.secret_headers``).
    """
    known, gone = tuple(secrets), tuple(secret_headers)
    reply = exchange.reply
    return {
        "request": {
            "method": request.method,
            "url": redact(request.url, known),
            "headers": headers(request.headers, known, gone),
            "body": redact(request.body.decode("utf-8", "replace"), known),
        },
        "phase": exchange.phase.value,
        "error": exchange.error,
        "reply": None
        if reply is None
        else {
            "status": reply.status,
            "headers": headers(reply.headers, known, gone),
            "body": redact(reply.body.decode("utf-8", "replace"), known),
        },
    }
