"""Completions in the books: charges of which nothing is taken before the merchant asks for it.

As PayPal's orders have it, which are captured once the payer has approved, and as cards and banks
behind a page have it whose result the payer brings back. Until then the charge
may be forgotten by everybody; its time runs out by itself.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bailiwick_sandbox.bank.checks import mismatch, not_open
from bailiwick_sandbox.bank.journal import Entry
from bailiwick_sandbox.bank.records import Charge, Refusal
from bailiwick_sandbox.families.wire import Completion, CompletionRequest

if TYPE_CHECKING:
    from bailiwick_sandbox.bank.books import Books
    from bailiwick_sandbox.bank.ledger import Ledger


def waits(row: Charge) -> bool:
    """Whether a charge is to be completed by the merchant, and was not yet."""
    family = row.family
    return family is not None and family.completes != "" and not row.approved_at


def agreed(row: Charge, now: int) -> Charge:
    """Such a charge once the payer has agreed: nothing is taken."""
    family = row.family
    assert family is not None
    # What is left undone ends by itself, when the payer's time is up.
    row = replace(row, next_status="declined", next_at=family.until, updated=now)
    if family.completes == "approved":
        return replace(row, status="approved")
    return replace(row, family=replace(family, result=result_of(row)))


def result_of(row: Charge) -> str:
    """What the payer of a charge brings back."""
    return hashlib.sha256(f"{row.provider}/{row.id}/result".encode()).hexdigest()[:32]


def complete(
    books: Books, ledger: Ledger, charge_id: str, request: CompletionRequest
) -> tuple[Charge, bool]:
    """Take or hold the money of such a charge, once for each reference; whether it was asked for
    before. Raises Refusal."""
    charge = books.find_charge(ledger, charge_id)
    seen = books.seen(ledger, request.reference, "complete")
    if seen is not None:
        done = ledger.completions[seen]
        if (done.charge, done.result) != (charge_id, request.result):
            raise mismatch(request.reference)
        return charge, True
    if not waits(charge) or charge.status not in ("approved", "action_required"):
        raise not_open(charge, "not_completable")
    family = charge.family
    assert family is not None
    if family.completes == "approved" and charge.status != "approved":
        raise Refusal(422, "not_approved", "The payer has not approved.")
    if family.completes == "returned" and request.result != (family.result or None):
        raise Refusal(422, "result_invalid", "This is not what the payer brings back.", "result")
    books.check_room()
    now = books.clock()
    row = Completion(
        ledger.name,
        ledger.numbering.next(now),
        request.reference,
        charge.id,
        now,
        request.result,
    )
    charge = replace(charge, next_status="", next_at=0, updated=now)
    charge = books.approved(ledger, charge, now)
    books.commit(ledger, Entry(charge=charge, completion=row))
    return charge, False
