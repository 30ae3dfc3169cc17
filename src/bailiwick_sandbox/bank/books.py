"""The books: who owes what, decided at one place, written down before it is told.

Everything here is synchronous and runs in one thread, so no request sees half of another's
change. Refusals are raised as ``Refusal`` and leave no trace.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from msgspec.structs import replace

from bailiwick_sandbox.bank.checks import (
    check_agreement,
    check_currency,
    check_increment,
    mismatch,
    not_open,
    same_charge,
)
from bailiwick_sandbox.bank.completions import agreed, waits
from bailiwick_sandbox.bank.journal import Entry, Journal
from bailiwick_sandbox.bank.ledger import Ledger
from bailiwick_sandbox.bank.records import (
    Capture,
    CaptureRequest,
    Charge,
    ChargeRequest,
    ChargeStatus,
    Failure,
    Increment,
    IncrementRequest,
    Operation,
    Refund,
    RefundRequest,
    RefundStatus,
    Refusal,
    Void,
    VoidRequest,
)
from bailiwick_sandbox.bank.reversals import REVERSED
from bailiwick_sandbox.bank.sources import source_behind
from bailiwick_sandbox.config import Config
from bailiwick_sandbox.families.expiry import check_expiry
from bailiwick_sandbox.families.opening import Why, after_decline, begin, decline_of, family_of
from bailiwick_sandbox.families.steering import source_asked

OVERCAPTURE_PERCENT = 15
"""How much more than was authorized the final capture may take, all captures together."""
_REFUND_FAILED = Failure("expired_or_canceled_card", "The refund was returned by the payer's bank.")


def wall_ms() -> int:
    """The bank's clock."""
    return time.time_ns() // 1_000_000


