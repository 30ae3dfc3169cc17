"""What is told of charges with the moves of their payments: which events, and their objects.

Each move of a payment has one event of its own, written with it. What it means for the charge is
told beside that under a name of its own (https://docs.stripe.com/api/events/types): the name stands
in the same row, the object is made when somebody wants it. It is the charge as it was then, so it
is made only of what is never changed: the payment's events up to that version, and what an attempt
was begun with and ended by. Pure but for ``_bodies``, which reads that.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from bailiwick.base.objects import Object, encode
from bailiwick.orders.attempts import OPEN
from bailiwick.orders.kinds import Also, Named
from bailiwick.orders.transition import Transition
from bailiwick.resources.balance import stored as balance
from bailiwick.resources.payments.rows import Payment
from bailiwick.resources.payments.shown.charge import ChargeView, charge, charge_seen
from bailiwick.resources.payments.states import State
from bailiwick.resources.payments.stored import content_of
from bailiwick.store.database import Store

SUCCEEDED = "charge.succeeded"
CAPTURED = "charge.captured"
FAILED = "charge.failed"
PENDING = "charge.pending"
EXPIRED = "charge.expired"
REFUNDED = "charge.refunded"
UPDATED = "charge.updated"
REFUND_UPDATED = "charge.refund.updated"
TYPES = frozenset(
    {SUCCEEDED, CAPTURED, FAILED, PENDING, EXPIRED, REFUNDED, UPDATED, REFUND_UPDATED}
)
_CHARGING = (State.PROCESSING, State.REQUIRES_ACTION)
_replace = msgspec.structs.replace


def also(step: Transition[Payment]) -> tuple[str, ...]:
    """The types of what a payment's move tells of its charge, in order.

    A void by the client tells nothing of it: the charge stays as it was, with nothing captured.
    Money that comes for an attempt that had ended without is no success: the payment's own
    ``bailiwick.late_success`` tells of it.
    """
    before, after = step.before, step.after
    match step.event:
        case "payment_intent.succeeded" | "payment_intent.amount_capturable_updated":
            if before.state in _CHARGING:
                return (SUCCEEDED,)
            taken = after.amount_received > before.amount_received
            return (CAPTURED,) if taken else (UPDATED,)
        case "payment_intent.payment_failed":
            return (FAILED,)
        case "payment_intent.processing":
            return _waits(step)
        case "payment_intent.canceled":
            return _canceled(before, after)
        case "refund.updated":
            more = after.amount_refunded > before.amount_refunded
            return (REFUNDED, REFUND_UPDATED) if more else (REFUND_UPDATED,)
        case "refund.failed":
            return (REFUND_UPDATED,)
    return ()


def _waits(step: Transition[Payment]) -> tuple[str, ...]:
    """A charge has failed and the next gateway is asked, or a provider says that it will take its
    time. That we do not know is no word of the provider's."""
    before, after = step.before, step.after
    if before.state not in _CHARGING or not step.attempt_ends:
        return ()
    if after.charge_attempt != before.charge_attempt:
        return (FAILED,)
    end = step.attempt_ends[0]
    # One that is voided at once, because nobody will act for the payer, is told when it has failed.
    pending = end.id == after.charge_attempt and end.state == "pending"
    return (PENDING,) if pending and after.state != State.VOIDING else ()


def _canceled(before: Payment, after: Payment) -> tuple[str, ...]:
    if before.amount_capturable > 0:
        return (EXPIRED,) if after.progress.cancellation_reason == "expired" else ()
    return (FAILED,) if before.state in (State.VOIDING, State.REQUIRES_ACTION) else ()


class Event(msgspec.Struct, frozen=True):
    """One event of a payment as stored; without a body it is told by its content."""

    id: str
    seq: int
    type: str
    body: str | None
    content: str | None
    created_ms: int


class Charged(msgspec.Struct, frozen=True):
    """One attempt to charge as stored; ``seq``: the payment's version that began it."""

    id: str
    seq: int
    state: str
    amount: int
    gateway: str
    provider_ref: str | None
    result: str | None


