"""What an outcome does to a payment. Pure: rows in, the next rows out.

Every function returns a transition: the payment after the change and all that is written with it in
the same commit; or None when there is nothing (more) to do, which is how a late or repeated answer
becomes a no-op.
"""

from typing import Any

import msgspec

from bailiwick.channels.contract import NO_SUCH_METHOD, Instruction, NotBuilt, Outcome, Result
from bailiwick.ledger import postings as ledger
from bailiwick.orders.attempts import NO_CHARGE, OPEN, Attempt, AttemptNew
from bailiwick.orders.rows import Review
from bailiwick.orders.steps import Begins, following
from bailiwick.orders.transition import Transition, closed, ended, repeats, review_of
from bailiwick.resources.payments import states
from bailiwick.resources.payments.holds.captures import counted
from bailiwick.resources.payments.rows import Payment, Progress
from bailiwick.resources.payments.saved.saving import saved
from bailiwick.resources.payments.states import Change, State

EXPIRED = frozenset({"charge_expired_for_capture", "expired"})
"""Codes of a definite no by which a provider says that a hold had run out."""
_instruction = msgspec.json.Decoder(Instruction)
_replace = msgspec.structs.replace
Step = Transition[Payment]


def moved(payment: Payment, change: Change, now_ms: int, **values: Any) -> Payment:
    """The payment after a change. Raises ApiError (400) where the table does not hold it."""
    return _replace(
        payment,
        version=payment.version + 1,
        state=str(states.after(payment.state, change)),
        updated_ms=now_ms,
        **values,
    )


def decline_of(result: Result, attempt: Attempt, method: str | None) -> dict[str, Any]:
    """A decline in the shape of ``last_payment_error``; an unknown payment method is an error of
    the request, as at https://docs.stripe.com/error-codes#resource-missing. ``method``: the payment
    method as the client knows it."""
    if result.detail == NO_SUCH_METHOD:
        return {
            "type": "invalid_request_error",
            "code": "resource_missing",
            "message": f"No such PaymentMethod: '{method}'",
            "param": "payment_method",
            "charge": attempt.id,
        }
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


def waiting(
    payment: Payment, attempt: Attempt, result: Result, now_ms: int, check_ms: int
) -> Step | None:
    """Not decided yet, or not known: recorded once, then only looked at again."""
    state = "pending" if result.outcome is Outcome.PENDING else "unknown"
    change = Change.WAIT
    progress = payment.progress
    event = "payment_intent.processing"
    if result.outcome is Outcome.PENDING and result.action is not None:
        if payment.state == State.REQUIRES_ACTION and progress.action == result.action:
            return None
        if payment.state == State.PROCESSING:
            change, event = Change.ACT, "payment_intent.requires_action"
            progress = _replace(progress, action=result.action)
    if change is Change.WAIT and repeats(attempt, result):
        return None
    if attempt.acts_on is not None:
        event = "refund.updated"
    return Transition(
        before=payment,
        after=moved(payment, change, now_ms, progress=progress),
        event=event,
        definite=change is Change.ACT,
        attempt_ends=[ended(attempt, state, result, check_ms)],
        review=review_of(attempt, result),
    )


def go_on(
    payment: Payment, attempt: Attempt, result: Result, begins: Begins, now_ms: int
) -> Step | None:
    """The provider wants the next request of a charge: it gets its permit."""
    if payment.open_attempt != attempt.id:
        return None  # a void has taken over
    instruction = following(attempt, result)
    if instruction is None:
        return None
    progress = _replace(payment.progress, action=None)
    return Transition(
        before=payment,
        after=moved(payment, Change.GO_ON, now_ms, progress=progress),
        event="payment_intent.processing",
        attempt_step=begins(instruction),
    )


