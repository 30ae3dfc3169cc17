"""What an outcome does to a payout. Pure: rows in, the next rows out; None: there is nothing to do.

Each step is one move, guarded by the version and the state before, with its postings and its event
in the same commit: what is told twice, or in another order, is booked once.
"""

from typing import Any

import msgspec

from bailiwick.channels.contract import PAYOUT_CANCELED, Outcome, Result
from bailiwick.ledger import postings as ledger
from bailiwick.orders.attempts import NO_CHARGE, OPEN, Attempt, AttemptEnd
from bailiwick.orders.rows import Review
from bailiwick.orders.transition import Transition, closed, ended, repeats, review_of
from bailiwick.resources.payouts import states
from bailiwick.resources.payouts.rows import Payout, sending
from bailiwick.resources.payouts.states import Change, State

_replace = msgspec.structs.replace
_CANCELED = Result(Outcome.DECLINED, code=PAYOUT_CANCELED, detail="canceled")
Step = Transition[Payout]


def moved(payout: Payout, change: Change, now_ms: int, **values: Any) -> Payout:
    """The payout after a change. Raises ApiError (400) where the table does not hold it."""
    return _replace(
        payout,
        version=payout.version + 1,
        state=states.after(payout.state, change).value,
        updated_ms=now_ms,
        **values,
    )


def sent(
    payout: Payout, attempt: Attempt, result: Result, now_ms: int, check_ms: int
) -> Step | None:
    """The outcome of sending it."""
    if attempt.state not in OPEN:
        return _after_the_end(payout, attempt, result, now_ms)
    left = None if payout.open_attempt == attempt.id else payout.open_attempt
    if result.outcome is Outcome.APPROVED:
        return Transition(
            before=payout,
            after=moved(payout, Change.ARRIVE, now_ms, open_attempt=left),
            event="payout.paid",
            definite=True,
            attempt_ends=[ended(attempt, "approved", result)],
            postings=ledger.payout_paid(payout.gateway, payout.merchant, payout.amount),
        )
    if result.outcome is Outcome.DECLINED:
        ends = [ended(attempt, closed(result), result)]
        if result.code == PAYOUT_CANCELED:
            return _canceled(payout, ends, now_ms, left)
        return Transition(
            before=payout,
            after=moved(
                payout, Change.FAIL, now_ms, open_attempt=left, progress=_failed(payout, result)
            ),
            event="payout.failed",
            definite=True,
            attempt_ends=ends,
            postings=ledger.payout_failed(payout.gateway, payout.merchant, payout.amount),
        )
    return _waiting(payout, attempt, result, now_ms, check_ms)


def _waiting(
    payout: Payout, attempt: Attempt, result: Result, now_ms: int, check_ms: int
) -> Step | None:
    """Not decided yet, or not known: recorded once. What the provider is known to have answers the
    request: as at Stripe, a payout that is pending was made."""
    pending = result.outcome is Outcome.PENDING
    change = Change.WAIT
    if pending and result.detail == "in_transit" and payout.state == State.PENDING:
        change = Change.TRAVEL
    elif repeats(attempt, result):
        return None
    return Transition(
        before=payout,
        after=moved(payout, change, now_ms),
        event="payout.updated",
        definite=pending,
        attempt_ends=[ended(attempt, "pending" if pending else "unknown", result, check_ms)],
        review=review_of(attempt, result),
    )


def _failed(payout: Payout, result: Result) -> Any:
    return _replace(
        payout.progress,
        failure_code=result.code or "could_not_process",
        failure_message=result.message or "The provider could not pay it out.",
    )


def _canceled(payout: Payout, ends: list[AttemptEnd], now_ms: int, left: str | None) -> Step:
    return Transition(
        before=payout,
        after=moved(payout, Change.CANCEL, now_ms, open_attempt=left),
        event="payout.canceled",
        definite=True,
        attempt_ends=ends,
        postings=ledger.payout_canceled(payout.gateway, payout.merchant, payout.amount),
    )


def _after_the_end(payout: Payout, attempt: Attempt, result: Result, now_ms: int) -> Step | None:
    """An answer for an attempt that has ended: money that came back is the merchant's again; money
    that went out although it had been given back is booked apart, and put before a person."""
    if attempt.state == "approved" and result.outcome is Outcome.DECLINED:
        if payout.state != State.PAID:
            return None
        return Transition(
            before=payout,
            after=moved(payout, Change.RETURN, now_ms, progress=_failed(payout, result)),
            event="payout.failed",
            definite=True,
            attempt_ends=[ended(attempt, "declined", result)],
            postings=ledger.payout_returned(payout.gateway, payout.merchant, payout.amount),
        )
    if attempt.state in NO_CHARGE and result.outcome is Outcome.APPROVED:
        return Transition(
            before=payout,
            after=moved(payout, Change.LATE, now_ms),
            event="payout.updated",
            attempt_ends=[ended(attempt, "late", result)],
            postings=ledger.payout_late(payout.gateway, payout.merchant, payout.amount),
            review=Review(attempt.id, "late_success", result.provider_ref),
        )
    return None


def recalled(
    payout: Payout,
    attempt: Attempt,
    sender: Attempt,
    result: Result,
    now_ms: int,
    check_ms: int,
) -> Step | None:
    """The outcome of canceling it; ``sender``: the attempt that sends it."""
    if attempt.state not in OPEN:
        return None  # what became of the payout is asked of the payout
    undecided = sender.state in OPEN
    if result.outcome is Outcome.APPROVED and undecided:
        ends = [ended(attempt, "approved", result), ended(sender, "declined", _CANCELED)]
        return _canceled(payout, ends, now_ms, None)
    if result.outcome in (Outcome.APPROVED, Outcome.DECLINED):
        return _kept(payout, attempt, sender, result, now_ms)
    if repeats(attempt, result):
        return None
    state = "pending" if result.outcome is Outcome.PENDING else "unknown"
    return Transition(
        before=payout,
        after=moved(payout, Change.WAIT, now_ms),
        event="payout.updated",
        attempt_ends=[ended(attempt, state, result, check_ms)],
        review=review_of(attempt, result),
    )


def _kept(payout: Payout, attempt: Attempt, sender: Attempt, result: Result, now_ms: int) -> Step:
    """Canceling ended and changed nothing: it was refused, or the payout had ended before."""
    done = result.outcome is Outcome.APPROVED
    canceled = done and payout.state == State.CANCELED
    error = {
        "type": "invalid_request_error",
        "code": "payout_not_cancelable",
        "message": result.message or "The provider has sent this payout on already.",
    }
    return Transition(
        before=payout,
        after=moved(
            payout,
            Change.KEPT,
            now_ms,
            open_attempt=sending(payout.id) if sender.state in OPEN else None,
        ),
        event="payout.updated",
        definite=True,
        error=None if canceled else error,
        attempt_ends=[ended(attempt, "approved" if done else closed(result), result)],
        review=Review(attempt.id, "contradiction", "canceled") if done and not canceled else None,
    )
