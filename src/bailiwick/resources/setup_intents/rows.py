"""Setups as they are stored, and the rows that write them."""

from typing import Any

import msgspec

from bailiwick.channels.contract import Action
from bailiwick.orders.rows import OrderCreate, OrderMove
from bailiwick.orders.table import OrderTable

TABLE = OrderTable(
    name="setup",
    operation="setup",
    create_lane="setup_create",
    move_lane="setup_move",
    guarded=("setup_attempt", "customer", "payment_method"),
    at_first={
        "setup_attempt": "w.attempt_id",
        "customer": "w.customer",
        "payment_method": "w.payment_method",
        "stays_with": "w.stays_with",
    },
    records=True,
)


class Details(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is fixed when a setup is created. ``location``, ``node`` and ``stays_with``: see
    ``records.record.Record``; ``types_allowed``: see ``payments.rows.Details``."""

    client_secret: str
    location: dict[str, Any]
    node: str | None = None
    stays_with: list[int] | None = None
    usage: str = "off_session"
    method_types: tuple[str, ...] = ("card",)
    types_allowed: bool = False
    automatic_methods: dict[str, Any] | None = None


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """What may change during a setup's life, beside the guarded columns.

    Attributes:
        mandate: the one that its success makes, or made.
        routing: the latest routing decision.
        vault: of the gateway that has the latest attempt.
    """

    description: str | None = None
    metadata: dict[str, str] = {}
    return_url: str | None = None
    mandate: str | None = None
    routing: dict[str, Any] | None = None
    vault: str | None = None
    last_error: dict[str, Any] | None = None
    action: Action | None = None
    cancellation_reason: str | None = None


class Setup(msgspec.Struct, frozen=True, omit_defaults=True):
    """A setup as stored. It has no amount: 0 of no currency; ``setup_attempt``: the latest attempt
    to set up; ``payment_method``: always one that we keep."""

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
    attempts: int = 0
    open_attempt: str | None = None
    setup_attempt: str | None = None
    customer: str | None = None
    payment_method: str | None = None

    @property
    def stays_with(self) -> list[int] | None:
        """See ``records.record.Record``."""
        return self.details.stays_with


class SetupCreate(OrderCreate, frozen=True, kw_only=True):
    """A new setup: the fields are those of ``setup_create_row``, in order."""

    customer: str | None = None
    payment_method: str | None = None
    stays_with: list[int] | None = None
    more: str | None = None


class SetupMove(OrderMove, frozen=True, kw_only=True):
    """A setup's move: the fields are those of ``setup_move_row``, in order."""

    setup_attempt: str | None = None
    customer: str | None = None
    payment_method: str | None = None
