"""What an outcome does to a payment. Pure: rows in, the next rows out.

Every function returns a ``Step``: the payment after the change and all that is written with it
in the same commit; or None when there is nothing (more) to do, which is how a late or repeated
answer becomes a no-op.
"""

from typing import Any

import msgspec

from bailiwick.channels.base import Outcome, Result
from bailiwick.node import ledger, states
from bailiwick.node.states import Change, State
from bailiwick.store.rows import (
    Attempt,
    AttemptEnd,
    AttemptNew,
    Leg,
    Payment,
    Progress,
    Refund,
    RefundEnd,
    RefundNew,
    Review,
)

OPEN = frozenset({"permitted", "pending", "unknown"})
NO_CHARGE = frozenset({"declined", "unsent"})
SUSPICIOUS = frozenset(
    {"amount_missing", "amount_mismatch", "currency_mismatch", "reference_mismatch"}
)
_replace = msgspec.structs.replace


class Step(msgspec.Struct, frozen=True, kw_only=True):
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
    postings: list[Leg] | None = None
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
    error = {
        "type": "card_error",
        "code": code,
        "decline_code": result.decline_code,
        "message": result.message or "The payment was declined.",
        "charge": attempt.id,
    }
    return {key: value for key, value in error.items() if value is not None}


def _closed(result: Result) -> str:
    """The end state of an attempt that definitely moved nothing."""
    return "unsent" if result.detail == "unsent" else "declined"


def _end(attempt: Attempt, state: str, result: Result, check_ms: int | None = None) -> AttemptEnd:
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
    return AttemptEnd(attempt.id, state, result.provider_ref, kept, check_ms)


def _waiting(
    payment: Payment, attempt: Attempt, result: Result, now_ms: int, check_ms: int
) -> Step | None:
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
    return Step(
        before=payment,
        after=moved(payment, change, now_ms, progress=progress),
        event=event,
        definite=change is Change.ACT,
        attempt_ends=[_end(attempt, state, result, check_ms)],
        review=Review(attempt.id, str(result.detail)) if suspicious else None,
    )


def charge(
    payment: Payment, attempt: Attempt, result: Result, now_ms: int, check_ms: int
) -> Step | None:
    """The outcome of an attempt to charge."""
    if attempt.state not in OPEN:
        return _after_the_end(payment, attempt, result, now_ms)
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
        return Step(
            before=payment,
            after=moved(payment, Change.DECLINED, now_ms, progress=progress, open_attempt=None),
            event="payment_intent.payment_failed",
            definite=True,
            error=error,
            attempt_ends=[_end(attempt, _closed(result), result)],
        )
    return _waiting(payment, attempt, result, now_ms, check_ms)


def _charged(payment: Payment, attempt: Attempt, result: Result, now_ms: int) -> Step:
    assert result.amount is not None and 0 < result.amount <= payment.amount
    progress = _replace(payment.progress, last_error=None, action_url=None)
    ends = [_end(attempt, "approved", result)]
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
        return Step(before=payment, after=after, event=event, definite=True, attempt_ends=ends)
    after = moved(
        payment,
        Change.CAPTURED,
        now_ms,
        amount_received=result.amount,
        progress=progress,
        open_attempt=None,
    )
    return Step(
        before=payment,
        after=after,
        event="payment_intent.succeeded",
        definite=True,
        attempt_ends=ends,
        postings=ledger.captured(attempt.gateway, payment.merchant, result.amount),
    )


def _after_the_end(payment: Payment, attempt: Attempt, result: Result, now_ms: int) -> Step | None:
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
    return Step(
        before=payment,
        after=moved(payment, Change.LATE, now_ms),
        event="bailiwick.late_success",
        attempt_ends=[_end(attempt, "late", result)],
        postings=(
            ledger.unexpected(attempt.gateway, payment.merchant, result.amount) if taken else None
        ),
        review=Review(attempt.id, "late_success" if taken else held),
    )


def next_attempt(
    payment: Payment,
    ended: Attempt,
    result: Result,
    new: AttemptNew,
    routing: dict[str, Any],
    now_ms: int,
) -> Step:
    """The attempt ended definitely without a charge: the next gateway gets its permit."""
    state = _closed(result)
    progress: Progress = _replace(payment.progress, routing=routing, action_url=None)
    return Step(
        before=payment,
        after=moved(
            payment,
            Change.RETRY,
            now_ms,
            progress=progress,
            attempts=new.number,
            open_attempt=new.id,
            charge_attempt=new.id,
        ),
        event="payment_intent.processing",
        attempt_ends=[_end(ended, state, result)],
        attempt_new=new,
    )


