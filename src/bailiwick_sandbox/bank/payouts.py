"""Payouts in the books: money that the bank holds for the merchant, sent to where it wants it.

What the destinations do follows the documented test bank accounts (https://docs.stripe.com/connect/testing,
payouts): they arrive, or fail with a code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from bailiwick_sandbox.bank.books import Books
from bailiwick_sandbox.bank.checks import check_currency, mismatch
from bailiwick_sandbox.bank.journal import Entry
from bailiwick_sandbox.bank.ledger import Ledger
from bailiwick_sandbox.bank.records import (
    Failure,
    Payout,
    PayoutRequest,
    PayoutStatus,
    Recall,
    RecallRequest,
    Refusal,
)


class Destination(Struct, frozen=True):
    """What happens to a payout there: each status in turn; the last may be the failure's."""

    then: tuple[PayoutStatus, ...] = ("in_transit", "paid")
    failure: Failure | None = None


_CLOSED = Failure("account_closed", "The bank account has been closed.")
_FAILURES: Final = (
    Failure("no_account", "The bank account could not be found."),
    _CLOSED,
    Failure("debit_not_authorized", "Debits are not approved on the bank account."),
    Failure("invalid_currency", "The bank account does not take this currency."),
)
DESTINATIONS: Final[dict[str, Destination]] = {
    "btok_sandbox": Destination(),
    "wallet_sandbox": Destination(),
    "btok_sandbox_waits": Destination(()),
    "btok_sandbox_returned": Destination(("in_transit", "paid", "failed"), _CLOSED),
    **{
        f"btok_sandbox_{each.code}": Destination(("in_transit", "failed"), each)
        for each in _FAILURES
    },
}


class Payouts:
    """The payouts of all ledgers."""

    def __init__(self, books: Books, settle_ms: int) -> None:
        self._books = books
        self._settle_ms = settle_ms

    def unfinished(self) -> Iterator[tuple[Ledger, Payout]]:
        """Payouts that go on by themselves at a later time."""
        for ledger in self._books.ledgers.values():
            for row in ledger.payouts.values():
                if row.next_at:
                    yield ledger, row

    def pay(self, ledger: Ledger, request: PayoutRequest) -> tuple[Payout, bool]:
        """Send money once for each reference; whether it was asked for before."""
        seen = self._books.seen(ledger, request.reference, "payout")
        if seen is not None:
            row = ledger.payouts[seen]
            same = (row.amount, row.currency, row.destination, row.callback_url)
            wanted = (request.amount, request.currency, request.destination, request.callback_url)
            if same != wanted:
                raise mismatch(request.reference)
            return row, True
        where = DESTINATIONS.get(request.destination)
        if where is None:
            raise Refusal(422, "destination_unknown", "No such destination.", "destination")
        check_currency(ledger.provider.currencies, request.currency)
        held = self.held(ledger, request.currency)
        if request.amount > held:
            raise Refusal(422, "balance_insufficient", f"Only {held} is here.", "amount")
        self._books.check_room()
        now = self._books.clock()
        row = Payout(
            ledger.name,
            ledger.numbering.next(now),
            request.reference,
            request.amount,
            request.currency,
            request.destination,
            "pending",
            now,
            now,
            callback_url=request.callback_url,
            left=where.then,
            next_at=now + self._settle_ms if where.then else 0,
        )
        self._books.commit(ledger, Entry(payout=row))
        return row, False

    def held(self, ledger: Ledger, currency: str) -> int:
        """What the bank holds for the merchant, in minor units of a currency."""
        wanted = currency.upper()
        total = 0
        for charge in ledger.charges.values():
            if charge.currency.upper() == wanted:
                total += charge.amount_captured - charge.amount_refunded
        for dispute in ledger.disputes.values():
            if dispute.currency.upper() == wanted and dispute.funds == "withdrawn":
                total -= dispute.amount + dispute.fee
        for payout in ledger.payouts.values():
            if payout.currency.upper() == wanted and payout.status not in ("failed", "canceled"):
                total -= payout.amount
        return total

    def recall(self, ledger: Ledger, payout_id: str, request: RecallRequest) -> tuple[Payout, bool]:
        """Cancel a payout that was not sent on yet, once for each reference."""
        row = ledger.payouts.get(payout_id)
        if row is None:
            raise Refusal(404, "not_found", "No such payout at this provider.")
        seen = self._books.seen(ledger, request.reference, "payout_cancel")
        if seen is not None:
            if ledger.recalls[seen].payout != payout_id:
                raise mismatch(request.reference)
            return row, True
        if row.status != "pending":
            raise Refusal(422, "payout_not_cancelable", f"The payout is {row.status}.")
        self._books.check_room()
        now = self._books.clock()
        recall = Recall(
            ledger.name,
            ledger.numbering.next(now),
            request.reference,
            row.id,
            row.amount,
            row.currency,
            now,
        )
        row = replace(row, status="canceled", left=(), next_at=0, updated=now)
        self._books.commit(ledger, Entry(payout=row, recall=recall))
        return row, False

    def advance(self, ledger: Ledger, payout_id: str) -> tuple[Payout, bool]:
        """Go on with a payout that does by itself; returns the row and whether it changed."""
        row = ledger.payouts[payout_id]
        now = self._books.clock()
        if not row.next_at or now < row.next_at:
            return row, False
        status, *left = row.left
        failed = status == "failed"
        row = replace(
            row,
            status=status,
            left=tuple(left),
            next_at=now + self._settle_ms if left else 0,
            failure=DESTINATIONS[row.destination].failure if failed else None,
            updated=now,
        )
        self._books.commit(ledger, Entry(payout=row))
        return row, True
