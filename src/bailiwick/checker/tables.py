"""What is needed of a node's rows in memory: small tuples of 10^5 payments, not their contents."""

from __future__ import annotations

import msgspec

from bailiwick.checker.reader import Reader

OPEN = frozenset({"permitted", "pending", "unknown"})
NO_CHARGE = frozenset({"declined", "unsent"})


class Payment(msgspec.Struct, frozen=True, gc=False):
    """A payment's guarded columns. Amounts are minor units."""

    id: str
    state: str
    amount: int
    currency: str
    capturable: int
    received: int
    refunding: int
    refunded: int
    charge_attempt: str | None

    @property
    def status(self) -> str:
        """What a client sees: an increment, capture or void under way is ``processing``."""
        under_way = self.state in ("incrementing", "capturing", "voiding")
        return "processing" if under_way else self.state


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """An attempt; its id is the reference at the provider.

    ``permitted_ms`` is by the database's clock; ``reviewed``: a person was asked to look.
    """

    id: str
    payment: str
    operation: str
    gateway: str
    state: str
    amount: int
    currency: str
    refund: str | None
    permitted_ms: int
    reviewed: bool

    @property
    def open(self) -> bool:
        """Whether its outcome is not known yet."""
        return self.state in OPEN

    @property
    def excused(self) -> bool:
        """A late success that was booked as such and put before a person (rule 2)."""
        return self.state == "late" and self.reviewed


class Refund(msgspec.Struct, frozen=True, gc=False):
    """A refund."""

    payment: str
    state: str
    amount: int


class Dispute(msgspec.Struct, frozen=True, gc=False):
    """A dispute, as it was booked."""

    id: str
    payment: str
    gateway: str
    provider_ref: str
    state: str
    funds: str
    amount: int
    fee: int
    sequence: int


class Tables(msgspec.Struct, frozen=True):
    """A node's rows by id."""

    payments: dict[str, Payment]
    attempts: dict[str, Attempt]
    refunds: dict[str, Refund]
    disputes: dict[str, Dispute] = {}


async def load(db: Reader) -> Tables:
    """Read a node's tables."""
    payments: dict[str, Payment] = {}
    async for row in db.stream(
        """SELECT id, state, amount, currency, amount_capturable, amount_received,
                  amount_refunding, amount_refunded, charge_attempt FROM payment"""
    ):
        payments[row[0]] = Payment(*row)
    attempts: dict[str, Attempt] = {}
    async for row in db.stream(
        """SELECT a.id, a.subject, a.operation, a.gateway, a.state, a.amount, a.currency,
                  a.acts_on, (extract(epoch FROM a.permitted_at) * 1000)::bigint,
                  EXISTS (SELECT FROM review r WHERE r.subject = a.subject AND r.attempt = a.id)
             FROM attempt a"""
    ):
        attempts[row[0]] = Attempt(*row)
    refunds: dict[str, Refund] = {}
    async for row in db.stream("SELECT id, payment, state, amount FROM refund"):
        refunds[row[0]] = Refund(*row[1:])
    disputes: dict[str, Dispute] = {}
    async for row in db.stream(
        """SELECT id, payment, gateway, provider_ref, state, funds, amount, fee, sequence
             FROM dispute"""
    ):
        disputes[row[0]] = Dispute(*row)
    return Tables(payments, attempts, refunds, disputes)
