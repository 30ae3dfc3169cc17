"""Idempotency keys: what makes one unique, and two requests with one key the same request."""

from hashlib import blake2b, sha256
from typing import Annotated, Any

import msgspec

from bailiwick.base.errors import ApiError

KEY_CHARS_MAX = 255
_encode_sorted = msgspec.json.Encoder(order="sorted").encode

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
