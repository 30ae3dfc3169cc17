"""The story of each payment as its events tell it: read once, in order, body by body."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec

from bailiwick.checker import transitions
from bailiwick.checker.findings import Findings, Found
from bailiwick.checker.reader import Reader
from bailiwick.checker.tables import Attempt, Dispute, Payment, Refund, Tables


class _Body(msgspec.Struct, frozen=True, gc=False):
    """What is read of an event's object: a payment, a charge, a refund or a dispute."""

    id: str
    object: str
    amount: int
    currency: str
    status: str
    amount_received: int = 0
    amount_capturable: int = 0
    payment_intent: str | dict[str, Any] | None = None


_decode = msgspec.json.Decoder(_Body).decode
Event = tuple[str, int, str, str | bytes]
"""Payment, sequence, type, body."""


def transitions_allowed() -> None:
    """Only transitions of the published life of a payment happen (rule 3): the statuses that its
    events show follow each other as their types allow."""


def terminal_stays() -> None:
    """There is no way out of succeeded or canceled but the named adjustments: refunds, late
    successes and edits (rule 3), none of which changes the status."""


def events_name_their_object() -> None:
    """An event's body is the object as it was: it names its payment, or one of its charges,
    refunds or disputes."""


def payment_is_its_last_event() -> None:
    """A payment stands as its last event shows it (one commit writes both, rule 1): status,
    amount, currency, amount_received, amount_capturable."""


class Stories:
    """Checks events that come sorted by payment and sequence.

    Attributes:
        edited: payments whose amount was changed before they were charged.
    """

    def __init__(self, node: str, tables: Tables, findings: Findings) -> None:
        self._node = node
        self._tables = tables
        self._moves = findings.of(transitions_allowed)
        self._terminal = findings.of(terminal_stays)
        self._named = findings.of(events_name_their_object)
        self._last = findings.of(payment_is_its_last_event)
        self.edited: set[str] = set()
        self._payment: str | None = None
        self._seq = 0
        self._status: str | None = None
        self._shown: _Body | None = None

    def tell(self, event: Event) -> None:
        """The next event."""
        payment, seq, kind, raw = event
        if payment != self._payment:
            self.end()
            self._payment = payment
        followed = seq == self._seq + 1
        self._seq = seq
        self._named.compare()
        try:
            body = _decode(raw)
        except msgspec.DecodeError as error:
            self._named.broken(self._node, payment, f"version {seq}: unreadable body ({error})")
            self._status = None
            return
        wrong = self._misnamed(payment, body)
        if wrong is not None:
            self._named.broken(self._node, payment, f"version {seq}: {wrong}")
        status = body.status if body.object == "payment_intent" else self._status
        self._moved(payment, seq, kind, status, followed)
        self._status = status
        if body.object == "payment_intent":
            if self._shown is not None and self._shown.amount != body.amount:
                self.edited.add(payment)
            self._shown = body

    def end(self) -> None:
        """The last event of a payment has been told."""
        payment = self._tables.payments.get(self._payment or "")
        if payment is not None:
            self._compare_last(payment)
        self._payment, self._seq, self._status, self._shown = None, 0, None, None

    def _misnamed(self, payment: str, body: _Body) -> str | None:
        if body.object == "payment_intent":
            return None if body.id == payment else f"the body is about {body.id}"
        if body.object == "charge":
            attempt = self._tables.attempts.get(body.id)
            mine = attempt is not None and attempt.payment == payment
            return None if mine else f"charge {body.id} is not one of this payment"
        parts: dict[str, dict[str, Refund] | dict[str, Dispute]]
        parts = {"refund": self._tables.refunds, "dispute": self._tables.disputes}
        if body.object not in parts:
            return f"the body is a {body.object}"
        part = parts[body.object].get(body.id)
        if part is None or part.payment != payment:
            return f"{body.object} {body.id} is not one of this payment"
        if body.amount != part.amount:
            return f"{body.object} {body.id} of {part.amount} is shown with {body.amount}"
        return None

    def _moved(self, payment: str, seq: int, kind: str, after: str | None, followed: bool) -> None:
        before = self._status
        if seq == 1:
            self._moves.compare()
            wrong = transitions.first_wrong(kind, after or "unknown")
        elif before is None or after is None or not followed:
            return  # an event is missing or unreadable, which is reported for itself
        else:
            self._moves.compare()
            if before in transitions.TERMINAL:
                self._terminal.compare()
            if transitions.leaves_terminal(before, kind, after):
                told = f"version {seq}: {kind} from {before} to {after}"
                self._terminal.broken(self._node, payment, told)
                return
            wrong = transitions.move_wrong(before, kind, after)
        if wrong is not None:
            self._moves.broken(self._node, payment, f"version {seq}: {wrong}")

    def _compare_last(self, payment: Payment) -> None:
        shown = self._shown
        if shown is None:
            return
        self._last.compare()
        is_now = (
            payment.status,
            payment.amount,
            payment.currency.lower(),
            payment.received,
            payment.capturable,
        )
        told = (
            shown.status,
            shown.amount,
            shown.currency.lower(),
            shown.amount_received,
            shown.amount_capturable,
        )
        if is_now != told:
            self._last.broken(self._node, payment.id, f"is {is_now}, its last event says {told}")


