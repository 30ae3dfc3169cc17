"""What is answered about rows of the books, and how a fault falsifies that."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from bailiwick_sandbox.bank.records import (
    Capture,
    Charge,
    ChargeStatus,
    Decline,
    Dispute,
    DisputeStatus,
    Failure,
    Increment,
    Operation,
    Payout,
    PayoutStatus,
    Refund,
    RefundStatus,
    Reversal,
)
from bailiwick_sandbox.families.wire import Action


class DisputeView(Struct, frozen=True, gc=False):
    """A dispute as it is answered and told; ``refundable``: its charge, all the same."""

    id: str
    charge: str
    charge_reference: str
    amount: int
    currency: str
    reason: str
    status: DisputeStatus
    funds: str
    fee: int
    due_at: int
    past_due: bool
    submissions: int
    sequence: int
    refundable: bool
    created: int
    object: str = "dispute"


class CaptureView(Struct, frozen=True, gc=False):
    """One of a charge's captures as it is answered."""

    reference: str
    amount: int | UnsetType
    final: bool


class IncrementView(Struct, frozen=True, gc=False):
    """One of a charge's increments as it is answered."""

    reference: str
    amount: int | UnsetType


class ChargeView(Struct, frozen=True, gc=False):
    """A charge as it is answered. ``amount_authorized`` appears where it is not the amount (after a
    partial approval or an increment), ``capture`` and ``increment`` where the answer is about that
    one, ``agreement`` once the payer has agreed to be charged again, ``action`` while one with a
    method or flow waits for the payer."""

    id: str
    reference: str
    amount: int | UnsetType
    amount_captured: int | UnsetType
    amount_refunded: int
    currency: str
    status: ChargeStatus
    decline: Decline | None
    redirect_url: str | None
    created: int
    amount_authorized: int | UnsetType = UNSET
    object: str = "charge"
    capture: CaptureView | UnsetType = UNSET
    increment: IncrementView | UnsetType = UNSET
    agreement: str | UnsetType = UNSET
    action: Action | UnsetType = UNSET


class RefundView(Struct, frozen=True, gc=False):
    """A refund as it is answered."""

    id: str
    reference: str
    charge: str
    amount: int | UnsetType
    currency: str
    status: RefundStatus
    failure: Failure | None
    created: int
    object: str = "refund"


class ReversalView(Struct, frozen=True, gc=False):
    """A reversal as it is answered; ``charge``: as it is now, nothing where it was not here."""

    id: str
    reference: str
    charge_reference: str
    status: Literal["succeeded"]
    charge: ChargeView | None
    created: int
    object: str = "reversal"


class PayoutView(Struct, frozen=True, gc=False):
    """A payout as it is answered and told."""

    id: str
    reference: str
    amount: int | UnsetType
    currency: str
    status: PayoutStatus
    failure: Failure | None
    created: int
    object: str = "payout"


class OperationView(Struct, frozen=True, gc=False):
    """What became of a reference."""

    type: Operation
    reference: str
    status: Literal["succeeded", "failed", "pending"]
    charge: ChargeView | None
    refund: RefundView | None
    dispute: DisputeView | UnsetType = UNSET
    payout: PayoutView | UnsetType = UNSET


def dispute_view(row: Dispute, charge: Charge) -> DisputeView:
    """The answer about a dispute of a charge."""
    inquiry = row.status.startswith("warning_")
    return DisputeView(
        row.id,
        row.charge,
        charge.reference,
        row.amount,
        row.currency,
        row.reason,
        row.status,
        row.funds,
        row.fee,
        row.due_at,
        row.past_due,
        row.submissions,
        row.sequence,
        inquiry or row.status == "won",
        row.created,
    )


