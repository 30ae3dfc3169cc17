"""What the outcome of a void does: of a hold, of a charge that waits for the payer, or of one that
was never answered. Pure."""

import msgspec

from bailiwick.channels.contract import Instruction, Operation, Outcome, Result, unknown
from bailiwick.orders.attempts import OPEN, Attempt, AttemptNew
from bailiwick.orders.transition import Transition, closed, ended, review_of
from bailiwick.resources.payments.outcomes import (
    EXPIRED,
    Step,
    after_the_end,
    decline_of,
    let_go,
    moved,
    refusal,
    waiting,
)
from bailiwick.resources.payments.rows import Payment
from bailiwick.resources.payments.states import Change

_replace = msgspec.structs.replace
FORGO_MAX = 10
"""Attempts of a payment after which no charge is voided for waiting for the payer: its provider
does not let it go. The payment is then shown as it is."""
GONE = Result(Outcome.DECLINED, detail="voided")
"""What became of a charge that was given up for its payment to be closed."""
FORGONE = Result(
    Outcome.DECLINED,
    code="authentication_required",
    decline_code="authentication_required",
    message="Your card was declined. This transaction requires authentication.",
    detail="voided",
)
"""What a charge failed for that waited for the payer with ``error_on_requires_action``; see
https://docs.stripe.com/error-codes#authentication-required."""
_REVERSED = Result(
    Outcome.DECLINED,
    code="processing_error",
    decline_code="processing_error",
    message="The bank did not answer; the charge was reversed, and nothing was taken. Try again.",
    detail="reversed",
)
"""What a charge failed for that was never answered, and then given up."""


NOT_IN_TIME = Result(
    Outcome.DECLINED,
    code="payment_intent_payment_attempt_expired",
    message="The payer did not pay in time. Try again, or with another payment method.",
    detail="voided",
)
"""What a charge failed for whose payer's time has run out; see
https://docs.stripe.com/error-codes#payment-intent-payment-attempt-expired."""


def of_charge(
    payment: Payment, charged: Attempt, asked: Instruction, known: str | None
) -> Instruction:
    """The void of a charge that was not decided; ``known``: the provider's id of it, if it is."""
    return Instruction(
        operation=Operation.VOID,
        reference="",
        amount=charged.amount,
        currency=charged.currency,
        automatic=known is not None or asked.automatic,
        payment_method_type=asked.payment_method_type,
        provider_ref=known,
        charge_reference=charged.id,
        payment=payment.id,
        family=asked.family,
        expires_ms=asked.expires_ms,
        original=asked.context,
    )


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
        return after_the_end(payment, attempt, result, now_ms)
    if payment.open_attempt != attempt.id:
        return None
    if payment.progress.forgoing:
        return _forgone(payment, attempt, charged, result, now_ms, check_ms)
    if result.outcome is Outcome.APPROVED:
        ends = [ended(attempt, "approved", result)]
        if charged.state in OPEN:
            ends.append(ended(charged, "declined", GONE))
        after, event = let_go(payment, Change.VOIDED, now_ms)
        return Transition(
            before=payment, after=after, event=event, definite=True, attempt_ends=ends
        )
    if result.outcome is Outcome.DECLINED and result.code in EXPIRED:
        # There was nothing left to let go: the provider itself had.
        after, event = let_go(payment, Change.VOIDED, now_ms)
        ends = [ended(attempt, closed(result), result)]
        return Transition(
            before=payment, after=after, event=event, definite=True, attempt_ends=ends
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


def _let_go_of(payment: Payment, new: AttemptNew, now_ms: int, **why: bool) -> Payment:
    """The payment once the void of a charge that was not decided has its permit."""
    progress = _replace(payment.progress, forgoing=True, **why)
    after = moved(payment, Change.FORGO, now_ms, progress=progress, attempts=new.number)
    return _replace(after, open_attempt=new.id)


def forgo(
    payment: Payment,
    attempt: Attempt,
    result: Result,
    new: AttemptNew,
    now_ms: int,
    check_ms: int,
) -> Step:
    """The charge waits for the payer, whom nobody will send there: its void gets its permit."""
    return Transition(
        before=payment,
        after=_let_go_of(payment, new, now_ms),
        event="payment_intent.processing",
        attempt_ends=[ended(attempt, "pending", result, check_ms)],
        attempt_new=new,
    )


def given_up(payment: Payment, new: AttemptNew, now_ms: int) -> Step:
    """The payer's time has run out: the void of the charge gets its permit."""
    after = _let_go_of(payment, new, now_ms, giving_up=True)
    return Transition(
        before=payment, after=after, event="payment_intent.processing", attempt_new=new
    )


def reverse(
    payment: Payment, attempt: Attempt, result: Result, new: AttemptNew, now_ms: int
) -> Step:
    """The charge was not answered: its reversal gets its permit. What is answered to the charge
    now decides nothing any more; the reversal's own answer does."""
    return Transition(
        before=payment,
        after=_let_go_of(payment, new, now_ms, reversing=True),
        event="payment_intent.processing",
        attempt_ends=[ended(attempt, "unknown", result)],
        attempt_new=new,
        review=review_of(attempt, result),
    )


def _forgone(
    payment: Payment,
    attempt: Attempt,
    charged: Attempt,
    result: Result,
    now_ms: int,
    check_ms: int,
) -> Step | None:
    """The outcome of such a void. If it was refused the charge is still open, and asked about: the
    provider may have decided meanwhile."""
    reversing = payment.progress.reversing
    if reversing and result.outcome is Outcome.DECLINED:
        # Not sent, or not taken: whether anything was charged is as unknown as it was.
        result = unknown(result.detail or "refused")
    if result.outcome in (Outcome.PENDING, Outcome.UNKNOWN):
        return waiting(payment, attempt, result, now_ms, check_ms)
    why = _REVERSED if reversing else NOT_IN_TIME if payment.progress.giving_up else FORGONE
    progress = _replace(payment.progress, forgoing=False, reversing=False, giving_up=False)
    gone = result.outcome is Outcome.APPROVED or result.code in EXPIRED
    if not gone:
        return Transition(
            before=payment,
            after=moved(payment, Change.RESUME, now_ms, progress=progress, open_attempt=charged.id),
            event="bailiwick.cancel_refused",
            attempt_ends=[ended(attempt, closed(result), result)],
        )
    error = decline_of(why, charged, payment.progress.payment_method)
    progress = _replace(
        progress, last_error=error, action=None, payment_method=None, tender=None, saving=None
    )
    ends = [
        ended(attempt, "approved" if result.outcome is Outcome.APPROVED else "declined", result)
    ]
    if charged.state in OPEN:
        ends.append(ended(charged, "declined", why))
    return Transition(
        before=payment,
        after=moved(payment, Change.FORGONE, now_ms, progress=progress, open_attempt=None),
        event="payment_intent.payment_failed",
        definite=True,
        error=error,
        attempt_ends=ends,
    )