def tell_all(stories: Stories, events: Iterable[Event]) -> None:
    """Check events in memory."""
    for event in events:
        stories.tell(event)
    stories.end()


async def read(db: Reader, stories: Stories) -> None:
    """Check a node's events; one without a body is told from its content."""
    events: AsyncIterator[Event] = db.stream(
        """SELECT subject, seq, type, coalesce(body, json_build_object(
                  'object', 'payment_intent', 'id', content::json -> 'id',
                  'amount', content::json -> 'amount', 'currency', content::json -> 'currency',
                  'status', content::json -> 'state')::text)
             FROM event WHERE subject ^@ 'pi_' ORDER BY subject, seq"""
    )
    async for event in events:
        stories.tell(event)
    stories.end()


class _Intent(msgspec.Struct, frozen=True, gc=False):
    id: str
    amount: int


class _Error(msgspec.Struct, frozen=True, gc=False):
    payment_intent: _Intent | None = None


class _Answer(msgspec.Struct, frozen=True, gc=False):
    """What is read of a stored answer: an object, or an error around one."""

    id: str | None = None
    amount: int | None = None
    error: _Error | None = None


_answer = msgspec.json.Decoder(_Answer).decode


async def stored_answers(db: Reader, found: Found, tables: Tables, edited: set[str]) -> None:
    """A stored answer (rule 8) belongs to an object that exists, is about that object, and says
    its amount; an event answers a key that acts on its own payment."""
    rows = db.stream(
        """SELECT coalesce(k.key, a.answer_key), k.object, k.subject, a.subject, a.answer_status,
                  coalesce(a.answer_body, a.body)
             FROM (SELECT * FROM idempotency_key
                    WHERE refused IS NULL AND (subject ^@ 'pi_' OR subject IS NULL)) k
             FULL JOIN (SELECT DISTINCT ON (e.subject, e.answer_key) e.*
                          FROM event e
                         WHERE e.answer_key IS NOT NULL AND e.subject ^@ 'pi_'
                         ORDER BY e.subject, e.answer_key, e.seq) a
               ON a.merchant = k.merchant AND a.livemode = k.livemode AND a.answer_key = k.key"""
    )
    async for key, target, payment, answered, status, body in rows:
        found.compare()
        part = _part(tables, target)
        owner = part.payment if part is not None else target
        if owner is not None and owner not in tables.payments:
            found.broken(db.node, key, f"acts on {target}, which does not exist")
        elif owner is not None and payment != owner:
            found.broken(db.node, key, f"acts on {target}, but is filed under {payment}")
        elif answered is None:
            continue
        elif owner is None:
            found.broken(db.node, key, "has an answer but no object")
        elif answered != owner:
            found.broken(db.node, key, f"acts on {target}, its answer is that of {answered}")
        elif status is None or body is None:
            found.broken(db.node, key, "has an answer without a status or body")
        else:
            wrong = _wrong_answer(body, str(target), owner, tables, edited)
            if wrong is not None:
                found.broken(db.node, key, wrong)


def _part(tables: Tables, target: str | None) -> Refund | Attempt | Dispute | None:
    """The refund, charge or dispute with an id: what belongs to a payment, and has an amount of its
    own."""
    wanted = target or ""
    return tables.refunds.get(wanted) or tables.attempts.get(wanted) or tables.disputes.get(wanted)


def _wrong_answer(
    body: str, target: str, owner: str, tables: Tables, edited: set[str]
) -> str | None:
    try:
        answer = _answer(body)
    except msgspec.DecodeError as error:
        return f"its answer cannot be read: {error}"
    if answer.error is not None:
        shown = answer.error.payment_intent
        if shown is None:
            return None
        subject, expected, amount = shown.id, owner, shown.amount
    else:
        subject, expected, amount = answer.id or "nothing", target, answer.amount or 0
    if subject != expected:
        return f"acts on {expected}, its answer is about {subject}"
    part = _part(tables, expected)
    true = part.amount if part is not None else tables.payments[owner].amount
    if amount != true and owner not in edited:
        return f"its answer says {amount}, {expected} is about {true}"
    return None
