"""Disputes in the books: opened by the payer's bank, answered by the merchant, decided, once each.

What the documented test cards and evidence texts do is on Stripe's page "Testing", section disputes
(https://docs.stripe.com/testing#disputes).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Literal

from msgspec.structs import replace

from bailiwick_sandbox.bank.books import Books
from bailiwick_sandbox.bank.checks import mismatch
from bailiwick_sandbox.bank.journal import Entry
from bailiwick_sandbox.bank.ledger import Ledger
from bailiwick_sandbox.bank.records import (
    Charge,
    Dispute,
    DisputeRequest,
    DisputeStatus,
    KeptFile,
    Refusal,
    Submission,
)
from bailiwick_sandbox.bank.sources import source_behind

FEE = 1_500
"""Minor units that a dispute costs, given back when it is won."""
WINNING, LOSING, ESCALATING = (
    "winning_evidence",
    "losing_evidence",
    "escalate_inquiry_evidence",
)
FILES_BYTES_MAX = 4_718_592
"""Of all files sent together."""
BODY_BYTES_MAX = 8 * 1024 * 1024
"""Of evidence: the files in base64, and the texts."""
_OPEN = ("needs_response", "warning_needs_response")


class Disputes:
    """The disputes of all ledgers."""

    def __init__(self, books: Books, settle_ms: int, due_ms: int) -> None:
        self._books = books
        self._settle_ms = settle_ms
        self._due_ms = due_ms

    def missing(self, ledger: Ledger, charge: Charge) -> bool:
        """Whether a charge is to be disputed and is not yet."""
        if charge.status != "captured" or not source_behind(charge).disputes:
            return False
        return all(row.charge != charge.id for row in ledger.disputes.values())

    def undisputed(self) -> Iterator[tuple[Ledger, Charge]]:
        """Charges that an earlier run was about to have disputed."""
        for ledger in self._books.ledgers.values():
            known = {row.charge for row in ledger.disputes.values()}
            for charge in ledger.charges.values():
                to_be = charge.status == "captured" and source_behind(charge).disputes
                if to_be and charge.id not in known:
                    yield ledger, charge

    def unfinished(self) -> Iterator[tuple[Ledger, Dispute]]:
        """Disputes that go on by themselves at a later time."""
        for ledger in self._books.ledgers.values():
            for row in ledger.disputes.values():
                if row.next_status:
                    yield ledger, row

    def open(self, ledger: Ledger, charge_id: str) -> list[Dispute]:
        """Have what is left of a charge disputed, as its source says; none if nothing is."""
        charge = ledger.charges[charge_id]
        left = charge.amount_captured - charge.amount_refunded
        if left <= 0 or not self.missing(ledger, charge):
            return []
        reasons = source_behind(charge).disputes
        share = left // len(reasons)
        amounts = [share] * (len(reasons) - 1) + [left - share * (len(reasons) - 1)]
        made = []
        for reason, amount in zip(reasons, amounts, strict=True):
            if amount:
                made.append(self._opened(ledger, charge, reason, amount))
        return made

    def _opened(self, ledger: Ledger, charge: Charge, reason: str, amount: int) -> Dispute:
        now = self._books.clock()
        inquiry = reason == "inquiry"
        row = Dispute(
            ledger.name,
            ledger.numbering.next(now),
            charge.id,
            amount,
            charge.currency,
            "general" if inquiry else reason,
            "warning_needs_response" if inquiry else "needs_response",
            now,
            now,
            now + self._due_ms,
            fee=FEE,
            funds="held" if inquiry else "withdrawn",
            next_status="warning_closed" if inquiry else "lost",
            next_at=now + self._due_ms,
        )
        self._books.commit(ledger, Entry(dispute=row))
        return row

    def submit(
        self, ledger: Ledger, dispute_id: str, request: DisputeRequest
    ) -> tuple[Dispute, bool]:
        """Take evidence, once for each reference; whether it was there before."""
        row, seen = self._asked(ledger, dispute_id, "evidence", request)
        if seen:
            return row, True
        now = self._books.clock()
        said = " ".join(request.evidence.values())
        inquiry = row.status == "warning_needs_response"
        row = replace(
            row,
            status="warning_under_review" if inquiry else "under_review",
            submissions=row.submissions + 1,
            sequence=row.sequence + 1,
            updated=now,
            next_status=_decision(said, inquiry=inquiry),
            next_at=now + self._settle_ms,
        )
        self._keep(ledger, row, "evidence", request)
        return row, False

    def concede(
        self, ledger: Ledger, dispute_id: str, request: DisputeRequest
    ) -> tuple[Dispute, bool]:
        """Decide a dispute against the merchant, who wants no more of it."""
        row, seen = self._asked(ledger, dispute_id, "concede", request)
        if seen:
            return row, True
        inquiry = row.status == "warning_needs_response"
        row = replace(
            row,
            status="warning_closed" if inquiry else "lost",
            sequence=row.sequence + 1,
            updated=self._books.clock(),
            next_status="",
            next_at=0,
        )
        self._keep(ledger, row, "concede", request)
        return row, False

    def advance(self, ledger: Ledger, dispute_id: str) -> tuple[Dispute, bool]:
        """Go on with a dispute that does by itself; returns the row and whether it changed."""
        row = ledger.disputes[dispute_id]
        now = self._books.clock()
        if not row.next_status or now < row.next_at:
            return row, False
        status = row.next_status
        funds = row.funds
        if status == "won" and funds == "withdrawn":
            funds = "reinstated"
        elif status == "needs_response":  # an inquiry has become a chargeback
            funds = "withdrawn"
        late = row.status in _OPEN and not row.submissions and status != "needs_response"
        again = status == "needs_response"
        row = replace(
            row,
            status=status,
            funds=funds,
            past_due=late,
            sequence=row.sequence + 1,
            updated=now,
            due_at=now + self._due_ms if again else row.due_at,
            next_status="lost" if again else "",
            next_at=now + self._due_ms if again else 0,
        )
        self._books.commit(ledger, Entry(dispute=row))
        return row, True

    def _asked(
        self, ledger: Ledger, dispute_id: str, kind: str, request: DisputeRequest
    ) -> tuple[Dispute, bool]:
        row = ledger.disputes.get(dispute_id)
        if row is None:
            raise Refusal(404, "not_found", "No such dispute at this provider.")
        known = ledger.references.get(request.reference)
        if known is not None:
            sent = ledger.submissions.get(known[1])
            same = sent is not None and (sent.dispute, sent.kind) == (dispute_id, kind)
            told = (request.evidence, kept(request))
            if not same or sent is None or (sent.evidence, sent.files) != told:
                raise mismatch(request.reference)
            return row, True
        if row.status not in _OPEN:
            raise Refusal(422, "dispute_not_open", f"The dispute is {row.status}.")
        if sum(len(each.content) for each in request.files.values()) > FILES_BYTES_MAX:
            raise Refusal(
                422, "files_too_large", f"At most {FILES_BYTES_MAX} bytes of files.", "files"
            )
        self._books.check_room()
        return row, False

    def _keep(self, ledger: Ledger, row: Dispute, kind: str, request: DisputeRequest) -> None:
        now = self._books.clock()
        sent = Submission(
            ledger.name,
            ledger.numbering.next(now),
            request.reference,
            row.id,
            row.charge,
            "evidence" if kind == "evidence" else "concede",
            now,
            request.evidence,
            kept(request),
        )
        self._books.commit(ledger, Entry(dispute=row, submission=sent))


def kept(request: DisputeRequest) -> dict[str, KeptFile]:
    """What the books keep of the files that were sent."""
    return {
        field: KeptFile(
            each.name, each.type, len(each.content), hashlib.sha256(each.content).hexdigest()
        )
        for field, each in request.files.items()
    }


def _decision(said: str, *, inquiry: bool) -> DisputeStatus | Literal[""]:
    """How the payer's bank decides on documented evidence; any other stays under review."""
    if inquiry and ESCALATING in said:
        return "needs_response"
    if WINNING in said:
        return "warning_closed" if inquiry else "won"
    if LOSING in said:
        return "warning_closed" if inquiry else "lost"
    return ""
