"""What an outcome does to a setup, and to the records that it is about. Pure; as of payments
(``resources.payments.outcomes``), but that no money moves: nothing is posted."""

from typing import Any

import msgspec

from bailiwick.channels.contract import NO_SUCH_METHOD, Outcome, Result
from bailiwick.orders.attempts import NO_CHARGE, OPEN, Attempt
from bailiwick.orders.rows import Review
from bailiwick.orders.transition import Transition, closed, ended, repeats, review_of
from bailiwick.records.beside import RecordTold, beside, told
from bailiwick.records.record import Record, changed
from bailiwick.resources.mandates.render import mandate
from bailiwick.resources.payment_methods.render import payment_method
from bailiwick.resources.setup_intents import states
from bailiwick.resources.setup_intents.rows import Setup
from bailiwick.resources.setup_intents.states import Change, State

PENDING = "setup"
"""In the details of a payment method that a setup has brought and that is not set up yet: which."""
_replace = msgspec.structs.replace
Step = Transition[Setup]


class Kept(msgspec.Struct, frozen=True):
    """The records that a setup is about, as they are, and for a void the attempt to set up."""

    method: Record | None = None
    mandate: Record | None = None
    attempt: Attempt | None = None


def moved(setup: Setup, change: Change, now_ms: int, **values: Any) -> Setup:
    """The setup after a change. Raises ApiError (400) where the table does not hold it."""
    return _replace(
        setup,
        version=setup.version + 1,
        state=states.after(setup.state, change).value,
        updated_ms=now_ms,
        **values,
    )


def usable(setup: Setup, method: Record) -> bool:
    """Whether a payment method may still be set up by this setup: it is in use, or the setup has
    brought it, and is nobody else's."""
    if method.erased or method.belongs_to not in (None, setup.customer):
        return False
    return method.active or method.details.get(PENDING) == setup.id


def set_up(
    setup: Setup, attempt: Attempt, kept: Kept, result: Result, now_ms: int, check_ms: int
) -> Step | None:
    """The outcome of an attempt to set up."""
    if attempt.state not in OPEN:
        return _after_the_end(setup, attempt, result, now_ms)
    if setup.open_attempt != attempt.id:
        return None  # a void has taken over
    if result.outcome is Outcome.APPROVED:
        progress = _replace(setup.progress, last_error=None, action=None)
        return Transition(
            before=setup,
            after=moved(setup, Change.SET_UP, now_ms, progress=progress, open_attempt=None),
            event="setup_intent.succeeded",
            definite=True,
            attempt_ends=[ended(attempt, "approved", result)],
            beside=beside(_stored(setup, kept, result, now_ms)),
        )
    if result.outcome is Outcome.DECLINED:
        return _declined(setup, attempt, kept, result, now_ms)
    return _waiting(setup, attempt, result, now_ms, check_ms)


def _stored(setup: Setup, kept: Kept, result: Result, now_ms: int) -> list[RecordTold]:
    """The payment method with what the payer has agreed to, attached to the setup's customer."""
    written = mandate_told(kept.mandate, "active", now_ms)
    method = kept.method
    if method is None or not usable(setup, method):
        return written  # detached or erased meanwhile
    details = {name: value for name, value in method.details.items() if name != PENDING}
    card = details["card"] | {"agreement": result.agreement, "vault": setup.progress.vault}
    details["card"] = {name: value for name, value in card.items() if value is not None}
    owner = setup.customer or method.belongs_to
    after = changed(method, now_ms, active=True, belongs_to=owner, details=details)
    attached = owner is not None and not (method.active and method.belongs_to == owner)
    event = "payment_method.attached" if attached else "bailiwick.payment_method.set_up"
    return [told(after, event, payment_method(after)), *written]


def mandate_told(row: Record | None, status: str, now_ms: int) -> list[RecordTold]:
    """A mandate's next version with this status; nothing, where there is none."""
    if row is None or row.erased:
        return []
    after = changed(row, now_ms, details={**row.details, "status": status})
    return [told(after, "mandate.updated", mandate(after))]


