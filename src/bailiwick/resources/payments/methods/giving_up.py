"""Charges whose payer's time has run out: given up at the provider, and then another way is tried.

A code off the payer's phone that brought no answer, a push that nobody answers: the payer stands at
the till and will pay otherwise. Until the provider has said that the first charge is gone, it may
still be taken; so it is voided, by our reference where the provider's id is not known
(``Profile.reversal``), and only then may the payer try again. Where nothing is taken before a step
of ours (``Takes.completed_by``) no void is needed: that step is not sent any more. A success that
comes after that is booked apart (``outcomes.after_the_end``).
"""

import msgspec

from bailiwick.base.clock import now_ms
from bailiwick.channels.contract import Instruction, Operation, Profile
from bailiwick.orders import attempt_store, steps
from bailiwick.orders.attempts import OPEN, Attempt
from bailiwick.orders.executor import OPEN_LOOK_MS, PERMIT_NS
from bailiwick.orders.machine import Machine
from bailiwick.orders.transition import Transition, ended
from bailiwick.resources.payments import outcomes
from bailiwick.resources.payments.holds import voids
from bailiwick.resources.payments.holds.voids import FORGO_MAX
from bailiwick.resources.payments.outcomes import Step
from bailiwick.resources.payments.rows import Payment, Progress
from bailiwick.resources.payments.states import Change, State

GRACE_MS = 5_000
"""How long after the payer's time the provider may say itself how it ended."""
_instruction = msgspec.json.Decoder(Instruction)


def is_due(instruction: Instruction, now: int) -> bool:
    """Whether the payer's time has run out. Pure."""
    until = instruction.expires_ms
    return until is not None and until + GRACE_MS <= now


def nothing_taken(profile: Profile, instruction: Instruction) -> bool:
    """Whether nothing can have been taken of a charge: the step that takes it is ours, and was not
    permitted yet. Pure."""
    takes = profile.takes(instruction)
    last = None if takes is None else takes.completed_by
    return last is not None and last not in instruction.steps


def can_void(profile: Profile, attempt: Attempt) -> bool:
    """Whether a charge can be given up: by its provider's id, or by our reference. Pure."""
    able = Operation.VOID in profile.resolve
    return able and (profile.reversal or attempt.provider_ref is not None)


def _by_step(profile: Profile, instruction: Instruction) -> bool:
    takes = profile.takes(instruction)
    return takes is not None and takes.completed_by is not None


async def decide(machine: Machine, payment: Payment, attempt: Attempt) -> Step | None:
    """The step that permits the void; None where there is none to be: it ends when the provider
    says so. ``attempt``: the charge, as it was when it was asked about."""
    if not is_due(_instruction.decode(attempt.instruction), now_ms()):
        return None
    # It may have gone on to its next step since; what does after this fails the payment's guard.
    now = await attempt_store.find(machine.store, attempt.id)
    if now is None or steps.moved_on(attempt, now):
        return None
    instruction = _instruction.decode(attempt.instruction)
    outstanding = payment.open_attempt == attempt.id and attempt.state in OPEN
    waits = payment.state in (State.PROCESSING, State.REQUIRES_ACTION)
    if not (outstanding and waits):
        return None
    profile = machine.gateways.profile_of(attempt.gateway)
    if profile is not None and _by_step(profile, instruction):
        if not nothing_taken(profile, instruction):
            return None  # the payer has done what was asked; our step ends as it is declared
        return outcomes.charge(payment, attempt, voids.NOT_IN_TIME, now_ms(), OPEN_LOOK_MS)
    if profile is None or payment.attempts >= FORGO_MAX or not can_void(profile, attempt):
        return None
    sending_ms = PERMIT_NS // 1_000_000 + profile.total_ms
    if attempt.state != "pending" and attempt.quiet_ms < sending_ms:
        return None  # the charge may still be on its way, and would come after the void
    void = voids.of_charge(payment, attempt, instruction, attempt.provider_ref)
    new = machine.rows.attempt_new(payment, void, attempt.gateway, None)
    return voids.given_up(payment, new, now_ms())


async def closed(machine: Machine, payment: Payment, progress: Progress) -> Step | None:
    """The step that cancels a payment whose charge waits for the payer, and of which nothing can
    have been taken; None where that is not sure."""
    attempt = await attempt_store.find(machine.store, payment.open_attempt or "")
    profile = None if attempt is None else machine.gateways.profile_of(attempt.gateway)
    if attempt is None or profile is None:
        return None
    if not nothing_taken(profile, _instruction.decode(attempt.instruction)):
        return None
    return canceled(payment, attempt, progress, now_ms())


def canceled(payment: Payment, attempt: Attempt, progress: Progress, now: int) -> Step:
    """The step that cancels a payment and ends its charge, of which nothing was taken. Pure."""
    progress = msgspec.structs.replace(progress, canceled_ms=now, action=None)
    return Transition(
        before=payment,
        after=outcomes.moved(payment, Change.CANCEL, now, progress=progress, open_attempt=None),
        event="payment_intent.canceled",
        definite=True,
        attempt_ends=[ended(attempt, "declined", voids.GONE)],
    )
