"""Setups in the books: what a payer agrees to, stored without a charge. No money moves."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from bailiwick_sandbox.bank.books import Books
from bailiwick_sandbox.bank.checks import mismatch, same_setup, source_of
from bailiwick_sandbox.bank.journal import Entry
from bailiwick_sandbox.bank.ledger import Ledger
from bailiwick_sandbox.bank.records import Charge, SetupRequest

NO_CURRENCY = "XXX"
"""Of ISO 4217, where no currency is involved."""


def setup(
    books: Books,
    ledger: Ledger,
    request: SetupRequest,
    redirect_url: Callable[[str], str],
    *,
    lie: str = "",
    callback_fault: str = "",
) -> tuple[Charge, bool]:
    """Store what the payer agrees to, once; see ``Books.charge``: the row is a charge of nothing.
    Raises Refusal."""
    seen = books.seen(ledger, request.reference, "setup")
    if seen is not None:
        row = ledger.charges[seen]
        if not same_setup(row, request):
            raise mismatch(request.reference)
        return row, True
    source = source_of(request.source)
    books.check_room()
    now = books.clock()
    row = Charge(
        ledger.name,
        ledger.numbering.next(now),
        request.reference,
        0,
        NO_CURRENCY,
        request.source,
        False,
        "pending",
        now,
        now,
        return_url=request.return_url,
        callback_url=request.callback_url,
        lie=lie,
        callback_fault=callback_fault,
        store=True,
        setup=True,
    )
    if source.effect == "approve" or source.storable:
        row = books.approved(ledger, row, now)
    elif source.effect == "action":
        row = replace(row, status="action_required", redirect_url=redirect_url(row.id))
    elif source.effect == "decline":
        row = replace(row, status="declined", decline=source.decline)
    if source.then and source.effect != "action":
        row = replace(row, next_status=source.then, next_at=now + books.settle_ms)
    books.commit(ledger, Entry(charge=row))
    return row, False
