"""Payments as they are stored, and the rows that write them."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from bailiwick.channels.contract import Action
from bailiwick.orders.rows import OrderCreate, OrderMove
from bailiwick.orders.table import OrderTable
from bailiwick.resources.payments.methods.tender import Tender
from bailiwick.screening.facts import Verdict

TABLE = OrderTable(
    name="payment",
    operation="charge",
    create_lane="create",
    move_lane="move",
    guarded=(
        "amount",
        "amount_capturable",
        "amount_received",
        "amount_refunding",
        "amount_refunded",
        "charge_attempt",
        "capture_before_ms",
        "customer",
    ),
    also=True,
    at_first={"charge_attempt": "w.attempt_id", "customer": "w.customer"},
)


class Details(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is fixed when a payment is created.

    ``types_allowed``: the types were given as those allowed, the newer name of the parameter.
    ``configuration``: the payment method configuration that they follow.
    """

    client_secret: str
    location: dict[str, Any]
    assignment: dict[str, Any]
    capture_method: str = "automatic"
    method_types: tuple[str, ...] = ("card",)
    automatic_methods: dict[str, Any] | None = None
    types_allowed: bool = False
    confirmation_method: str = "automatic"
    configuration: str | None = None


class Hold(msgspec.Struct, frozen=True, omit_defaults=True):
    """What may be done with the hold of a payment that is captured later, as its gateway declares
    it and its request asked for it.

    Attributes:
        lasts_ms: how long after its authorization the provider keeps it.
        several: it may be captured in parts.
        over_percent: how much more than was authorized the final capture may take.
        captures: how many there were.
        growing: what is held may be increased.
        increments: how often that was tried.
    """

    lasts_ms: int
    several: bool = False
    over_percent: int = 0
    captures: int = 0
    growing: bool = False
    increments: int = 0


class ChargeNotes(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a client noted on one charge; where a field is unset, the payment's is shown."""

    description: str | None | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType = UNSET
    receipt_email: str | None | UnsetType = UNSET
    shipping: dict[str, Any] | None | UnsetType = UNSET


class DisputeNote(msgspec.Struct, frozen=True):
    """A dispute, as its payment knows it: of which charge, and whether that may be refunded."""

    charge: str
    refundable: bool


class Saving(msgspec.Struct, frozen=True, omit_defaults=True):
    """A payment method that is saved once the payment has succeeded.

    Attributes:
        id: that it will have.
        card: what is known of it by its token alone.
        location, node, stays_with: the customer's: see ``records.record.Record``.
        vault: of the gateway that has the payment; it will be used there.
    """

    id: str
    customer: str
    card: dict[str, Any]
    location: dict[str, Any]
    node: str | None = None
    stays_with: list[int] | None = None
    vault: str | None = None


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """What may change during a payment's life, beside the guarded columns.

    ``method``: the type of payment method by which the latest gateway takes it. ``vaults``: for its
    tokens that belong to a vault, which; the latest last. ``wishes``: what its hold should be able
    to do (``multicapture``, ``overcapture``). ``billing``: who pays by the latest payment method,
    as the client says. ``charges``: by its id, what was noted on a charge alone. ``no_action``: a
    charge that waits for the payer is voided; ``forgoing``: one is being voided for that, or,
    with ``giving_up``, because the payer's time has run out, or, with ``reversing``, because it was
    never answered. ``tender``: what the payer pays by, if not by a token; ``action``: what the
    payer has to do.
    ``screened``: what the merchant's rules made of the latest charge.
    ``increment``: what else changes once the increment under way has succeeded. ``disputes``: by
    their ids, of its charges.
    """

    payment_method: str | None = None
    vaults: dict[str, str] = {}
    method: str = "card"
    description: str | None = None
    metadata: dict[str, str] = {}
    receipt_email: str | None = None
    statement_descriptor: str | None = None
    statement_descriptor_suffix: str | None = None
    return_url: str | None = None
    setup_future_usage: str | None = None
    customer: str | None = None
    shipping: dict[str, Any] | None = None
    billing: dict[str, Any] | None = None
    routing: dict[str, Any] | None = None
    last_error: dict[str, Any] | None = None
    action: Action | None = None
    canceled_ms: int | None = None
    cancellation_reason: str | None = None
    confirmed_elsewhere: dict[str, Any] | None = None
    tender: Tender | None = None
    wishes: tuple[str, ...] = ()
    hold: Hold | None = None
    saving: Saving | None = None
    charges: dict[str, ChargeNotes] = {}
    no_action: bool = False
    forgoing: bool = False
    giving_up: bool = False
    reversing: bool = False
    increment: dict[str, Any] | None = None
    disputes: dict[str, DisputeNote] = {}
    screened: Verdict | None = None

    @property
    def has_method(self) -> bool:
        """Whether it is known what the payer pays by."""
        return self.payment_method is not None or self.tender is not None


class Payment(msgspec.Struct, frozen=True, omit_defaults=True):
    """A payment as stored. Amounts are minor units of ``currency``; ``capture_before_ms``: when its
    hold runs out (Unix time in milliseconds), while there is one."""

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
    amount_capturable: int = 0
    amount_received: int = 0
    amount_refunding: int = 0
    amount_refunded: int = 0
    attempts: int = 0
    open_attempt: str | None = None
    charge_attempt: str | None = None
    capture_before_ms: int | None = None


class PaymentCreate(OrderCreate, frozen=True, kw_only=True):
    """A new payment: the fields are those of ``payment_create_row``, in order."""

    customer: str | None = None


class PaymentMove(OrderMove, frozen=True, kw_only=True):
    """A payment's move: the fields are those of ``payment_move_row``, in order. ``also``: the types
    of what is told beside its event, separated by spaces."""

    amount: int
    amount_capturable: int
    amount_received: int
    amount_refunding: int
    amount_refunded: int
    charge_attempt: str | None = None
    capture_before_ms: int | None = None
    also: str | None = None
    customer: str | None = None
