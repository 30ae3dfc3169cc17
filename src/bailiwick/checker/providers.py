"""Invariants between our books and the providers', joined on our reference. Pure.

A row of the books that changed after our snapshot was taken is set aside with its payment: the
two were not read at one moment. What has an open attempt is compared as far as it is decided.
"""

from __future__ import annotations

from collections.abc import Callable

from bailiwick.checker import books
from bailiwick.checker.books import Charge, Payout, Refund, Row, Setup, Submission, Void
from bailiwick.checker.findings import Found
from bailiwick.checker.tables import NO_CHARGE, Attempt, Payment, Tables

UNPAID = frozenset({"requires_payment_method", "canceled"})


class Joined:
    """One node's rows with the rows of the books under their references.

    Attributes:
        rows: attempt -> its rows in the books (one, or there is something wrong).
        charges: payment -> its charges in the books.
        unsettled: payments that are not compared as a whole: something is open, or changed in
            the books after the snapshot.
        late: payments whose charge was captured or voided late, which is booked and in review.
        skipped: attempts at gateways whose provider's books we do not have.
    """

    def __init__(
        self,
        node: str,
        tables: Tables,
        by_reference: dict[str, list[Row]],
        taken_ms: int,
        providers: dict[str, str | None] | None,
        known_providers: frozenset[str],
    ) -> None:
        self.node = node
        self.payments = tables.payments
        self.refunds = tables.refunds
        self.providers = providers
        self._known = known_providers
        self.rows: dict[str, list[Row]] = {}
        self.attempts: dict[str, Attempt] = {}
        self.charges: dict[str, list[tuple[Charge, Attempt]]] = {}
        self.by_id: dict[tuple[str, str], str] = {}
        self.unsettled: set[str] = set()
        self.changed: set[str] = set()
        self.late: set[str] = set()
        self.skipped = 0
        for attempt in tables.attempts.values():
            self._join(attempt, by_reference.get(attempt.id, []), taken_ms)

    def _join(self, attempt: Attempt, rows: list[Row], taken_ms: int) -> None:
        if attempt.open:
            self.unsettled.add(attempt.payment)
        if self.provider(attempt) is None:
            self.skipped += 1
            self.unsettled.add(attempt.payment)
            return
        if any(row.updated >= taken_ms for row in rows):
            self.changed.add(attempt.payment)
            self.unsettled.add(attempt.payment)
        if attempt.excused and attempt.operation in ("increment", "capture", "void"):
            self.late.add(attempt.payment)
        self.attempts[attempt.id] = attempt
        self.rows[attempt.id] = rows
        for row in rows:
            if isinstance(row, Charge):
                self.charges.setdefault(attempt.payment, []).append((row, attempt))
                self.by_id[row.provider, row.id] = attempt.payment

    @property
    def joinable(self) -> int:
        """How many attempts can be compared with the books."""
        return sum(each.payment not in self.changed for each in self.attempts.values())

    @property
    def settled(self) -> int:
        """How many payments have money that can be compared with the books."""
        aside = self.changed | self.late
        return sum(each.received > 0 and each.id not in aside for each in self.payments.values())

    def provider(self, attempt: Attempt) -> str | None:
        """The provider in the books, empty when not known; None when it keeps none for us."""
        if self.providers is None:
            return ""
        name = self.providers.get(attempt.gateway, "")
        return name if not name or name in self._known else None


def attempts_match_books(joined: Joined, found: Found) -> None:
    """Full join of attempts and providers' books on our reference (rule 1): operation, provider,
    amount, currency and state are equal, and an approval of ours is in the books."""
    for attempt in joined.attempts.values():
        if attempt.payment in joined.changed:
            continue
        found.compare()
        rows = joined.rows[attempt.id]
        wrong = _row_wrong(joined, attempt, rows)
        if wrong is not None:
            found.broken(joined.node, attempt.id, f"{attempt.operation} {attempt.state}: {wrong}")