class _Body(msgspec.Struct, frozen=True):
    """What is read of an event's object: a payment or a refund."""

    id: str
    object: str
    amount: int
    status: str
    amount_capturable: int = 0
    amount_received: int = 0


_body = msgspec.json.Decoder(_Body)


def told(
    events: Sequence[Event],
    charges: Sequence[Charged],
    named: Named,
    moved: Mapping[str, Sequence[str]],
) -> msgspec.Raw:
    """The object of an event.

    Args:
        events: the payment's, from the first one on, in order.
        charges: its attempts to charge, in order.
        moved: the balance transactions of each, in order.
    """
    past = [each for each in events if each.seq <= named.seq]
    own = past[-1]
    if named.type == REFUND_UPDATED:
        assert own.body is not None, "only a payment's first event has no body"
        return msgspec.Raw(own.body.encode())
    # An attempt that the very move began is the next one: what ended is told of.
    about = [each for each in charges if each.seq < named.seq][-1]
    latest = [each for each in charges if each.seq <= named.seq][-1]
    payment = _replace(_as_it_was(past, about), charge_attempt=latest.id)
    shown = charge(payment, _seen(about, named.type))
    known = {each.id for each in past}
    moves = (each for each in moved.get(about.id, ()) if balance.event_id(each) in known)
    shown["balance_transaction"] = next(moves, None)
    return encode(shown)


def _as_it_was(past: Sequence[Event], about: Charged) -> Payment:
    """The payment as it was after the last of these events."""
    described = next(each.content for each in reversed(past) if each.content is not None)
    payment = content_of(described)
    values: dict[str, Any] = {"version": past[-1].seq, "updated_ms": past[-1].created_ms}
    refunds: dict[str, _Body] = {}
    held_ms = None
    for each in past:
        if each.body is None:
            continue
        body = _body.decode(each.body)
        if body.object == "refund":
            refunds[body.id] = body
        elif body.object == "payment_intent":
            values |= _amounts(body)
            if held_ms is None and each.seq > about.seq and body.amount_capturable > 0:
                held_ms = each.created_ms
    values["amount_refunded"] = _sum(refunds.values(), "succeeded")
    values["amount_refunding"] = _sum(refunds.values(), "pending")
    hold, held = payment.progress.hold, values.get("amount_capturable", 0) > 0
    before = held_ms + hold.lasts_ms if held and held_ms is not None and hold is not None else None
    return _replace(payment, capture_before_ms=before, **values)


def _amounts(body: _Body) -> dict[str, Any]:
    return {
        "state": body.status,
        "amount": body.amount,
        "amount_capturable": body.amount_capturable,
        "amount_received": body.amount_received,
    }


def _sum(refunds: Iterable[_Body], status: str) -> int:
    return sum(each.amount for each in refunds if each.status == status)


def _seen(about: Charged, type_: str) -> ChargeView:
    """The attempt as the event found it. While it was open nothing of it was certain; what became
    of one that had failed is not told before it happened."""
    if type_ == PENDING:
        return charge_seen(about.id, "pending", about.amount, about.gateway, None, None)
    if type_ != FAILED:
        return charge_seen(
            about.id, "approved", about.amount, about.gateway, about.provider_ref, None
        )
    if about.state in ("declined", "unsent"):
        return charge_seen(
            about.id, about.state, about.amount, about.gateway, about.provider_ref, about.result
        )
    assert about.state not in OPEN, "a failed attempt has ended"
    return charge_seen(about.id, "declined", about.amount, about.gateway, None, None)


async def _bodies(store: Store, wanted: Sequence[Named]) -> dict[Named, msgspec.Raw]:
    """The objects of these events, with three reads for all of them."""
    subjects = sorted({each.subject for each in wanted})
    events = _by_subject(await store.rows("charges_told_events", subjects), Event)
    charges = _by_subject(await store.rows("charges_told", subjects), Charged)
    moved = await balance.of(store, subjects)
    return {each: told(events[each.subject], charges[each.subject], each, moved) for each in wanted}


def _by_subject(rows: Iterable[Any], kind: type[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        values: Object = dict(row)
        found.setdefault(values.pop("subject"), []).append(kind(**values))
    return found


ALSO = Also("pi", TYPES, also, _bodies)
