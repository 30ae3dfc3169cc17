"""Idempotency keys: what makes one unique, and two requests with one key the same request."""

from hashlib import blake2b, sha256
from typing import Annotated, Any

import msgspec

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
