"""What the outcome of a refund does: to the refund, and to the payment whose money it is. Pure."""

import msgspec

from bailiwick.channels.contract import Outcome, Result
from bailiwick.ledger import postings as ledger
from bailiwick.orders.attempts import OPEN, Attempt
from bailiwick.orders.transition import Part, Transition, closed, ended
from bailiwick.resources.payments.outcomes import Step, after_the_end, moved, refusal, waiting
from bailiwick.resources.payments.rows import Payment
from bailiwick.resources.payments.states import Change
from bailiwick.resources.refunds import render
from bailiwick.resources.refunds.rows import Refund, RefundEnd

_replace = msgspec.structs.replace


def refund(
    payment: Payment,
    attempt: Attempt,
    row: Refund,
    result: Result,
    now_ms: int,
    check_ms: int,
) -> Step | None:
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
    return _replace(step, part=shown(row), definite=result.outcome is Outcome.PENDING)


def shown(row: Refund) -> Part:
    """A refund as what a step is about."""
    return Part(row, lambda payment, expanded: render.refund(row, payment, expanded=expanded))


def ending(row: Refund) -> dict[str, msgspec.Struct]:
    """What writes a refund's new state with its payment's move."""
    return {"refund_end": RefundEnd(row.id, row.state, row.details)}


def _failure(row: Refund, result: Result) -> Refund:
    details = {**row.details, "failure_reason": render.failure_reason(result.code)}
    return _replace(row, state="failed", details=details)


def _refund_ended(
    payment: Payment, attempt: Attempt, row: Refund, result: Result, now_ms: int, state: str
) -> Step:
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
        part=shown(after_row),
        beside=ending(after_row),
        postings=(ledger.refunded(attempt.gateway, payment.merchant, row.amount) if done else None),
    )


def _refund_returned(
    payment: Payment, attempt: Attempt, row: Refund, result: Result, now_ms: int
) -> Step:
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
        part=shown(after_row),
        beside=ending(after_row),
        postings=ledger.refund_returned(attempt.gateway, payment.merchant, row.amount),
    )
