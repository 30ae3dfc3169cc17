"""Identifiers: time first, then the permanent node number, then randomness.

``pi_`` + 26 characters of Crockford base32 over 130 bits: 48 bits of milliseconds, 16 bits of
node number, 66 random bits. Sorting by id sorts by time over all nodes, and every later
operation finds its home from the id alone.
"""

import os
import random
import re
import secrets

from bailiwick.base.errors import ApiError

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_VALUES = {char: value for value, char in enumerate(_ALPHABET)}
_BODY_CHARS = 26
_SHAPE = re.compile(r"[a-z]{2,7}_([0-9a-hjkmnp-tv-z]{26})(?:_[1-9][0-9]{0,4})?")
NODE_NUMBER_MAX = 0xFFFF

_bits = random.SystemRandom().getrandbits
_random = random.Random(_bits(256))


def new_id(prefix: str, node: int, now_ms: int) -> str:
    """A fresh id for an object that lives on ``node``.

    Uniqueness rests on the time, the node and 66 random bits together; ids are names, not
    secrets, so an ordinary seeded generator is enough (client secrets use ``secrets``).
    """
    value = (now_ms & 0xFFFFFFFFFFFF) << 82 | node << 66 | _random.getrandbits(66)
    pairs = _PAIRS
    return (
        f"{prefix}_{pairs[value >> 120]}{pairs[value >> 110 & 1023]}{pairs[value >> 100 & 1023]}"
        f"{pairs[value >> 90 & 1023]}{pairs[value >> 80 & 1023]}{pairs[value >> 70 & 1023]}"
        f"{pairs[value >> 60 & 1023]}{pairs[value >> 50 & 1023]}{pairs[value >> 40 & 1023]}"
        f"{pairs[value >> 30 & 1023]}{pairs[value >> 20 & 1023]}{pairs[value >> 10 & 1023]}"
        f"{pairs[value & 1023]}"
    )


def new_request_id() -> str:
    """A fresh name for one request, given back in the ``request-id`` header."""
    return "req_" + os.urandom(12).hex()


def part_id(prefix: str, owner: str, number: int) -> str:
    """The id of the ``number``-th part (from 1) of an object; it lives where its owner lives."""
    body = owner.partition("_")[2]
    return f"{prefix}_{body}" if number == 1 else f"{prefix}_{body}_{number}"


def lowest_id(prefix: str, ms: int) -> str:
    """The least id that can be made at or after a time: ids sort by time, so that a span of
    time is a span of ids."""
    value = (ms & 0xFFFFFFFFFFFF) << 82
    body = "".join(_PAIRS[value >> shift & 1023] for shift in range(120, -1, -10))
    return f"{prefix}_{body}"


def derived_id(prefix: str, bits: bytes) -> str:
    """An id that follows from other things, of no node; ``bits``: at least 17 bytes of a hash of
    them. It cannot tell its time."""
    value = int.from_bytes(bits[:17], "big") & ((1 << 130) - 1) & ~(NODE_NUMBER_MAX << 66)
    return f"{prefix}_" + "".join(_PAIRS[value >> shift & 1023] for shift in range(120, -1, -10))


def is_id(text: str, prefix: str | None = None) -> bool:
    """Whether ``text`` has the shape of one of our ids (with this prefix, if given)."""
    if prefix is not None and not text.startswith(prefix + "_"):
        return False
    return _SHAPE.fullmatch(text) is not None


def _value(identifier: str) -> int:
    found = _SHAPE.fullmatch(identifier)
    if found is None:
        raise ValueError(identifier)
    body = found[1]
    value = 0
    for char in body:
        value = value << 5 | _VALUES[char]
    return value


def node_of(identifier: str) -> int:
    """The permanent number of the node that the object lives on.

    Raises:
        ApiError: 404, when the text is not one of our ids.
    """
    try:
        return _value(identifier) >> 66 & NODE_NUMBER_MAX
    except (KeyError, ValueError):
        raise ApiError.missing("object", identifier) from None


def time_of(identifier: str) -> int:
    """Milliseconds since the Unix epoch at which the id was made."""
    return _value(identifier) >> 82


def new_token() -> int:
    """A writer token: 63 random bits that tell whose write a stored row is."""
    return _random.getrandbits(63)


def client_secret(identifier: str) -> str:
    """An unguessable secret bound to one object, for payer-side calls."""
    return f"{identifier}_secret_{secrets.token_hex(18)}"
