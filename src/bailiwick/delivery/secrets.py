"""The secrets of an endpoint: one that signs, and those before it that still do for a while. Pure.

A receiver holds one of them. While secrets overlap, each delivery bears a signature for each of
them, as both conventions allow, and any is proof:
https://docs.stripe.com/webhooks#verify-official-libraries,
https://www.standardwebhooks.com (several signatures, separated by spaces).
"""

from collections.abc import Sequence
from hashlib import sha256

import msgspec

OVERLAP_MAX_S = 7 * 86_400
OVERLAP_S = 86_400
"""How long the secret before stays valid, unless a request says otherwise."""
VALID_BEFORE_MAX = 3
"""Of earlier secrets that are still valid: so many signatures more does a delivery bear."""
KNOWN_MAX = 32
"""Of earlier secrets that are known by their digests, so that a late repetition of an old request
does not bring one back."""


class Old(msgspec.Struct, frozen=True):
    """A secret that was replaced.

    Attributes:
        digest: of it. until_ms: it signs until then; secret: itself, until it is forgotten.
    """

    digest: str
    until_ms: int
    secret: str | None = None


class UsedBefore(Exception):
    """A secret was this endpoint's before."""


class TooMany(Exception):
    """Too many secrets are valid at once."""


def digest(secret: str) -> str:
    """What a secret is known by when it is forgotten."""
    return sha256(secret.encode()).hexdigest()[:32]


def valid(old: Sequence[Old], now_ms: int) -> list[Old]:
    """Those that still sign, the newest first."""
    return [each for each in old if each.secret is not None and now_ms < each.until_ms]


def replaced(old: Sequence[Old], before: str, after: str, now_ms: int, until_ms: int) -> list[Old]:
    """The earlier secrets once ``after`` has taken the place of ``before``, the newest first.

    With ``until_ms`` at or before now, all earlier ones end: that is for one that has leaked.

    Raises:
        UsedBefore: ``after`` was one of them.
        TooMany: one more would be valid than a delivery can be signed with.
    """
    if any(each.digest == digest(after) for each in old):
        raise UsedBefore
    at_once = until_ms <= now_ms
    kept = [] if at_once else valid(old, now_ms)
    if len(kept) >= VALID_BEFORE_MAX:
        raise TooMany
    last = Old(digest(before), until_ms, None if at_once else before)
    ended = [Old(each.digest, each.until_ms) for each in old if each not in kept]
    return [last, *kept, *ended][:KNOWN_MAX]
