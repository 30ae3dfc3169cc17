"""What several channels share: amounts at the provider's scale, careful reading, signatures."""

import hmac
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, TypeVar

import msgspec

from bailiwick.base.money import CURRENCIES
from bailiwick.channels.base import CallbackRefused, CannotExpress, Instruction, Profile, Reply
from bailiwick.channels.redact import redact

T = TypeVar("T")

# Ids end up in PostgreSQL text and in URLs: no control characters, no blanks, bounded.
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+\Z")]
Minor = Annotated[int, msgspec.Meta(ge=0, le=10**15)]

TEST_CARDS = (
    r"pm_card_[A-Za-z0-9_]+"
    r"|tok_(?:[a-z]{2}(?:_[a-z]+)?|(?:amex|authentication|avs|bypass|cartes|charge|create|cvc|debit"
    r"|diners|discover|domestic|eftpos|jcb|mastercard|pending|radar|refund|risk|threeDSecure"
    r"|unionpay|visa)[A-Za-z0-9_]*)"
)
"""The published test cards, as payment methods and as tokens: https://docs.stripe.com/testing. A
token that an account made is ``pm_`` or ``tok_`` and random letters and digits."""

SIGNATURE_WINDOW_S = 300
"""A callback older than this, or further in the future, is refused (replay; clocks differ)."""

RETRYABLE_DECLINES = frozenset(
    {
        "approve_with_id",
        "card_not_supported",
        "currency_not_supported",
        "issuer_not_available",
        "processing_error",
        "try_again_later",
    }
)
"""Declines by which a provider says that *it* cannot, not that the payer or the payer's bank
will not: only these may go on to another gateway. ``do_not_honor`` and ``generic_decline`` are
the bank's own refusal and are not among them. Source: https://docs.stripe.com/declines/codes"""

_WORD = re.compile(r"^[a-z0-9_.\-]{1,64}\Z")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_MESSAGE_CHARS_MAX = 500
_URL_CHARS_MAX = 2048
_URL = re.compile(r"^https?://[\x21-\x7e]+\Z")


def decode(body: bytes, kind: type[T]) -> T | None:
    """The body as a struct of this type, or None when it is not exactly that."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def word(text: str | None) -> str | None:
    """A provider's machine-readable code, or None when it does not look like one."""
    return text if text is not None and _WORD.match(text) is not None else None


def sentence(text: str | None) -> str | None:
    """A provider's message for people, safe to store: printable, bounded, no card number."""
    if text is None:
        return None
    return redact(_UNPRINTABLE.sub(" ", text)).strip()[:_MESSAGE_CHARS_MAX] or None


def link(url: str | None, *, https_only: bool = False) -> str | None:
    """An address to send the payer to, or None when it is not a plain web address."""
    if url is None or len(url) > _URL_CHARS_MAX or _URL.match(url) is None:
        return None
    if https_only and not url.startswith("https://"):
        return None
    return url


def refused(status: int, body: object) -> str | None:
    """Why a provider did not process a request at all, if the answer proves that.

    ``body`` is the decoded error object: without one, an answer may be a middlebox's.
    """
    if body is None:
        return None
    if status in (401, 403):
        return "credentials"
    return "rate_limited" if status == 429 else None


def header(headers: Mapping[str, str], name: str) -> str | None:
    """A header by its lower-case name, however the mapping spells it."""
    found = headers.get(name)
    if found is not None:
        return found
    return next((value for key, value in headers.items() if key.lower() == name), None)


def to_provider(profile: Profile, amount: int, currency: str) -> int:
    """Our minor units in the provider's.

    Raises:
        CannotExpress: this amount; routing asks ``expressible`` first.
    """
    if not expressible(profile, amount, currency):
        raise CannotExpress(
            f"{profile.title} cannot express {amount} minor units of {currency}; nothing was sent. "
            "Change the amount or the currency.",
            param="amount",
        )
    shift = _shift(profile, currency)
    return amount * _power(shift) if shift >= 0 else amount // _power(-shift)


