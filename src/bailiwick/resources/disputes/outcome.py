"""What providers say of disputes does: to the dispute, and to the payment's money. Pure.

Each step is one move of the payment, guarded by its version, with the dispute's new row, the
postings and the event in the same commit. So what is told twice, in another order or after a
restart is booked once: a step is made of the difference between what is told and what is stored,
and where there is none, there is no step.
"""

import msgspec

from bailiwick.base.ids import new_id, node_of
from bailiwick.channels.contract import DisputeNotice, Outcome, Result
from bailiwick.ledger import postings as ledger
from bailiwick.orders.attempts import OPEN, Attempt
from bailiwick.orders.transition import Part, Transition, closed, ended, repeats, review_of
from bailiwick.resources.disputes import render
from bailiwick.resources.disputes.rows import Details, Dispute, DisputeNew, DisputeNext
from bailiwick.resources.disputes.states import ANSWERABLE, CLOSED, CONCEDED, State, allows
from bailiwick.resources.payments.outcomes import Step, after_the_end, moved, refusal
from bailiwick.resources.payments.rows import DisputeNote, Payment
from bailiwick.resources.payments.states import Change

_replace = msgspec.structs.replace
_FUNDS = ("held", "withdrawn", "reinstated")


class Contradiction(Exception):
    """What is told cannot be, after what was told before: nothing of it is booked."""


def told(
    payment: Payment, charge: Attempt, row: Dispute | None, news: DisputeNotice, now_ms: int
) -> Step | None:
    """The next step towards what a provider tells; None: all of it is known.

    The order is that of Stripe's events: opened, withdrawn, decided, reinstated.

    Raises:
        Contradiction: a person must look.
    """
    _check(payment, row, news)
    if row is None:
        return _opened(payment, charge, news, now_ms)
    if news.sequence < row.sequence:
        return None
    # Each step takes the provider's count with it: what is older is no news from then on, while the
    # same news goes on where a step has left it.
    heard = _replace(row, sequence=news.sequence)
    if row.funds == "held" and news.funds != "held":
        return _withdrawn(payment, heard, now_ms)
    if (changed := _as_told(heard, news)) != heard:
        event = "closed" if changed.state in CLOSED and row.state not in CLOSED else "updated"
        return step(payment, changed, now_ms, event)
    if row.funds == "withdrawn" and news.funds == "reinstated":
        return _reinstated(payment, heard, now_ms)
    return None


def _check(payment: Payment, row: Dispute | None, news: DisputeNotice) -> None:
    if news.currency != payment.currency or not 0 < news.amount <= payment.amount_received:
        raise Contradiction("dispute_amount")
    if row is None or news.sequence < row.sequence:
        return
    if (news.amount, news.fee) != (row.amount, row.fee):
        raise Contradiction("dispute_amount")
    if not allows(row.state, news.status):
        raise Contradiction("dispute_state")
    if _FUNDS.index(news.funds) < _FUNDS.index(row.funds):
        raise Contradiction("dispute_funds")


def _as_told(row: Dispute, news: DisputeNotice) -> Dispute:
    """The dispute with all that is told but the money."""
    details = _replace(
        row.details,
        reason=news.reason,
        refundable=news.refundable,
        past_due=news.past_due,
        submissions=max(row.details.submissions, news.submissions),
    )
    return _replace(row, state=State(news.status), due_ms=news.due_ms, details=details)


def _opened(payment: Payment, charge: Attempt, news: DisputeNotice, now_ms: int) -> Step:
    row = Dispute(
        id=new_id("du", node_of(payment.id), now_ms),
        payment=payment.id,
        charge=charge.id,
        merchant=payment.merchant,
        livemode=payment.livemode,
        gateway=charge.gateway,
        provider_ref=news.provider_ref,
        state=State(news.status),
        funds="held",
        amount=news.amount,
        fee=news.fee,
        currency=payment.currency,
        sequence=news.sequence,
        open_attempt=None,
        due_ms=news.due_ms,
        created_ms=now_ms,
        details=Details(news.reason, news.refundable, {}, news.submissions, news.past_due),
    )
    new = DisputeNew(
        row.id,
        row.charge,
        row.gateway,
        row.provider_ref,
        row.state.value,
        row.amount,
        row.fee,
        row.sequence,
        row.due_ms,
        row.details,
    )
    return _replace(step(payment, row, now_ms, "created"), beside={"dispute_new": new})


