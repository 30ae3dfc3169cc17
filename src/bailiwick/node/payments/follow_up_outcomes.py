"""What outcomes of captures, voids and refunds do to a payment. Pure, like ``charge_outcomes``."""

from typing import Any

import msgspec

from bailiwick.channels.base import Outcome, Result
from bailiwick.ledger import postings as ledger
from bailiwick.node.payments.charge_outcomes import (
    OPEN,
    Transition,
    after_the_end,
    closed,
    ended,
    moved,
    waiting,
)
from bailiwick.node.payments.states import Change
from bailiwick.store.rows import Attempt, Payment, Refund, RefundEnd

_replace = msgspec.structs.replace


def capture(
    payment: Payment, attempt: Attempt, result: Result, now_ms: int, check_ms: int
) -> Transition | None:
    """The outcome of a capture."""
    if attempt.state not in OPEN:
        return after_the_end(payment, attempt, result, now_ms)
    if payment.open_attempt != attempt.id:
        return None
    if result.outcome is Outcome.APPROVED:
        assert result.amount is not None
        after = moved(
            payment,
            Change.CAPTURED,
            now_ms,
            amount_received=result.amount,
            amount_capturable=0,
            open_attempt=None,
        )
        return Transition(
            before=payment,
            after=after,
            event="payment_intent.succeeded",
            definite=True,
            attempt_ends=[ended(attempt, "approved", result)],
            postings=ledger.captured(attempt.gateway, payment.merchant, result.amount),
        )
    if result.outcome is Outcome.DECLINED:
        return _capture_refused(payment, attempt, result, now_ms)
    return waiting(payment, attempt, result, now_ms, check_ms)


def _capture_refused(payment: Payment, attempt: Attempt, result: Result, now_ms: int) -> Transition:
    ends = [ended(attempt, closed(result), result)]
    message = result.message or "The provider refused the capture."
    if result.code in ("charge_expired_for_capture", "expired"):
        progress = _replace(payment.progress, canceled_ms=now_ms, cancellation_reason="automatic")
        after = moved(
            payment,
            Change.EXPIRE,
            now_ms,
            amount_capturable=0,
            open_attempt=None,
            progress=progress,
        )
        error = refusal("charge_expired_for_capture", message)
        event = "payment_intent.canceled"
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


def void(
    payment: Payment,
    attempt: Attempt,
    charged: Attempt,
    result: Result,
    now_ms: int,
    check_ms: int,
) -> Transition | None:
    """The outcome of a void of the charge ``charged``."""
    if attempt.state not in OPEN:
        return after_the_end(payment, attempt, result, now_ms)
    if payment.open_attempt != attempt.id:
        return None
    if result.outcome is Outcome.APPROVED:
        ends = [ended(attempt, "approved", result)]
        if charged.state in OPEN:
            gone = Result(Outcome.DECLINED, detail="voided")
            ends.append(ended(charged, "declined", gone))
        after = moved(
            payment,
            Change.VOIDED,
            now_ms,
            amount_capturable=0,
            open_attempt=None,
            progress=_replace(payment.progress, canceled_ms=now_ms, action_url=None),
        )
        return Transition(
            before=payment,
            after=after,
            event="payment_intent.canceled",
            definite=True,
            attempt_ends=ends,
        )
    if result.outcome is Outcome.DECLINED:
        held = payment.amount_capturable > 0
        after = moved(
            payment,
            Change.REFUSED if held else Change.RESUME,
            now_ms,
            open_attempt=None if held else charged.id,
            progress=_replace(payment.progress, cancellation_reason=None),
        )
        message = result.message or "The provider refused the cancellation."
        return Transition(
            before=payment,
            after=after,
            event="bailiwick.cancel_refused",
            definite=True,
            error=refusal(result.code or "cancel_refused", message),
            attempt_ends=[ended(attempt, closed(result), result)],
        )
    return waiting(payment, attempt, result, now_ms, check_ms)


def refund(
    payment: Payment,
    attempt: Attempt,
    row: Refund,
    result: Result,
    now_ms: int,
    check_ms: int,
) -> Transition | None:
    """The outcome of a refund; its reservation is kept until that is definite."""
    if attempt.state not in OPEN:
        if attempt.state == "approved" and result.outcome is Outcome.DECLINED:
            return _refund_returned(payment, attempt, row, result, now_ms)
        return after_the_end(payment, attempt, result, now_ms)
    if result.outcome is Outcome.APPROVED:
        return _refund_ended(payment, attempt, row, result, now_ms, "succeeded")
    if result.outcome is Outcome.DECLINED:
        return _refund_ended(payment, attempt, row, result, now_ms, "failed")
    step = waiting(payment, attempt, result, now_ms, check_ms)
    if step is None:
        return None
    return _replace(step, refund=row, definite=result.outcome is Outcome.PENDING)


def _failure(row: Refund, result: Result) -> Refund:
    details = {**row.details, "failure_reason": result.code or "unknown"}
    return _replace(row, state="failed", details=details)


def _refund_ended(
    payment: Payment, attempt: Attempt, row: Refund, result: Result, now_ms: int, state: str
) -> Transition:
    done = state == "succeeded"
    after_row = _replace(row, state=state) if done else _failure(row, result)
    after = moved(
        payment,
        Change.REFUNDED,
        now_ms,
        amount_refunding=payment.amount_refunding - row.amount,
        amount_refunded=payment.amount_refunded + (row.amount if done else 0),
    )
    message = result.message or "The provider refused the refund."
    return Transition(
        before=payment,
        after=after,
        event="refund.updated" if done else "refund.failed",
        definite=True,
        error=None if done else refusal(result.code or "refund_failed", message),
        attempt_ends=[ended(attempt, "approved" if done else closed(result), result)],
        refund_end=RefundEnd(after_row.id, after_row.state, after_row.details),
        refund=after_row,
        postings=(ledger.refunded(attempt.gateway, payment.merchant, row.amount) if done else None),
    )


def _refund_returned(
    payment: Payment, attempt: Attempt, row: Refund, result: Result, now_ms: int
) -> Transition:
    """A refund that had succeeded has come back: the money is the merchant's again."""
    after_row = _failure(row, result)
    after = moved(
        payment,
        Change.REFUNDED,
        now_ms,
        amount_refunded=payment.amount_refunded - row.amount,
    )
    return Transition(
        before=payment,
        after=after,
        event="refund.failed",
        definite=True,
        attempt_ends=[ended(attempt, closed(result), result)],
        refund_end=RefundEnd(after_row.id, after_row.state, after_row.details),
        refund=after_row,
        postings=ledger.refund_returned(attempt.gateway, payment.merchant, row.amount),
    )