def _declined(setup: Setup, attempt: Attempt, kept: Kept, result: Result, now_ms: int) -> Step:
    error = error_of(result, setup.payment_method)
    progress = _replace(setup.progress, last_error=error, action=None)
    return Transition(
        before=setup,
        after=moved(
            setup,
            Change.DECLINED,
            now_ms,
            progress=progress,
            open_attempt=None,
            payment_method=None,
        ),
        event="setup_intent.setup_failed",
        definite=True,
        error=error,
        attempt_ends=[ended(attempt, closed(result), result)],
        beside=beside(mandate_told(kept.mandate, "inactive", now_ms)),
    )


def error_of(result: Result, method: str | None) -> dict[str, Any]:
    """A decline in the shape of ``last_setup_error``; an unknown payment method is an error of the
    request. ``method``: as the client knows it."""
    if result.detail == NO_SUCH_METHOD:
        return {
            "type": "invalid_request_error",
            "code": "resource_missing",
            "message": f"No such PaymentMethod: '{method}'",
            "param": "payment_method",
        }
    ours = result.detail == "not_expressible"
    error = {
        "type": "invalid_request_error" if ours else "card_error",
        "code": result.code or "card_declined",
        "decline_code": result.decline_code,
        "message": result.message or "The payment method was declined.",
    }
    return {name: value for name, value in error.items() if value is not None}


def _waiting(
    setup: Setup, attempt: Attempt, result: Result, now_ms: int, check_ms: int
) -> Step | None:
    """Not decided yet, or not known: recorded once, then only looked at again."""
    state = "pending" if result.outcome is Outcome.PENDING else "unknown"
    change, event = Change.WAIT, "bailiwick.setup_intent.processing"
    progress = setup.progress
    if result.outcome is Outcome.PENDING and result.action is not None:
        if setup.state == State.REQUIRES_ACTION and progress.action == result.action:
            return None
        if setup.state == State.PROCESSING:
            change, event = Change.ACT, "setup_intent.requires_action"
            progress = _replace(progress, action=result.action)
    if change is Change.WAIT and repeats(attempt, result):
        return None
    return Transition(
        before=setup,
        after=moved(setup, change, now_ms, progress=progress),
        event=event,
        definite=change is Change.ACT,
        attempt_ends=[ended(attempt, state, result, check_ms)],
        review=review_of(attempt, result),
    )


def _after_the_end(setup: Setup, attempt: Attempt, result: Result, now_ms: int) -> Step | None:
    """A success after a definite no: nothing is attached by it, and a person must look."""
    if result.outcome is not Outcome.APPROVED or attempt.state not in NO_CHARGE:
        return None
    return Transition(
        before=setup,
        after=moved(setup, Change.LATE, now_ms),
        event="bailiwick.late_setup",
        attempt_ends=[ended(attempt, "late", result)],
        review=Review(attempt.id, "late_setup"),
    )


def void(
    setup: Setup, attempt: Attempt, kept: Kept, result: Result, now_ms: int, check_ms: int
) -> Step | None:
    """The outcome of giving up the attempt ``kept.attempt``."""
    first = kept.attempt
    assert first is not None, "a void follows an attempt to set up"
    if attempt.state not in OPEN:
        return _after_the_end(setup, attempt, result, now_ms)
    if setup.open_attempt != attempt.id:
        return None
    if result.outcome is Outcome.APPROVED:
        ends = [ended(attempt, "approved", result)]
        if first.state in OPEN:
            ends.append(ended(first, "declined", Result(Outcome.DECLINED, detail="voided")))
        progress = _replace(setup.progress, action=None)
        return Transition(
            before=setup,
            after=moved(setup, Change.VOIDED, now_ms, progress=progress, open_attempt=None),
            event="setup_intent.canceled",
            definite=True,
            attempt_ends=ends,
            beside=beside(mandate_told(kept.mandate, "inactive", now_ms)),
        )
    if result.outcome is Outcome.DECLINED:
        progress = _replace(setup.progress, cancellation_reason=None)
        message = result.message or "The provider refused the cancellation."
        code = result.code or "cancel_refused"
        return Transition(
            before=setup,
            after=moved(setup, Change.RESUME, now_ms, progress=progress, open_attempt=first.id),
            event="bailiwick.cancel_refused",
            definite=True,
            error={"type": "invalid_request_error", "code": code, "message": message},
            attempt_ends=[ended(attempt, closed(result), result)],
        )
    return _waiting(setup, attempt, result, now_ms, check_ms)