def _withdrawn(payment: Payment, row: Dispute, now_ms: int) -> Step:
    postings = ledger.dispute_withdrawn(row.gateway, payment.merchant, row.amount, row.fee)
    after = _replace(row, funds="withdrawn")
    return _replace(step(payment, after, now_ms, "funds_withdrawn"), postings=postings)


def _reinstated(payment: Payment, row: Dispute, now_ms: int) -> Step:
    postings = ledger.dispute_reinstated(row.gateway, payment.merchant, row.amount, row.fee)
    after = _replace(row, funds="reinstated")
    return _replace(step(payment, after, now_ms, "funds_reinstated"), postings=postings)


def step(payment: Payment, row: Dispute, now_ms: int, event: str) -> Step:
    """A move of the payment that leaves a dispute as in ``row``."""
    note = DisputeNote(row.charge, row.details.refundable)
    progress = payment.progress
    if progress.disputes.get(row.id) != note:
        progress = _replace(progress, disputes={**progress.disputes, row.id: note})
    following = DisputeNext(
        row.id,
        row.state.value,
        row.funds,
        row.sequence,
        row.open_attempt,
        row.due_ms,
        row.details,
    )
    return Transition(
        before=payment,
        after=moved(payment, Change.DISPUTED, now_ms, progress=progress),
        event=f"charge.dispute.{event}",
        definite=True,
        part=Part(row, lambda _, expanded: render.dispute(row, expanded=expanded)),
        beside={"dispute_next": following},
    )


def submitted(
    payment: Payment, attempt: Attempt, row: Dispute, result: Result, now_ms: int, check_ms: int
) -> Step | None:
    """The outcome of sending evidence."""
    done = _replace(
        row,
        state=ANSWERABLE.get(row.state, row.state),
        details=_replace(row.details, submissions=max(row.details.submissions, 1)),
    )
    return _asked(payment, attempt, row, done, result, now_ms, check_ms)


def conceded(
    payment: Payment, attempt: Attempt, row: Dispute, result: Result, now_ms: int, check_ms: int
) -> Step | None:
    """The outcome of closing a dispute."""
    done = _replace(row, state=CONCEDED.get(row.state, row.state))
    return _asked(payment, attempt, row, done, result, now_ms, check_ms)


def _asked(
    payment: Payment,
    attempt: Attempt,
    row: Dispute,
    done: Dispute,
    result: Result,
    now_ms: int,
    check_ms: int,
) -> Step | None:
    if attempt.state not in OPEN:
        return after_the_end(payment, attempt, result, now_ms)
    if result.outcome is Outcome.APPROVED:
        event = "closed" if done.state in CLOSED and row.state not in CLOSED else "updated"
        made = step(payment, _replace(done, open_attempt=None), now_ms, event)
        return _replace(made, attempt_ends=[ended(attempt, "approved", result)])
    if result.outcome is Outcome.DECLINED:
        message = result.message or "The provider refused it."
        made = step(payment, _replace(row, open_attempt=None), now_ms, "updated")
        return _replace(
            made,
            error=refusal(result.code or "dispute_refused", message),
            attempt_ends=[ended(attempt, closed(result), result)],
        )
    if repeats(attempt, result):
        return None
    pending = result.outcome is Outcome.PENDING
    return _replace(
        step(payment, row, now_ms, "updated"),
        definite=pending,
        attempt_ends=[ended(attempt, "pending" if pending else "unknown", result, check_ms)],
        review=review_of(attempt, result),
    )