class Books:
    """All providers' ledgers over one journal."""

    def __init__(
        self, config: Config, journal: Journal, clock: Callable[[], int] = wall_ms
    ) -> None:
        self._journal = journal
        self.clock = clock
        self._room = config.server.max_records
        self.on_captured: Callable[[Ledger, Charge], None] = lambda ledger, charge: None
        self.settle_ms = config.server.settle_ms
        self.ledgers = {provider.name: Ledger(provider) for provider in config.providers}
        # Rows of providers that are configured no more are kept on disk and left alone.
        self.unknown_rows = 0
        for entry in journal.replay():
            paid = entry.charge or entry.capture or entry.void or entry.refund
            row = paid or entry.dispute or entry.payout or entry.reversal
            ledger = self.ledgers.get(row.provider) if row is not None else None
            if ledger is None:
                self.unknown_rows += 1
                continue
            ledger.put(entry)
        for ledger in self.ledgers.values():
            ledger.numbering.issued = ledger.size()
            self._room -= ledger.size()

    def charge(
        self,
        ledger: Ledger,
        request: ChargeRequest,
        redirect_url: Callable[[str], str],
        *,
        percent: int = 100,
        lie: str = "",
        callback_fault: str = "",
    ) -> tuple[Charge, bool]:
        """Charge a source once; returns the row as it now is and whether it was there before.

        ``percent`` below 100 approves a part only; ``lie`` and ``callback_fault`` are kept with
        the row (see ``Charge``).
        """
        seen = self.seen(ledger, request.reference, "charge")
        if seen is not None:
            row = self.fresh(ledger, ledger.charges[seen])
            if not same_charge(row, request):
                raise mismatch(request.reference)
            return row, True
        source = source_asked(request)
        check_agreement(ledger.charges.get(request.agreement or ""), request)
        check_currency(ledger.provider.currencies, request.currency)
        self.check_room()
        now = self.clock()
        check_expiry(request.expires_at, now)
        row = Charge(
            ledger.name,
            ledger.numbering.next(now),
            request.reference,
            request.amount,
            request.currency,
            request.source,
            request.capture,
            "pending",
            now,
            now,
            amount_authorized=request.amount * percent // 100 if percent < 100 else 0,
            return_url=request.return_url,
            callback_url=request.callback_url,
            description=request.description,
            lie=lie,
            callback_fault=callback_fault,
            overcapture=request.overcapture,
            store=request.store,
            off_session=request.off_session,
            agreement=request.agreement,
            family=family_of(request),
        )
        if request.reference in ledger.closed:
            row = replace(row, status="declined", decline=REVERSED)
        else:
            row = begin(self, ledger, row, request, source, redirect_url(row.id))
        self.commit(ledger, Entry(charge=row))
        return row, False

    def capture(
        self, ledger: Ledger, charge_id: str, request: CaptureRequest
    ) -> tuple[Charge, bool]:
        """Take an authorized amount, once for each reference. What is not taken is released, or
        stays held where the capture is not the final one."""
        charge = self.find_charge(ledger, charge_id)
        seen = self.seen(ledger, request.reference, "capture")
        if seen is not None:
            done = ledger.captures[seen]
            asked = (charge_id, request.amount, request.final)
            if (done.charge, done.requested, done.final) != asked:
                raise mismatch(request.reference)
            return charge, True
        if charge.status != "authorized":
            raise not_open(charge, "not_capturable")
        left = charge.amount_authorized - charge.amount_captured
        amount = left if request.amount is None else request.amount
        over = 0
        if request.final and charge.overcapture:
            over = charge.amount_authorized * OVERCAPTURE_PERCENT // 100
        if amount > left + over:
            raise Refusal(
                422, "amount_too_large", f"Only {left} of the authorization is left.", "amount"
            )
        self.check_room()
        now = self.clock()
        capture = Capture(
            ledger.name,
            ledger.numbering.next(now),
            request.reference,
            charge.id,
            amount,
            charge.currency,
            now,
            request.amount,
            request.final,
        )
        charge = replace(
            charge,
            status="captured" if request.final else "authorized",
            amount_captured=charge.amount_captured + amount,
            updated=now,
        )
        self.commit(ledger, Entry(charge=charge, capture=capture))
        return charge, False

    def increment(
        self, ledger: Ledger, charge_id: str, request: IncrementRequest
    ) -> tuple[Charge, bool]:
        """Hold more than was authorized, before anything of it is captured."""
        charge = self.find_charge(ledger, charge_id)
        seen = self.seen(ledger, request.reference, "increment")
        if seen is not None:
            done = ledger.increments[seen]
            if (done.charge, done.amount) != (charge_id, request.amount):
                raise mismatch(request.reference)
            return charge, True
        check_increment(charge, request.amount)
        self.check_room()
        now = self.clock()
        row = Increment(
            ledger.name,
            ledger.numbering.next(now),
            request.reference,
            charge.id,
            request.amount,
            charge.currency,
            now,
        )
        charge = replace(charge, amount_authorized=request.amount, updated=now)
        self.commit(ledger, Entry(charge=charge, increment=row))
        return charge, False

    def void(self, ledger: Ledger, charge_id: str, request: VoidRequest) -> tuple[Charge, bool]:
        """Give up a charge, or what is left of it: of what was captured it stays captured."""
        charge = self.find_charge(ledger, charge_id)
        seen = self.seen(ledger, request.reference, "void")
        if seen is not None:
            if seen not in ledger.voids or ledger.voids[seen].charge != charge_id:
                raise mismatch(request.reference)
            return charge, True
        if charge.status not in ("authorized", "pending", "action_required", "approved"):
            raise not_open(charge, "not_voidable")
        self.check_room()
        now = self.clock()
        void = Void(ledger.name, ledger.numbering.next(now), request.reference, charge.id, now)
        charge = replace(
            charge,
            status="captured" if charge.amount_captured else "voided",
            void_reason="requested",
            next_status="",
            next_at=0,
            updated=now,
        )
        self.commit(ledger, Entry(charge=charge, void=void))
        return charge, False

    def refund(self, ledger: Ledger, request: RefundRequest) -> tuple[Refund, bool]:
        """Pay back some of what was captured; all refunds but failed ones count against it."""
        seen = self.seen(ledger, request.reference, "refund")
        if seen is not None:
            done = ledger.refunds[seen]
            same = (done.charge, done.amount, done.callback_url)
            if same != (request.charge, request.amount, request.callback_url):
                raise mismatch(request.reference)
            return done, True
        charge = self.find_charge(ledger, request.charge, "charge")
        if not charge.amount_captured:
            raise Refusal(422, "not_refundable", f"The charge is {charge.status}.", "charge")
        left = charge.amount_captured - charge.amount_refunded
        if request.amount > left:
            raise Refusal(422, "amount_too_large", f"Only {left} is left to refund.", "amount")
        self.check_room()
        now = self.clock()
        manner = source_behind(charge).refund
        row = Refund(
            ledger.name,
            ledger.numbering.next(now),
            request.reference,
            charge.id,
            request.amount,
            charge.currency,
            "pending" if manner == "pending" else "succeeded",
            now,
            now,
            callback_url=request.callback_url,
        )
        if manner == "pending":
            row = replace(row, next_status="succeeded", next_at=now + self.settle_ms)
        elif manner == "failed_later":
            row = replace(row, next_status="failed", next_at=now + self.settle_ms)
        refunded = charge.amount_refunded + request.amount
        charge = replace(charge, amount_refunded=refunded, updated=now)
        self.commit(ledger, Entry(charge=charge, refund=row))
        return row, False

    def advance_charge(self, ledger: Ledger, charge_id: str) -> tuple[Charge, bool]:
        """End a charge that ends by itself; returns the row and whether it changed."""
        row = self.fresh(ledger, ledger.charges[charge_id])
        if not row.next_status or self.clock() < row.next_at:
            return row, False
        return self._in_time(ledger, row), True

    def advance_refund(self, ledger: Ledger, refund_id: str) -> tuple[Refund, bool]:
        """End a refund that ends by itself; a failed one is given back to the charge."""
        row = ledger.refunds[refund_id]
        if not row.next_status or self.clock() < row.next_at:
            return row, False
        now = self.clock()
        status: RefundStatus = row.next_status
        charge: Charge | None = None
        failure: Failure | None = None
        if status == "failed":
            failure = _REFUND_FAILED
            charge = ledger.charges[row.charge]
            left = charge.amount_refunded - row.amount
            charge = replace(charge, amount_refunded=left, updated=now)
        row = replace(row, status=status, failure=failure, next_status="", next_at=0, updated=now)
        self.commit(ledger, Entry(charge=charge, refund=row))
        return row, True

    def answer_action(self, ledger: Ledger, charge_id: str, approve: bool) -> tuple[Charge, bool]:
        """The payer's answer on the redirect page; returns the row and whether it changed."""
        row = self.find_charge(ledger, charge_id)
        if row.status != "action_required":
            return row, False
        if row.next_status and self.clock() >= row.next_at:
            return self._in_time(ledger, row), True
        yes = approve and source_behind(row).then != "declined"
        ended = self._end(ledger, row, approve=yes, why="bank" if approve else "payer")
        return ended, ended.status != row.status

    def find_charge(self, ledger: Ledger, charge_id: str, param: str | None = None) -> Charge:
        """A charge by the bank's id; raises Refusal 404."""
        row = ledger.charges.get(charge_id)
        if row is None:
            raise Refusal(404, "not_found", "No such charge at this provider.", param)
        return self.fresh(ledger, row)

    def fresh(self, ledger: Ledger, row: Charge) -> Charge:
        """The row as of now: an authorization past its time is released when it is looked at."""
        if row.status != "authorized" or self.clock() < row.expires_at:
            return row
        status: ChargeStatus = "captured" if row.amount_captured else "voided"
        row = replace(row, status=status, void_reason="expired", updated=self.clock())
        self.commit(ledger, Entry(charge=row))
        return row

    def unfinished(self) -> Iterator[tuple[Ledger, Charge | Refund]]:
        """Rows that end by themselves at a later time."""
        for ledger in self.ledgers.values():
            for charge in ledger.charges.values():
                if charge.next_status:
                    yield ledger, charge
            for refund in ledger.refunds.values():
                if refund.next_status:
                    yield ledger, refund

    def _in_time(self, ledger: Ledger, row: Charge) -> Charge:
        return self._end(ledger, row, approve=row.next_status == "approved", why="time")

    def _end(self, ledger: Ledger, before: Charge, *, approve: bool, why: Why) -> Charge:
        now = self.clock()
        row = replace(before, next_status="", next_at=0, updated=now)
        if approve:
            row = replace(row, decline=None)
            row = agreed(row, now) if waits(row) else self.approved(ledger, row, now)
        else:
            row = replace(row, status="declined", decline=decline_of(before, why))
            row = row if why != "time" else after_decline(before, row, now + self.settle_ms)
        self.commit(ledger, Entry(charge=row))
        return row

    def approved(self, ledger: Ledger, row: Charge, now: int) -> Charge:
        """A charge, or a setup, that is done as far as the payer is concerned."""
        if row.setup:
            return replace(row, status="stored", approved_at=now)
        authorized = row.amount_authorized or row.amount
        status: ChargeStatus = "captured" if row.capture else "authorized"
        return replace(
            row,
            status=status,
            amount_authorized=authorized,
            amount_captured=authorized if row.capture else 0,
            approved_at=now,
            expires_at=0 if row.capture else now + ledger.provider.authorization_ttl_ms,
        )

    def seen(self, ledger: Ledger, reference: str, operation: Operation) -> str | None:
        """The row that was made under a reference before. Raises Refusal for another kind."""
        known = ledger.references.get(reference)
        if known is None:
            return None
        if known[0] != operation:
            raise mismatch(reference)
        return known[1]

    def check_room(self) -> None:
        """Refuse another row where there is no room. Raises Refusal."""
        if self._room <= 0:
            raise Refusal(503, "books_full", "The books are full (server.max_records).")

    def commit(self, ledger: Ledger, entry: Entry) -> None:
        """Write rows down, then take them in. Raises Refusal."""
        before = ledger.size()
        try:
            self._journal.append(entry)
        except OSError as error:
            # Not written, so it did not happen, and its number is free again.
            ledger.numbering.issued = before
            raise Refusal(503, "books_unavailable", f"Nothing was done: {error.strerror}") from None
        ledger.put(entry)
        self._room -= ledger.size() - before
        if entry.charge is not None and entry.charge.status == "captured":
            self.on_captured(ledger, entry.charge)
