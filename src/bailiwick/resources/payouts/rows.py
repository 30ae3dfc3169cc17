"""Payouts as they are stored, and the rows that write them."""

from typing import Any

import msgspec

from bailiwick.base.ids import part_id
from bailiwick.orders.rows import OrderCreate, OrderMove
from bailiwick.orders.table import OrderTable

TABLE = OrderTable(
    name="payout",
    operation="payout",
    create_lane="payout_create",
    move_lane="payout_move",
    at_first={"gateway": "w.gateway"},
    first_parts=("payout_first",),
)


class Details(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is fixed when a payout is made; ``type``: what its destination is."""

    destination: str
    type: str
    location: dict[str, Any]
    assignment: dict[str, Any]
    method: str = "standard"
    source_type: str = "card"
    statement_descriptor: str | None = None
    description: str | None = None


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """What may change during a payout's life."""

    metadata: dict[str, str] = {}
    failure_code: str | None = None
    failure_message: str | None = None


class Payout(msgspec.Struct, frozen=True, omit_defaults=True):
    """A payout as stored; ``amount`` in minor units of ``currency``.

    ``open_attempt``: what the provider is asked, or asked last, without a definite answer yet.
    """

    id: str
    merchant: str
    livemode: bool
    version: int
    state: str
    epoch: int
    amount: int
    currency: str
    created_ms: int
    updated_ms: int
    details: Details
    progress: Progress
    gateway: str
    attempts: int = 0
    open_attempt: str | None = None


class PayoutCreate(OrderCreate, frozen=True, kw_only=True):
    """A new payout: the fields are those of ``payout_create_row``, in order. ``debit`` and
    ``credit``: the accounts of its posting."""

    debit: str
    credit: str


class PayoutMove(OrderMove, frozen=True, kw_only=True):
    """A payout's move: the fields are those of ``payout_move_row``, in order."""


def sending(identifier: str) -> str:
    """The id of the attempt that sends a payout: its first."""
    return part_id("at", identifier, 1)