def capture(
    payment: Payment, attempt: Attempt, result: Result, now_ms: int, check_ms: int
) -> Step | None:
    """The outcome of a capture."""
    if attempt.state not in OPEN:
        return _after_the_end(payment, attempt, result, now_ms)
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
        return Step(
            before=payment,
            after=after,
            event="payment_intent.succeeded",
            definite=True,
            attempt_ends=[_end(attempt, "approved", result)],
            postings=ledger.captured(attempt.gateway, payment.merchant, result.amount),
        )
    if result.outcome is Outcome.DECLINED:
        return _capture_refused(payment, attempt, result, now_ms)
    return _waiting(payment, attempt, result, now_ms, check_ms)


def _capture_refused(payment: Payment, attempt: Attempt, result: Result, now_ms: int) -> Step:
    ends = [_end(attempt, _closed(result), result)]
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
    return Step(
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
) -> Step | None:
    """The outcome of a void of the charge ``charged``."""
    if attempt.state not in OPEN:
        return _after_the_end(payment, attempt, result, now_ms)
    if payment.open_attempt != attempt.id:
        return None
    if result.outcome is Outcome.APPROVED:
        ends = [_end(attempt, "approved", result)]
        if charged.state in OPEN:
            gone = Result(Outcome.DECLINED, detail="voided")
            ends.append(_end(charged, "declined", gone))
        after = moved(
            payment,
            Change.VOIDED,
            now_ms,
            amount_capturable=0,
            open_attempt=None,
            progress=_replace(payment.progress, canceled_ms=now_ms, action_url=None),
        )
        return Step(
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
        return Step(
            before=payment,
            after=after,
            event="bailiwick.cancel_refused",
            definite=True,
            error=refusal(result.code or "cancel_refused", message),
            attempt_ends=[_end(attempt, _closed(result), result)],
        )
    return _waiting(payment, attempt, result, now_ms, check_ms)


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
        return _after_the_end(payment, attempt, result, now_ms)
    if result.outcome is Outcome.APPROVED:
        return _refund_ended(payment, attempt, row, result, now_ms, "succeeded")
    if result.outcome is Outcome.DECLINED:
        return _refund_ended(payment, attempt, row, result, now_ms, "failed")
    step = _waiting(payment, attempt, result, now_ms, check_ms)
    if step is None:
        return None
    return _replace(step, refund=row, definite=result.outcome is Outcome.PENDING)


def _failure(row: Refund, result: Result) -> Refund:
    details = {**row.details, "failure_reason": result.code or "unknown"}
    return _replace(row, state="failed", details=details)


def _refund_ended(
    payment: Payment, attempt: Attempt, row: Refund, result: Result, now_ms: int, state: str
) -> Step:
    done = state == "succeeded"
    ended = _replace(row, state=state) if done else _failure(row, result)
    after = moved(
        payment,
        Change.REFUNDED,
        now_ms,
        amount_refunding=payment.amount_refunding - row.amount,
        amount_refunded=payment.amount_refunded + (row.amount if done else 0),
    )
    message = result.message or "The provider refused the refund."
    return Step(
        before=payment,
        after=after,
        event="refund.updated" if done else "refund.failed",
        definite=True,
        error=None if done else refusal(result.code or "refund_failed", message),
        attempt_ends=[_end(attempt, "approved" if done else _closed(result), result)],
        refund_end=RefundEnd(ended.id, ended.state, ended.details),
        refund=ended,
        postings=(ledger.refunded(attempt.gateway, payment.merchant, row.amount) if done else None),
    )


def _refund_returned(
    payment: Payment, attempt: Attempt, row: Refund, result: Result, now_ms: int
) -> Step:
    """A refund that had succeeded has come back: the money is the merchant's again."""
    ended = _failure(row, result)
    after = moved(
        payment,
        Change.REFUNDED,
        now_ms,
        amount_refunded=payment.amount_refunded - row.amount,
    )
    return Step(
        before=payment,
        after=after,
        event="refund.failed",
        definite=True,
        attempt_ends=[_end(attempt, _closed(result), result)],
        refund_end=RefundEnd(ended.id, ended.state, ended.details),
        refund=ended,
        postings=ledger.refund_returned(attempt.gateway, payment.merchant, row.amount),
    )
