"""What an outcome does to a payment. Pure: rows in, the next rows out.

Every function returns a ``Transition``: the payment after the change and all that is written with
it in the same commit; or None when there is nothing (more) to do, which is how a late or repeated
answer becomes a no-op.
"""

from typing import Any

import msgspec

from bailiwick.channels.base import NotBuilt, Outcome, Result
from bailiwick.ledger import postings as ledger
from bailiwick.node.payments import states
from bailiwick.node.payments.states import Change, State
from bailiwick.store.rows import (
    Attempt,
    AttemptEnd,
    AttemptNew,
    Payment,
    Posting,
    Progress,
    Refund,
    RefundEnd,
    RefundNew,
    Review,
)

OPEN = frozenset({"permitted", "pending", "unknown"})
NO_CHARGE = frozenset({"declined", "unsent"})
UNSENT = frozenset({"unsent", "not_expressible", "channel_defect"})
"""Details of a definite no for which no byte has left this process."""
SUSPICIOUS = frozenset(
    {"amount_missing", "amount_mismatch", "currency_mismatch", "reference_mismatch"}
)
_replace = msgspec.structs.replace


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a payment and all that belongs to it.

    Attributes:
        definite: the outcome of the attempt is known: its request's answer may be stored.
        error: what the request's answer says instead of the object, for a decline or refusal.
    """

    before: Payment
    after: Payment
    event: str
    definite: bool = False
    error: dict[str, Any] | None = None
    attempt_ends: list[AttemptEnd] | None = None
    attempt_new: AttemptNew | None = None
    refund_new: RefundNew | None = None
    refund_end: RefundEnd | None = None
    refund: Refund | None = None
    postings: list[Posting] | None = None
    review: Review | None = None


def moved(payment: Payment, change: Change, now_ms: int, **values: Any) -> Payment:
    """The payment after a change. Raises ApiError (400) where the table does not hold it."""
    return _replace(
        payment,
        version=payment.version + 1,
        state=states.after(payment.state, change).value,
        updated_ms=now_ms,
        **values,
    )


def decline_of(result: Result, attempt: Attempt) -> dict[str, Any]:
    """A decline in the shape of ``last_payment_error``."""
    code = result.code or "card_declined"
    ours = result.detail == "not_expressible"
    error = {
        "type": "invalid_request_error" if ours else "card_error",
        "code": code,
        "decline_code": result.decline_code,
        "message": result.message or "The payment was declined.",
        "param": result.param if isinstance(result, NotBuilt) else None,
        "charge": attempt.id,
    }
    return {key: value for key, value in error.items() if value is not None}


def closed(result: Result) -> str:
    """The end state of an attempt that definitely moved nothing."""
    return "unsent" if result.detail in UNSENT else "declined"


def ended(attempt: Attempt, state: str, result: Result, check_ms: int | None = None) -> AttemptEnd:
    kept = {
        key: value
        for key, value in (
            ("outcome", result.outcome.value),
            ("amount", result.amount),
            ("currency", result.currency),
            ("code", result.code),
            ("decline_code", result.decline_code),
            ("message", result.message),
            ("detail", result.detail),
        )
        if value is not None
    }
    said = msgspec.json.encode(kept).decode()
    return AttemptEnd(attempt.id, state, result.provider_ref, said, check_ms)


def waiting(
    payment: Payment, attempt: Attempt, result: Result, now_ms: int, check_ms: int
) -> Transition | None:
    """Not decided yet, or not known: recorded once, then only looked at again."""
    state = "pending" if result.outcome is Outcome.PENDING else "unknown"
    change = Change.WAIT
    progress = payment.progress
    event = "payment_intent.processing"
    if result.outcome is Outcome.PENDING and result.action_url is not None:
        if payment.state == State.REQUIRES_ACTION and progress.action_url == result.action_url:
            return None
        if payment.state == State.PROCESSING:
            change, event = Change.ACT, "payment_intent.requires_action"
            progress = _replace(progress, action_url=result.action_url)
    suspicious = result.detail in SUSPICIOUS
    if change is Change.WAIT and attempt.state == state:
        seen = {} if attempt.result is None else msgspec.json.decode(attempt.result)
        if not suspicious or seen.get("detail") == result.detail:
            return None
    if attempt.refund is not None:
        event = "refund.updated"
    return Transition(
        before=payment,
        after=moved(payment, change, now_ms, progress=progress),
        event=event,
        definite=change is Change.ACT,
        attempt_ends=[ended(attempt, state, result, check_ms)],
        review=Review(attempt.id, str(result.detail)) if suspicious else None,
    )


def charge(
    payment: Payment, attempt: Attempt, result: Result, now_ms: int, check_ms: int
) -> Transition | None:
    """The outcome of an attempt to charge."""
    if attempt.state not in OPEN:
        return after_the_end(payment, attempt, result, now_ms)
    if payment.open_attempt != attempt.id:
        # A void has taken over: what became of the charge is asked when that has ended.
        return None
    if result.outcome is Outcome.APPROVED:
        return _charged(payment, attempt, result, now_ms)
    if result.outcome is Outcome.DECLINED:
        error = decline_of(result, attempt)
        progress = _replace(
            payment.progress, last_error=error, action_url=None, payment_method=None
        )
        return Transition(
            before=payment,
            after=moved(payment, Change.DECLINED, now_ms, progress=progress, open_attempt=None),
            event="payment_intent.payment_failed",
            definite=True,
            error=error,
            attempt_ends=[ended(attempt, closed(result), result)],
        )
    return waiting(payment, attempt, result, now_ms, check_ms)


def _charged(payment: Payment, attempt: Attempt, result: Result, now_ms: int) -> Transition:
    assert result.amount is not None and 0 < result.amount <= payment.amount
    progress = _replace(payment.progress, last_error=None, action_url=None)
    ends = [ended(attempt, "approved", result)]
    if not result.captured:
        after = moved(
            payment,
            Change.AUTHORIZED,
            now_ms,
            amount_capturable=result.amount,
            progress=progress,
            open_attempt=None,
        )
        event = "payment_intent.amount_capturable_updated"
        return Transition(
            before=payment, after=after, event=event, definite=True, attempt_ends=ends
        )
    after = moved(
        payment,
        Change.CAPTURED,
        now_ms,
        amount_received=result.amount,
        progress=progress,
        open_attempt=None,
    )
    return Transition(
        before=payment,
        after=after,
        event="payment_intent.succeeded",
        definite=True,
        attempt_ends=ends,
        postings=ledger.captured(attempt.gateway, payment.merchant, result.amount),
    )


def after_the_end(
    payment: Payment, attempt: Attempt, result: Result, now_ms: int
) -> Transition | None:
    """An answer for an attempt that has ended: a success after a definite no is never dropped.

    Money that was taken is booked apart; a refund or void that did happen is only put before a
    person, because what it would be booked against may be gone.
    """
    if result.outcome is not Outcome.APPROVED or attempt.state not in NO_CHARGE:
        return None
    assert result.amount is not None
    charging = attempt.operation == "charge"
    taken = attempt.operation == "capture" or (charging and result.captured)
    held = "late_authorization" if charging else f"late_{attempt.operation}"
    return Transition(
        before=payment,
        after=moved(payment, Change.LATE, now_ms),
        event="bailiwick.late_success",
        attempt_ends=[ended(attempt, "late", result)],
        postings=(
            ledger.unexpected(attempt.gateway, payment.merchant, result.amount) if taken else None
        ),
        review=Review(attempt.id, "late_success" if taken else held),
    )


def next_attempt(
    payment: Payment,
    attempt: Attempt,
    result: Result,
    new: AttemptNew,
    progress: Progress,
    now_ms: int,
) -> Transition:
    """The attempt ended definitely without a charge: the next gateway gets its permit."""
    state = closed(result)
    return Transition(
        before=payment,
        after=moved(
            payment,
            Change.RETRY,
            now_ms,
            progress=_replace(progress, action_url=None),
            attempts=new.number,
            open_attempt=new.id,
            charge_attempt=new.id,
        ),
        event="payment_intent.processing",
        attempt_ends=[ended(attempt, state, result)],
        attempt_new=new,
    )