def charge(
    payment: Payment, attempt: Attempt, result: Result, now_ms: int, check_ms: int
) -> Step | None:
    """The outcome of an attempt to charge."""
    if attempt.state not in OPEN:
        return after_the_end(payment, attempt, result, now_ms)
    if payment.open_attempt != attempt.id:
        # A void has taken over: what became of the charge is asked when that has ended.
        return None
    if result.outcome is Outcome.APPROVED:
        return _charged(payment, attempt, result, now_ms)
    if result.outcome is Outcome.DECLINED:
        error = decline_of(result, attempt, payment.progress.payment_method)
        progress = _replace(
            payment.progress,
            last_error=error,
            action=None,
            payment_method=None,
            tender=None,
            saving=None,
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


def _charged(payment: Payment, attempt: Attempt, result: Result, now_ms: int) -> Step:
    assert result.amount is not None and 0 < result.amount <= payment.amount
    progress, beside = saved(payment, attempt, result, now_ms)
    progress = _replace(progress, last_error=None, action=None)
    ends = [ended(attempt, "approved", result)]
    if not result.captured:
        hold = progress.hold
        after = moved(
            payment,
            Change.AUTHORIZED,
            now_ms,
            amount_capturable=result.amount,
            capture_before_ms=None if hold is None else now_ms + hold.lasts_ms,
            progress=progress,
            open_attempt=None,
        )
        event = "payment_intent.amount_capturable_updated"
        return Transition(
            before=payment,
            after=after,
            event=event,
            definite=True,
            attempt_ends=ends,
            beside=beside,
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
        beside=beside,
        postings=ledger.captured(attempt.gateway, payment.merchant, result.amount),
    )


def after_the_end(payment: Payment, attempt: Attempt, result: Result, now_ms: int) -> Step | None:
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
) -> Step:
    """The attempt ended definitely without a charge: the next gateway gets its permit."""
    state = closed(result)
    return Transition(
        before=payment,
        after=moved(
            payment,
            Change.RETRY,
            now_ms,
            progress=_replace(progress, action=None),
            attempts=new.number,
            open_attempt=new.id,
            charge_attempt=new.id,
        ),
        event="payment_intent.processing",
        attempt_ends=[ended(attempt, state, result)],
        attempt_new=new,
    )


def capture(
    payment: Payment, attempt: Attempt, result: Result, now_ms: int, check_ms: int
) -> Step | None:
    """The outcome of a capture."""
    if attempt.state not in OPEN:
        return after_the_end(payment, attempt, result, now_ms)
    if payment.open_attempt != attempt.id:
        return None
    if result.outcome is Outcome.APPROVED:
        return _captured(payment, attempt, result, now_ms)
    if result.outcome is Outcome.DECLINED:
        return _capture_refused(payment, attempt, result, now_ms)
    return waiting(payment, attempt, result, now_ms, check_ms)


def _captured(payment: Payment, attempt: Attempt, result: Result, now_ms: int) -> Step:
    assert result.amount is not None
    final = _instruction.decode(attempt.instruction).final
    left = 0 if final else payment.amount_capturable - result.amount
    progress = payment.progress
    after = moved(
        payment,
        Change.CAPTURED if final else Change.PARTLY_CAPTURED,
        now_ms,
        amount_received=payment.amount_received + result.amount,
        amount_capturable=left,
        capture_before_ms=None if final else payment.capture_before_ms,
        open_attempt=None,
        progress=_replace(progress, hold=counted(progress.hold)),
    )
    return Transition(
        before=payment,
        after=after,
        event="payment_intent.succeeded" if final else "payment_intent.amount_capturable_updated",
        definite=True,
        attempt_ends=[ended(attempt, "approved", result)],
        postings=ledger.captured(attempt.gateway, payment.merchant, result.amount),
    )


def let_go(payment: Payment, change: Change, now_ms: int, **progress: Any) -> tuple[Payment, str]:
    """The payment once its hold, or what was left of it, is gone; and the event of that."""
    taken = payment.amount_received > 0
    after = moved(
        payment,
        Change.RELEASED if taken else change,
        now_ms,
        amount_capturable=0,
        capture_before_ms=None,
        open_attempt=None,
        progress=_replace(
            payment.progress,
            action=None,
            **({"cancellation_reason": None} if taken else {"canceled_ms": now_ms, **progress}),
        ),
    )
    return after, "payment_intent.succeeded" if taken else "payment_intent.canceled"


def _capture_refused(payment: Payment, attempt: Attempt, result: Result, now_ms: int) -> Step:
    ends = [ended(attempt, closed(result), result)]
    message = result.message or "The provider refused the capture."
    if result.code in EXPIRED:
        after, event = let_go(payment, Change.EXPIRE, now_ms, cancellation_reason="expired")
        error = refusal("charge_expired_for_capture", message)
    else:
        after = moved(payment, Change.REFUSED, now_ms, open_attempt=None)
        error = refusal(result.code or "capture_refused", message)
        event = "bailiwick.capture_refused"
    return Transition(
        before=payment, after=after, event=event, definite=True, error=error, attempt_ends=ends
    )


def refusal(code: str, message: str) -> dict[str, Any]:
    """A provider's definite no to a capture, void or refund, as the answer's error."""
    return {"type": "invalid_request_error", "code": code, "message": message}
