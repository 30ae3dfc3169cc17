"""The canary: how an operator asks a node to prove itself with one small payment. Pure.

The question is sealed with the secret that nodes and access share. It is for one node, good for
``FRESH_MS``, and good once.
"""

import hashlib
import hmac
from typing import Final

import msgspec

PATH: Final = "/internal/canary"
SEAL: Final = "bailiwick-seal"
FRESH_MS: Final = 30_000
BYTES_MAX: Final = 4_096


class CanaryAsk(msgspec.Struct, frozen=True):
    """Wall clock of the asking host in milliseconds, and 16 to 64 random characters.

    ``merchant``: in whose test mode; "" for the world's first.
    """

    node: int
    issued_ms: int
    nonce: str
    merchant: str = ""


class CanaryTold(msgspec.Struct, frozen=True):
    """What happened: the states are those of payment and refund, "" where it did not get there.

    ``detail``: for people, why it is not ``ok``.
    """

    ok: bool
    node: int
    epoch: int
    payment: str = ""
    gateway: str = ""
    status: str = ""
    refund: str = ""
    milliseconds: int = 0
    detail: str = ""


def seal(secret: bytes, body: bytes) -> str:
    """Proof that the question comes from who knows the shared secret."""
    return hmac.new(secret, b"canary|" + body, hashlib.sha256).hexdigest()