def _row_wrong(joined: Joined, attempt: Attempt, rows: list[Row]) -> str | None:
    if attempt.state == "late" and not attempt.reviewed:
        return "not in review"
    if len(rows) > 1:
        where = ", ".join(f"{books.kind(row)} at {row.provider}" for row in rows)
        return f"in the books {len(rows)} times: {where}"
    if not rows:
        if attempt.operation == "void" and attempt.state in ("approved", "late"):
            return None if _gone(joined, attempt) else "not in the books, and the charge lives"
        return "not in the books" if attempt.state in ("approved", "late") else None
    row = rows[0]
    if books.kind(row) != attempt.operation:
        return f"a {books.kind(row)} in the books"
    provider = joined.provider(attempt)
    if provider and row.provider != provider:
        return f"sent to {attempt.gateway}, in the books of {row.provider}"
    if not isinstance(row, Void | Submission | Setup):
        if row.amount != attempt.amount:
            return f"{attempt.amount} for us, {row.amount} in the books"
        if row.currency.upper() != attempt.currency.upper():
            return f"{attempt.currency} for us, {row.currency} in the books"
    if not isinstance(row, Charge) and joined.by_id.get((row.provider, row.charge)) not in (
        None,
        attempt.payment,
    ):
        return f"on a charge of payment {joined.by_id[row.provider, row.charge]}"
    return _state_wrong(attempt, row)


def _gone(joined: Joined, void: Attempt) -> bool:
    charges = joined.charges.get(void.payment, [])
    return not any(row.live for row, attempt in charges if not attempt.excused)


def _state_wrong(attempt: Attempt, row: Row) -> str | None:
    if attempt.open or (attempt.operation == "charge" and attempt.state in NO_CHARGE):
        return None  # the latter is a rule of its own: failed_means_no_charge
    if isinstance(row, Charge):
        allowed = ("authorized", "captured", "voided")
        return None if row.status in allowed else f"{row.status} in the books"
    if isinstance(row, Setup):
        usual = ("declined", "voided") if attempt.state in NO_CHARGE else ("stored",)
        return None if row.status in usual else f"{row.status} in the books"
    if isinstance(row, Refund):
        status = "failed" if attempt.state in NO_CHARGE else "succeeded"
        return None if row.status == status else f"{row.status} in the books"
    if isinstance(row, Payout):
        ends = ("failed", "canceled") if attempt.state in NO_CHARGE else ("paid",)
        return None if row.status in ends else f"{row.status} in the books"
    return "done in the books" if attempt.state in NO_CHARGE else None


def one_live_charge(joined: Joined, found: Found) -> None:
    """At most one unvoided charge per payment in the providers' books (rule 2); a surplus must be
    a late success, booked as unexpected and in review."""
    for payment, charges in joined.charges.items():
        found.compare()
        live = [row for row, attempt in charges if row.live and not attempt.excused]
        if len(live) > 1 and payment not in joined.changed:
            told = ", ".join(f"{row.reference} {row.status} at {row.provider}" for row in live)
            found.broken(joined.node, payment, f"{len(live)} live charges: {told}")


def failed_means_no_charge(joined: Joined, found: Found) -> None:
    """Our failed implies no charge at the provider (rule 2: nothing is guessed): neither for a
    declined or unsent attempt, nor for a payment without success; late ones are in review."""
    for attempt in joined.attempts.values():
        if attempt.operation != "charge" or attempt.state not in NO_CHARGE:
            continue
        if attempt.payment in joined.changed:
            continue
        found.compare()
        for row in joined.rows[attempt.id]:
            ended = not isinstance(row, Charge) or row.status in ("declined", "voided")
            if isinstance(row, Charge) and not (ended or row.uncompleted):
                told = f"{attempt.state} for us, {row.status} at {row.provider}"
                found.broken(joined.node, attempt.id, told)
    set_aside = joined.unsettled | joined.late
    for payment in joined.payments.values():
        if payment.state not in UNPAID or payment.id in set_aside:
            continue
        found.compare()
        for row, attempt in joined.charges.get(payment.id, []):
            if row.live and not attempt.excused and attempt.state not in NO_CHARGE:
                told = f"{payment.state} for us, {row.reference} {row.status} at {row.provider}"
                found.broken(joined.node, payment.id, told)


