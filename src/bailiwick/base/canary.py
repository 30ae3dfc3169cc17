"""The canary: how an operator asks a node to prove itself with one small payment. Pure.

Question and answer are sealed with the secret that nodes and access share (``sealing``). The
question is for one node, good for ``FRESH_MS``, and good once.
"""

from typing import Final

import msgspec

PATH: Final = "/internal/canary"
KIND: Final = "canary"
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
