"""What providers say of disputes: as the outcome of what they were asked, and by themselves."""

import msgspec

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.objects import encode
from bailiwick.channels.contract import DisputeNotice, Operation
from bailiwick.orders.attempts import OPEN, Attempt
from bailiwick.orders.kinds import Handler
from bailiwick.orders.machine import Machine
from bailiwick.resources.disputes import documents, outcome, render, stored
from bailiwick.resources.disputes.rows import Dispute
from bailiwick.resources.payments import states
from bailiwick.resources.payments.kind import KIND
from bailiwick.resources.payments.outcomes import Step
from bailiwick.resources.payments.rows import Payment
from bailiwick.resources.payments.states import Change
from bailiwick.runtime.crash import crash_point
from bailiwick.store.database import Store

STEPS_MAX = 32


async def _dispute(store: Store, payment: Payment, attempt: Attempt) -> Dispute:
    row = await stored.find(store, attempt.acts_on or "")
    assert row is not None, "what a provider is asked of a dispute comes after it"
    return row


async def book(machine: Machine, charge: Attempt, news: DisputeNotice) -> None:
    """Book all that is new of what a provider tells of a dispute: step by step, each of which is
    found again where the one before it was left.

    Raises:
        ApiError: 503, the charge is not known to have succeeded yet, or nothing can be written now.
    """
    if charge.state in OPEN:
        raise ApiError.unavailable("This charge's own outcome is not known yet. Send it again.")
    if charge.state != "approved":
        await _review(machine, charge, news, "dispute_unmatched")
        return
    known = False

    async def decide(payment: Payment) -> Step | None:
        # The payment is read before the dispute, and guards its write: a dispute that has moved on
        # meanwhile has moved the payment too.
        nonlocal known
        if not states.allows(payment.state, Change.DISPUTED) or not payment.amount_received:
            raise ApiError.unavailable("This charge is not known to be captured. Send it again.")
        row = await stored.told_by(machine.store, charge.gateway, news.provider_ref)
        step = outcome.told(payment, charge, row, news, now_ms())
        if step is None and row is not None:
            known = True
            await machine.store.rows("dispute_heard", row.id, news.sequence, machine.store.epoch())
        return step

    for _ in range(STEPS_MAX):
        try:
            await machine.command.by_itself(KIND, charge.subject, decide)
        except outcome.Contradiction as wrong:
            await _review(machine, charge, news, str(wrong))
            return
        if known:
            return
        crash_point("dispute.booked")
    raise ApiError.unavailable("This could not be written yet. Send it again.")


async def _review(machine: Machine, charge: Attempt, news: DisputeNotice, reason: str) -> None:
    detail = f"{charge.gateway}: {news.provider_ref} {news.status} {news.funds}"
    await machine.store.rows("review_open", charge.subject, charge.id, reason, detail)


async def as_it_is(store: Store, identifier: str) -> msgspec.Raw:
    """A dispute as it is now."""
    row = await stored.find(store, identifier)
    assert row is not None, "a claimed key has its object"
    return encode(render.dispute(row))


HANDLERS = {
    ("pi", Operation.EVIDENCE): Handler(
        outcome.submitted, acts_on=_dispute, completes=documents.completed
    ),
    ("pi", Operation.CONCEDE): Handler(outcome.conceded, acts_on=_dispute),
}
PARTS = {"pi": ("dispute_moves",)}
"""What is written beside orders of a kind: parts of ``move.sql``."""
OBJECTS = {"du": as_it_is}
DISPUTING = {"pi": book}
"""By the prefix of an order's ids: who books disputes of its charges."""
