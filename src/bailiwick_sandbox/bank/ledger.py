"""One provider's rows, and where they are found."""

from __future__ import annotations

from bailiwick_sandbox.bank.identifiers import Numbering
from bailiwick_sandbox.bank.journal import Entry
from bailiwick_sandbox.bank.records import (
    Capture,
    Charge,
    Increment,
    Operation,
    Refund,
    Void,
)
from bailiwick_sandbox.config import ProviderConfig


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
        # One reference names one operation, whatever its type: it is what a look-up goes by.
        self.references: dict[str, tuple[Operation, str]] = {}

    def put(self, entry: Entry) -> None:
        """Take rows in, new or changed."""
        if entry.charge is not None:
            row = entry.charge
            if row.id not in self.charges:
                self.references[row.reference] = ("charge", row.id)
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

    def capture_of(self, reference: str) -> Capture:
        """The capture that was asked for under a reference; raises KeyError for another one."""
        return self.captures[self.references[reference][1]]

    def size(self) -> int:
        """How many rows there are, which is also how many ids were given out."""
        rows = (self.charges, self.increments, self.captures, self.voids, self.refunds)
        return sum(len(each) for each in rows)