def from_provider(profile: Profile, amount: int | None, currency: str | None) -> int | None:
    """The provider's minor units in ours; None when they are not a whole number of ours."""
    if amount is None or currency is None or currency not in CURRENCIES:
        return None
    shift = _shift(profile, currency)
    if shift <= 0:
        return amount * _power(-shift)
    whole, rest = divmod(amount, _power(shift))
    return whole if rest == 0 else None


def _shift(profile: Profile, currency: str) -> int:
    found = CURRENCIES[currency]
    return profile.exponents.get(currency, found.iso_exponent) - found.exponent


def _power(places: int) -> int:
    power: int = 10**places
    return power


def expressible(profile: Profile, amount: int, currency: str) -> bool:
    """Whether the provider takes this currency and this very amount of it."""
    if profile.currencies is not None and currency not in profile.currencies:
        return False
    if currency not in CURRENCIES:
        return False
    lost = _power(max(0, -_shift(profile, currency)))
    return amount % lost == 0 and amount % profile.multiples.get(currency, 1) == 0


def charge_id(instruction: Instruction) -> str:
    """The provider's id of the charge that a capture, void or refund acts upon.

    Raises:
        CannotExpress: it is not known.
    """
    if not instruction.provider_ref:
        raise CannotExpress(
            f"A {instruction.operation} needs the provider's id of the charge, which is not known; "
            "nothing was sent. Look for the charge in the provider's own records."
        )
    return instruction.provider_ref


def upper(currency: str | None) -> str | None:
    """A provider's currency code as ours, or None when it is not a code at all."""
    if currency is None or len(currency) != 3 or not currency.isascii() or not currency.isalpha():
        return None
    return currency.upper()


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """The hex HMAC-SHA256 of ``timestamp.body``."""
    return hmac.new(secret.encode(), b"%d." % timestamp + body, "sha256").hexdigest()


def check_signature(text: str | None, secrets: Iterable[str], body: bytes, now_ms: int) -> bool:
    """Check a ``t=<unix seconds>,v1=<hex>[,v1=<hex>]`` signature header.

    Any of several ``v1`` (and any of several secrets) may fit, so that secrets can be rotated;
    other schemes are ignored. Comparison takes constant time.

    Returns:
        Whether it was signed within ``SIGNATURE_WINDOW_S`` of ``now_ms``. If not it is genuine all
        the same: it may have been held back and sent again, or a clock is wrong.

    Raises:
        CallbackRefused: no secret, malformed, or no signature fits.
    """
    keys = [secret for secret in secrets if secret.strip()]
    if not keys:
        raise CallbackRefused("no callback secret is configured for this gateway")
    if text is None or len(text) > 4096:
        raise CallbackRefused("the signature header is missing or oversized")
    times: list[str] = []
    given: list[str] = []
    for item in text.split(","):
        scheme, _, value = item.strip().partition("=")
        if scheme == "t":
            times.append(value)
        elif scheme == "v1":
            given.append(value)
    if len(times) != 1 or not given or re.fullmatch(r"[0-9]{1,12}", times[0]) is None:
        raise CallbackRefused("the signature header is malformed")
    timestamp = int(times[0])
    expected = [sign(key, timestamp, body).encode() for key in keys]
    # No early exit: the time taken tells nothing about which of them fitted.
    fits = [
        hmac.compare_digest(mine, theirs.encode("utf-8", "replace"))
        for mine in expected
        for theirs in given
    ]
    if not any(fits):
        raise CallbackRefused("the signature does not fit the body")
    return abs(now_ms - timestamp * 1000) <= SIGNATURE_WINDOW_S * 1000


def not_answered(reply: Reply) -> str:
    """The detail word of an answer that decides nothing."""
    return f"http_{reply.status}" if reply.status != 200 else "unreadable"
