"""Reversals in the books: a charge given up by our own reference of it, known here or not.

As Alipay's cancel, WeChat's reverse and message 0400 of ISO 8583 have it: whoever does not know
whether a charge arrived gives it up all the same, and what arrives afterwards is not charged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from bailiwick_sandbox.bank.checks import mismatch
from bailiwick_sandbox.bank.journal import Entry
from bailiwick_sandbox.bank.records import Charge, Decline, Refusal, Reversal, ReversalRequest

if TYPE_CHECKING:
    from bailiwick_sandbox.bank.books import Books
    from bailiwick_sandbox.bank.ledger import Ledger

REVERSED: Final = Decline("reversed", None, "The charge was given up before it came.")
_ENDED: Final = ("declined", "voided")


def reverse(books: Books, ledger: Ledger, request: ReversalRequest) -> tuple[Reversal, bool]:
    """Give up a charge, once for each reference; whether it was asked for before.

    What was captured is returned, what is held or waits is closed, and a charge that is not here
    is never taken. Raises Refusal.
    """
    seen = books.seen(ledger, request.reference, "void")
    if seen is not None:
        done = ledger.reversals.get(seen)
        if done is None or done.charge_reference != request.charge_reference:
            raise mismatch(request.reference)
        return done, True
    if request.charge_reference == request.reference:
        message = "Must be another than the reversal's own reference."
        raise Refusal(400, "invalid_request", message, "charge_reference")
    charge = find(books, ledger, request.charge_reference)
    if charge is not None:
        _check(ledger, charge)
    books.check_room()
    now = books.clock()
    row = Reversal(
        ledger.name,
        ledger.numbering.next(now),
        request.reference,
        request.charge_reference,
        now,
    )
    if charge is not None:
        currency, amount = charge.currency, charge.amount_captured
        row = replace(row, charge=charge.id, amount=amount, currency=currency)
        charge = _given_up(charge, now)
    books.commit(ledger, Entry(charge=charge, reversal=row))
    return row, False


def find(books: Books, ledger: Ledger, reference: str) -> Charge | None:
    """The charge of a reference, if it is here. Raises Refusal where that is no charge's."""
    known = ledger.references.get(reference)
    if known is None:
        return None
    if known[0] != "charge":
        message = f"The reference {reference} is not of a charge."
        raise Refusal(409, "reference_mismatch", message, "charge_reference")
    return books.fresh(ledger, ledger.charges[known[1]])


def _check(ledger: Ledger, charge: Charge) -> None:
    if charge.amount_refunded:
        message = "A part of the charge is refunded; refund the rest."
        raise Refusal(422, "not_reversible", message, "charge_reference")
    if any(row.charge == charge.id for row in ledger.disputes.values()):
        message = "The charge is disputed."
        raise Refusal(422, "not_reversible", message, "charge_reference")


def _given_up(charge: Charge, now: int) -> Charge:
    """What is not to be paid any more; a declined charge stays so, and is not approved later."""
    if charge.status in _ENDED and not charge.next_status:
        return charge
    return replace(
        charge,
        status=charge.status if charge.status in _ENDED else "voided",
        amount_captured=0,
        void_reason="reversed",
        next_status="",
        next_at=0,
        updated=now,
    )