def succeeded_means_one_charge(joined: Joined, found: Found) -> None:
    """Our succeeded implies exactly one captured charge, of the amount received; a hold of ours
    is a hold at the provider, of the amount capturable, unless it has expired there."""
    for payment in joined.payments.values():
        if payment.state not in ("succeeded", "requires_capture") or payment.id in joined.changed:
            continue
        if payment.id in joined.late or _not_ours(joined, payment):
            continue
        found.compare()
        rows = [row for row, attempt in joined.charges.get(payment.id, []) if not attempt.excused]
        told = _taken_wrong if payment.state == "succeeded" else _held_wrong
        wrong = told(payment, rows)
        if wrong is not None:
            found.broken(joined.node, payment.id, f"{payment.state} for us, {wrong}")


def _not_ours(joined: Joined, payment: Payment) -> bool:
    """Whether the charge is at a provider whose books we do not have."""
    return joined.skipped > 0 and payment.charge_attempt not in joined.attempts


def _taken_wrong(payment: Payment, rows: list[Charge]) -> str | None:
    taken = [row for row in rows if row.status == "captured"]
    if len(taken) != 1:
        return f"{len(taken)} captured charges in the books"
    if taken[0].reference != payment.charge_attempt:
        return f"paid by {payment.charge_attempt}, captured is {taken[0].reference}"
    if taken[0].amount_captured != payment.received:
        return f"received {payment.received}, captured {taken[0].amount_captured}"
    return None


def _held_wrong(payment: Payment, rows: list[Charge]) -> str | None:
    held = [row for row in rows if row.status == "authorized"]
    if not held and any(row.void_reason == "expired" for row in rows):
        return None
    if len(held) != 1:
        return f"{len(held)} authorized charges in the books"
    left = (held[0].amount_authorized or held[0].amount) - held[0].amount_captured
    if left != payment.capturable:
        return f"capturable {payment.capturable}, authorized and not captured {left}"
    if held[0].amount_captured != payment.received:
        return f"received {payment.received}, captured {held[0].amount_captured}"
    return None


def refunds_match_books(joined: Joined, found: Found) -> None:
    """Refunds in the provider's books never exceed what was captured, and their sum is ours:
    succeeded ones as refunded, the rest within what is being refunded; late ones are in review
    (rule 2) and not counted."""
    late: dict[str, int] = {}
    for each in joined.attempts.values():
        if each.operation == "refund" and each.excused:
            late[each.payment] = late.get(each.payment, 0) + each.amount
    for payment in joined.payments.values():
        charges = joined.charges.get(payment.id, [])
        if not charges or payment.id in joined.changed:
            continue
        found.compare()
        for row, _ in charges:
            if row.amount_refunded > row.amount_captured:
                told = f"{row.reference}: refunded {row.amount_refunded} of {row.amount_captured}"
                found.broken(joined.node, payment.id, told)
        theirs = sum(row.amount_refunded for row, attempt in charges if not attempt.excused)
        theirs -= late.get(payment.id, 0)
        if not payment.refunded <= theirs <= payment.refunded + payment.refunding:
            found.broken(
                joined.node,
                payment.id,
                f"{payment.refunded} refunded and {payment.refunding} under way for us, "
                f"{theirs} in the books",
            )


BETWEEN: tuple[Callable[[Joined, Found], None], ...] = (
    attempts_match_books,
    one_live_charge,
    failed_means_no_charge,
    succeeded_means_one_charge,
    refunds_match_books,
)


def no_call_without_attempt(
    by_reference: dict[str, list[Row]],
    permitted: dict[str, int],
    reviewed: frozenset[str],
    taken_ms: int,
    skew_ms: int,
    found: Found,
    deleted: Callable[[str], bool] = lambda _: False,
) -> None:
    """No provider call without an earlier committed attempt (rule 1): each reference in the books
    is one of our attempts, permitted before the provider saw it (clocks may differ a little), or
    was one of an order whose test data was deleted; rows that only the provider has must be in
    review."""
    for reference, rows in by_reference.items():
        for row in rows:
            if row.created >= taken_ms:
                continue  # younger than our snapshot
            found.compare()
            since = permitted.get(reference)
            what = f"{books.kind(row)} at {row.provider}"
            if since is None:
                if reference not in reviewed and not deleted(reference):
                    found.broken("", reference, f"{what}: no such attempt, and not in review")
            elif row.created + skew_ms < since:
                told = f"{what} {since - row.created} ms before the attempt was permitted"
                found.broken("", reference, told)
