"""One provider's rows in memory, as its journal has them."""

from __future__ import annotations

from collections.abc import Sized

from bailiwick_sandbox.bank.identifiers import Numbering
from bailiwick_sandbox.bank.journal import Entry
from bailiwick_sandbox.bank.records import (
    Capture,
    Charge,
    Dispute,
    Increment,
    Operation,
    Payout,
    Recall,
    Refund,
    Reversal,
    Submission,
    Void,
)
from bailiwick_sandbox.config import ProviderConfig
from bailiwick_sandbox.families.codes import taken
from bailiwick_sandbox.families.wire import Completion


class Ledger:
    """One provider's rows and the indices over them."""

    def __init__(self, provider: ProviderConfig) -> None:
        self.provider = provider
        self.name = provider.name
        self.numbering = Numbering(provider.kind)
        self.charges: dict[str, Charge] = {}
        self.increments: dict[str, Increment] = {}
        self.captures: dict[str, Capture] = {}
        self.voids: dict[str, Void] = {}
        self.refunds: dict[str, Refund] = {}
        self.disputes: dict[str, Dispute] = {}
        self.submissions: dict[str, Submission] = {}
        self.payouts: dict[str, Payout] = {}
        self.recalls: dict[str, Recall] = {}
        self.reversals: dict[str, Reversal] = {}
        self.completions: dict[str, Completion] = {}
        # References of charges that were given up before they came.
        self.closed: set[str] = set()
        # Codes of payers that are used up, with the charge.
        self.codes: dict[str, str] = {}
        # One reference names one operation, whatever its type: it is what a look-up goes by.
        self.references: dict[str, tuple[Operation, str]] = {}

    def put(self, entry: Entry) -> None:
        """Take rows in, new or changed."""
        if entry.charge is not None:
            row = entry.charge
            if row.id not in self.charges:
                self.references[row.reference] = ("setup" if row.setup else "charge", row.id)
                code = taken(row)
                if code is not None:
                    self.codes[code] = row.id
            self.charges[row.id] = row
        if entry.increment is not None:
            self.increments[entry.increment.id] = entry.increment
            self.references[entry.increment.reference] = ("increment", entry.increment.id)
        if entry.capture is not None:
            self.captures[entry.capture.id] = entry.capture
            self.references[entry.capture.reference] = ("capture", entry.capture.id)
        if entry.void is not None:
            self.voids[entry.void.id] = entry.void
            self.references[entry.void.reference] = ("void", entry.void.id)
        if entry.refund is not None:
            self.refunds[entry.refund.id] = entry.refund
            self.references[entry.refund.reference] = ("refund", entry.refund.id)
        if entry.dispute is not None:
            self.disputes[entry.dispute.id] = entry.dispute
        if entry.submission is not None:
            sent = entry.submission
            self.submissions[sent.id] = sent
            self.references[sent.reference] = (sent.kind, sent.id)
        if entry.payout is not None:
            self.payouts[entry.payout.id] = entry.payout
            self.references[entry.payout.reference] = ("payout", entry.payout.id)
        if entry.recall is not None:
            self.recalls[entry.recall.id] = entry.recall
            self.references[entry.recall.reference] = ("payout_cancel", entry.recall.id)
        if entry.completion is not None:
            self.completions[entry.completion.id] = entry.completion
            self.references[entry.completion.reference] = ("complete", entry.completion.id)
        if entry.reversal is not None:
            self._put_reversal(entry.reversal)

    def _put_reversal(self, row: Reversal) -> None:
        self.reversals[row.id] = row
        self.references[row.reference] = ("void", row.id)
        if not row.charge:
            self.closed.add(row.charge_reference)

    def capture_of(self, reference: str) -> Capture:
        """The capture that was asked for under a reference; raises KeyError for another one."""
        return self.captures[self.references[reference][1]]

    def size(self) -> int:
        """How many rows there are, which is also how many ids were given out."""
        rows: tuple[Sized, ...] = (self.charges, self.increments, self.captures, self.voids)
        rows += (self.refunds, self.disputes, self.submissions, self.payouts, self.recalls)
        rows += (self.reversals, self.completions)
        return sum(len(each) for each in rows)
