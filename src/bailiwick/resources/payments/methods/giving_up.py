"""Charges whose payer's time has run out: given up at the provider, and then another way is tried.

A code off the payer's phone that brought no answer, a push that nobody answers: the payer stands at
the till and will pay otherwise. Until the provider has said that the first charge is gone, it may
still be taken; so it is voided, by our reference where the provider's id is not known
(``Profile.reversal``), and only then may the payer try again. A success that comes after that is
booked apart (``outcomes.after_the_end``).
"""

import msgspec

from bailiwick.base.clock import now_ms
from bailiwick.channels.contract import Instruction, Operation, Profile
from bailiwick.orders.attempts import OPEN, Attempt
from bailiwick.orders.executor import PERMIT_NS
from bailiwick.orders.machine import Machine
from bailiwick.resources.payments.holds import voids
from bailiwick.resources.payments.holds.voids import FORGO_MAX
from bailiwick.resources.payments.outcomes import Step
from bailiwick.resources.payments.rows import Payment
from bailiwick.resources.payments.states import State

GRACE_MS = 5_000
"""How long after the payer's time the provider may say itself how it ended."""
_instruction = msgspec.json.Decoder(Instruction)


def is_due(instruction: Instruction, now: int) -> bool:
    """Whether the payer's time has run out. Pure."""
    until = instruction.expires_ms
    return until is not None and until + GRACE_MS <= now


def can_void(profile: Profile, attempt: Attempt) -> bool:
    """Whether a charge can be given up: by its provider's id, or by our reference. Pure."""
    able = Operation.VOID in profile.resolve
    return able and (profile.reversal or attempt.provider_ref is not None)


async def decide(machine: Machine, payment: Payment, attempt: Attempt) -> Step | None:
    """The step that permits the void; None where there is none to be: it ends when the provider
    says so. ``attempt``: the charge, as it was when it was asked about."""
    instruction = _instruction.decode(attempt.instruction)
    outstanding = payment.open_attempt == attempt.id and attempt.state in OPEN
    waits = payment.state in (State.PROCESSING, State.REQUIRES_ACTION)
    if not (outstanding and waits and is_due(instruction, now_ms())):
        return None
    profile = machine.gateways.profile_of(attempt.gateway)
    if profile is None or payment.attempts >= FORGO_MAX or not can_void(profile, attempt):
        return None
    sending_ms = PERMIT_NS // 1_000_000 + profile.total_ms
    if attempt.state != "pending" and attempt.quiet_ms < sending_ms:
        return None  # the charge may still be on its way, and would come after the void
    void = voids.of_charge(payment, attempt, instruction, attempt.provider_ref)
    new = machine.rows.attempt_new(payment, void, attempt.gateway, None)
    return voids.given_up(payment, new, now_ms())
