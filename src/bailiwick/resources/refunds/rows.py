"""Refunds as they are stored, and what writes them."""

from typing import Any

import msgspec


class Refund(msgspec.Struct, frozen=True):
    """A refund as stored; ``amount`` in minor units of ``currency``."""

    id: str
    payment: str
    merchant: str
    livemode: bool
    state: str
    amount: int
    currency: str
    attempt: str
    created_ms: int
    details: dict[str, Any]


class RefundNew(msgspec.Struct, frozen=True):
    """A refund to write with its attempt: ``refund_new`` of ``refund_moves.sql``."""

    id: str
    state: str
    amount: int
    attempt: str
    details: dict[str, Any]


class RefundEnd(msgspec.Struct, frozen=True):
    """A new state of a refund: ``refund_end`` of ``refund_moves.sql``."""

    id: str
    state: str
    details: dict[str, Any]