def charge_view(row: Charge, lie: str = "") -> ChargeView:
    """The answer about a charge; ``lie`` (or the charge's own) falsifies it on purpose."""
    lie = lie or row.lie
    if lie:
        return _false_charge(row, lie)
    other = row.amount_authorized not in (0, row.amount)
    return ChargeView(
        row.id,
        row.reference,
        row.amount,
        row.amount_captured,
        row.amount_refunded,
        row.currency,
        row.status,
        row.decline,
        row.redirect_url if row.status == "action_required" else None,
        row.created,
        row.amount_authorized if other else UNSET,
        "setup" if row.setup else "charge",
        agreement=row.id if row.store and row.approved_at else UNSET,
        action=_action(row),
    )


def capture_view(row: Charge, capture: Capture, lie: str = "") -> ChargeView:
    """The answer about a capture of a charge; ``lie`` falsifies it on purpose."""
    amount: int | UnsetType = capture.amount
    lie = lie or row.lie
    if lie == "wrong_amount":
        amount = capture.amount + 100
    elif lie == "missing_amount":
        amount = UNSET
    view = CaptureView(capture.reference, amount, capture.final)
    return msgspec.structs.replace(charge_view(row, lie), capture=view)


def increment_view(row: Charge, increment: Increment, lie: str = "") -> ChargeView:
    """The answer about an increment of a charge; ``lie`` falsifies it on purpose."""
    amount: int | UnsetType = increment.amount
    lie = lie or row.lie
    if lie == "wrong_amount":
        amount = increment.amount + 100
    elif lie == "missing_amount":
        amount = UNSET
    view = IncrementView(increment.reference, amount)
    return msgspec.structs.replace(charge_view(row, lie), increment=view)


def refund_view(row: Refund, lie: str = "") -> RefundView:
    """The answer about a refund; ``lie`` falsifies it on purpose."""
    amount: int | UnsetType = row.amount
    currency = row.currency
    if lie == "wrong_amount":
        amount = row.amount + 100
    elif lie == "wrong_currency":
        currency = _other_currency(currency)
    elif lie == "missing_amount":
        amount = UNSET
    return RefundView(
        row.id,
        row.reference,
        row.charge,
        amount,
        currency,
        row.status,
        row.failure,
        row.created,
    )


def reversal_view(row: Reversal, charge: Charge | None, lie: str = "") -> ReversalView:
    """The answer about a reversal; ``lie`` falsifies it on purpose."""
    shown = None if charge is None else charge_view(charge, lie)
    return ReversalView(
        row.id, row.reference, row.charge_reference, "succeeded", shown, row.created
    )


def payout_view(row: Payout, lie: str = "") -> PayoutView:
    """The answer about a payout; ``lie`` falsifies it on purpose."""
    amount: int | UnsetType = row.amount
    currency = row.currency
    if lie == "wrong_amount":
        amount = row.amount + 100
    elif lie == "wrong_currency":
        currency = _other_currency(currency)
    elif lie == "missing_amount":
        amount = UNSET
    return PayoutView(row.id, row.reference, amount, currency, row.status, row.failure, row.created)


def _false_charge(row: Charge, lie: str) -> ChargeView:
    amount: int | UnsetType = row.amount
    captured: int | UnsetType = row.amount_captured
    currency = row.currency
    if lie == "wrong_amount":
        amount = row.amount + 100
        captured = row.amount_captured + 100 if row.amount_captured else 0
    elif lie == "wrong_currency":
        currency = _other_currency(currency)
    elif lie == "missing_amount":
        amount = captured = UNSET
    return ChargeView(
        row.id,
        row.reference,
        amount,
        captured,
        row.amount_refunded,
        currency,
        row.status,
        row.decline,
        row.redirect_url if row.status == "action_required" else None,
        row.created,
        object="setup" if row.setup else "charge",
        action=_action(row),
    )


def _action(row: Charge) -> Action | UnsetType:
    if row.status != "action_required" or row.family is None or row.family.action is None:
        return UNSET
    return row.family.action


def _other_currency(currency: str) -> str:
    other = "EUR" if currency.upper() == "USD" else "USD"
    return other if currency.isupper() else other.lower()
