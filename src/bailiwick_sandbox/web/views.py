"""The books as they are shown: one operation by its reference, and everything to an auditor."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from bailiwick_sandbox.bank.answers import (
    DisputeView,
    OperationView,
    RefundView,
    capture_view,
    charge_view,
    dispute_view,
    increment_view,
    payout_view,
    refund_view,
)
from bailiwick_sandbox.bank.books import Books
from bailiwick_sandbox.bank.ledger import Ledger
from bailiwick_sandbox.bank.records import Charge

Status = Literal["succeeded", "failed", "pending"]


def operation_view(books: Books, ledger: Ledger, reference: str, lie: str = "") -> OperationView:
    """What became of a reference that the ledger knows; raises KeyError for another one."""
    kind, row_id = ledger.references[reference]
    if kind in ("payout", "payout_cancel"):
        return _payout_view(ledger, reference, lie)
    refund: RefundView | None = None
    status: Status = "succeeded"
    if kind == "refund":
        row = ledger.refunds[row_id]
        charge_id = row.charge
        refund = refund_view(row, lie)
        status = row.status
    elif kind == "increment":
        charge_id = ledger.increments[row_id].charge
    elif kind == "capture":
        charge_id = ledger.captures[row_id].charge
    elif kind == "complete":
        charge_id = ledger.completions[row_id].charge
    elif kind in ("evidence", "concede"):
        charge_id = ledger.submissions[row_id].charge
    elif kind == "void":
        given_up = ledger.voids.get(row_id) or ledger.reversals[row_id]
        if not given_up.charge:
            return OperationView(kind, reference, status, None, None)
        charge_id = given_up.charge
    else:
        charge_id = row_id
    charge = books.fresh(ledger, ledger.charges[charge_id])
    if kind in ("charge", "setup"):
        status = _charge_status(charge)
    if kind == "increment":
        shown = increment_view(charge, ledger.increments[row_id], lie)
    elif kind == "capture":
        shown = capture_view(charge, ledger.captures[row_id], lie)
    else:
        shown = charge_view(charge, "" if refund is not None else lie)
    dispute: DisputeView | UnsetType = UNSET
    if kind in ("evidence", "concede"):
        sent = ledger.submissions[row_id]
        dispute = dispute_view(ledger.disputes[sent.dispute], charge)
    return OperationView(kind, reference, status, shown, refund, dispute)


def _payout_view(ledger: Ledger, reference: str, lie: str) -> OperationView:
    kind, row_id = ledger.references[reference]
    canceling = kind == "payout_cancel"
    row = ledger.payouts[ledger.recalls[row_id].payout if canceling else row_id]
    status: Status = "pending"
    if canceling or row.status == "paid":
        status = "succeeded"
    elif row.status in ("failed", "canceled"):
        status = "failed"
    return OperationView(kind, reference, status, None, None, payout=payout_view(row, lie))


def _charge_status(row: Charge) -> Status:
    if row.status in ("pending", "action_required", "approved"):
        return "pending"
    # A voided charge succeeded, as a charge, if it ever was approved.
    return "succeeded" if row.approved_at else "failed"


_HIDDEN = ("next_status", "next_at", "left", "callback_url", "return_url")


def export(books: Books, provider: str | None) -> dict[str, Any]:
    """Every row of every provider, or of one; true whatever the bank may have answered."""
    ledgers = [
        ledger for ledger in books.ledgers.values() if provider is None or ledger.name == provider
    ]
    for ledger in ledgers:
        for row in list(ledger.charges.values()):
            books.fresh(ledger, row)
    charges = [row for ledger in ledgers for row in ledger.charges.values()]
    return {
        "providers": {
            ledger.name: {"kind": ledger.provider.kind, "title": ledger.provider.title}
            for ledger in ledgers
        },
        "charges": [_plain(row) for row in charges if not row.setup],
        "setups": [_plain(row) for row in charges if row.setup],
        "increments": [_plain(row) for ledger in ledgers for row in ledger.increments.values()],
        "captures": [_plain(row) for ledger in ledgers for row in ledger.captures.values()],
        "completions": [_plain(row) for ledger in ledgers for row in ledger.completions.values()],
        "voids": [_plain(row) for ledger in ledgers for row in ledger.voids.values()],
        "reversals": [_plain(row) for ledger in ledgers for row in ledger.reversals.values()],
        "refunds": [_plain(row) for ledger in ledgers for row in ledger.refunds.values()],
        "disputes": [_plain(row) for ledger in ledgers for row in ledger.disputes.values()],
        "payouts": [_plain(row) for ledger in ledgers for row in ledger.payouts.values()],
        "recalls": [_plain(row) for ledger in ledgers for row in ledger.recalls.values()],
        "submissions": [_plain(row) for ledger in ledgers for row in ledger.submissions.values()],
    }


def _plain(row: msgspec.Struct) -> dict[str, Any]:
    told = msgspec.structs.asdict(row)
    for field in _HIDDEN:
        told.pop(field, None)
    if told.get("family", row) is None:
        del told["family"]
    return told
