"""Idempotency keys: what makes one unique, two requests with one key the same request, and when a
key was made, where the key itself tells. Pure."""

import re
from hashlib import blake2b, sha256
from typing import Annotated, Any, Literal

import msgspec

from bailiwick.base.errors import ApiError
from bailiwick.base.ids import is_id, new_id, time_of

KEY_CHARS_MAX = 255
CLOCK_SKEW_MS = 30_000
"""How far the clock of whoever makes keys may be from ours."""
_encode_sorted = msgspec.json.Encoder(order="sorted").encode
_UUID7 = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?7[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}")

Digest = Annotated[str, msgspec.Meta(min_length=32, max_length=32)]
"""128 bits in hexadecimal."""


class Named(msgspec.Struct, frozen=True):
    """A request by what identifies it, without anything that it says.

    Attributes:
        identity: as ``key_identity`` gives it. request_hash: as ``request_hash`` does.
    """

    merchant: str
    livemode: bool
    identity: Digest
    request_hash: Digest


def check_key(key: str) -> None:
    """Refuse what is no idempotency key: one reading, at access and at the node.

    ``key`` is the header's value with each byte as one character (latin-1): so it is hashed and
    stored, and two keys are the same when their bytes are. Its characters are counted as they were
    written: UTF-8 where the bytes are that, else latin-1.

    Raises:
        ApiError: 400, it has none, too many, others than printable ones, or blanks alone.
    """
    text = key if key.isascii() else _as_written(key)
    if not 0 < len(text) <= KEY_CHARS_MAX or not text.isprintable() or text.isspace():
        raise ApiError.invalid(
            f"Idempotency-Key must have 1 to {KEY_CHARS_MAX} printable characters, and not blanks "
            "alone.",
            param="Idempotency-Key",
            code="idempotency_key_invalid",
        )


def _as_written(key: str) -> str:
    try:
        return key.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return key


def of_payer(payment: str, key: str) -> str:
    """The key of a request with a publishable key: that payment's alone. Whoever has such a key
    could otherwise use up those that another payer or the merchant's server is about to send. No
    server's key has a line end in it."""
    return f"payer\n{payment}\n{key}"


def key_identity(merchant: str, livemode: bool, key: str) -> str:
    """What makes a key unique: the first 128 bits, in hexadecimal, of SHA-256 over merchant, mode
    and key. A digest is found for less than the three, and a node that only refuses a key need
    not be shown it. PostgreSQL has the same function: see the migration ``0003_key_identity``."""
    mode = "live" if livemode else "test"
    return sha256(f"{merchant}\n{mode}\n{key}".encode()).hexdigest()[:32]


def request_hash(operation: str, target: str, params: dict[str, Any]) -> str:
    """What must be the same when a key comes again: 128 bits over the parsed parameters."""
    digest = blake2b(f"{operation}\n{target}\n".encode(), digest_size=16)
    digest.update(_encode_sorted(params))
    return digest.hexdigest()


def fresh_key(now_ms: int) -> str:
    """A key for a request that came without one: it can never come again."""
    return new_id("auto", 0, now_ms)


def is_fresh(key: str) -> bool:
    """Whether a key was made here for one request, so that nobody else can know it.

    A client's own key never looks so: access refuses it.
    """
    return is_id(key, "auto")


def uuid7_ms(key: str) -> int | None:
    """Unix time in milliseconds of a UUID of version 7 (RFC 9562), else None."""
    text = key.lower()
    if _UUID7.fullmatch(text) is None:
        return None
    return int(text.replace("-", "")[:12], 16)


def born_ms(key: str, key_time: Literal["unknown", "uuid7"], now_ms: int) -> int | None:
    """When a key was made; None where that is not known, or said to be in the future."""
    if is_fresh(key):
        return time_of(key)
    made = uuid7_ms(key) if key_time == "uuid7" else None
    return made if made is not None and made <= now_ms + CLOCK_SKEW_MS else None
