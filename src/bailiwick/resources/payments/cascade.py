"""What follows at once on the outcome of a charge: the next gateway's attempt, only after the one
before definitely charged nothing; or a void, where the payer would have to act and must not, or the
provider has not answered and takes a reversal."""

import msgspec

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import (
    Instruction,
    NotBuilt,
    Operation,
    Outcome,
    Resolve,
    Result,
)
from bailiwick.orders import attempt_store
from bailiwick.orders.attempts import OPEN, Attempt, AttemptNew
from bailiwick.orders.executor import OPEN_LOOK_MS
from bailiwick.orders.machine import Machine
from bailiwick.resources.payments import outcomes
from bailiwick.resources.payments.charging import met_by, routed, wanted
from bailiwick.resources.payments.holds import voids
from bailiwick.resources.payments.methods.giving_up import nothing_taken
from bailiwick.resources.payments.outcomes import Step
from bailiwick.resources.payments.rows import Payment
from bailiwick.resources.payments.states import State
from bailiwick.topology.merchants import Merchant
from bailiwick.topology.routes.retries import Action

ATTEMPTS_MAX = 3
"""Attempts of one confirmation, the first one included."""
_instruction = msgspec.json.Decoder(Instruction)


def may_cascade(
    result: Result, merchant: Merchant, number: int, action: Action | None = None
) -> bool:
    """Whether another gateway may be tried after the attempt with this number: it is definite that
    nothing was charged, the provider could not (the payer or the bank did not refuse), and the
    merchant wants it. ``action``: what the routing table says of such a decline; of what was not
    sent it says nothing. Pure."""
    if action is not None and not isinstance(result, NotBuilt):
        result = msgspec.structs.replace(result, retryable=action == "other_gateway")
    no_charge = result.outcome is Outcome.DECLINED and result.retryable
    return no_charge and merchant.cascade and number < ATTEMPTS_MAX


async def onward(
    machine: Machine, payment: Payment, attempt: Attempt, result: Result
) -> Step | None:
    """The transition to what follows at once; None where the outcome is the last word."""
    if result.outcome is Outcome.PENDING:
        return _forgo(machine, payment, attempt, result)
    if result.outcome is Outcome.UNKNOWN:
        return _reverse(machine, payment, attempt, result)
    return await next_gateway(machine, payment, attempt, result)


def _forgo(machine: Machine, payment: Payment, attempt: Attempt, result: Result) -> Step | None:
    known = result.provider_ref or attempt.provider_ref
    waits = payment.progress.no_action and result.action is not None
    outstanding = attempt.state in OPEN and payment.open_attempt == attempt.id
    if not waits or not outstanding or known is None:
        return None
    if payment.state != State.PROCESSING or payment.attempts >= voids.FORGO_MAX:
        return None
    profile = machine.gateways.profile_of(attempt.gateway)
    if profile is not None and nothing_taken(profile, _instruction.decode(attempt.instruction)):
        return outcomes.charge(payment, attempt, voids.FORGONE, now_ms(), OPEN_LOOK_MS)
    if profile is None or Operation.VOID not in profile.resolve:
        return None  # it ends when the payer, or time, ends it
    new = _void(machine, payment, attempt, known)
    return voids.forgo(payment, attempt, result, new, now_ms(), OPEN_LOOK_MS)


def _reverse(machine: Machine, payment: Payment, attempt: Attempt, result: Result) -> Step | None:
    """Nobody knows what became of the charge: at a channel that can, it is given up for good, by
    our reference of it. From then on the charge's own answer decides nothing."""
    profile = machine.gateways.profile_of(attempt.gateway)
    ways = () if profile is None else profile.ways(_instruction.decode(attempt.instruction))
    if Resolve.REVERSAL not in ways:
        return None
    outstanding = attempt.state in OPEN and payment.open_attempt == attempt.id
    if not outstanding or payment.state != State.PROCESSING:
        return None
    new = _void(machine, payment, attempt, None)
    return voids.reverse(payment, attempt, result, new, now_ms())


def _void(machine: Machine, payment: Payment, attempt: Attempt, known: str | None) -> AttemptNew:
    """The void of a charge; ``known``: the provider's id of it."""
    original = _instruction.decode(attempt.instruction)
    void = voids.of_charge(payment, attempt, original, known)
    return machine.rows.attempt_new(payment, void, attempt.gateway, attempt.key)


async def next_gateway(
    machine: Machine, payment: Payment, attempt: Attempt, result: Result
) -> Step | None:
    """The transition to the next gateway's attempt; None where the outcome is the last word."""
    merchant = machine.world.merchants.by_id.get(payment.merchant)
    outstanding = attempt.state in OPEN and payment.open_attempt == attempt.id
    if merchant is None or not outstanding:
        return None
    action = machine.world.routing.after(merchant.id, result.decline_code, result.code)
    if not may_cascade(result, merchant, attempt.number, action):
        return None
    tried = {attempt.gateway}
    if attempt.number > 1:
        tried = {each.gateway for each in await attempt_store.of(machine.store, payment.id)}
    instruction = msgspec.structs.replace(
        _instruction.decode(attempt.instruction),
        return_url=payment.progress.return_url,
        provider_ref=None,
        steps=(),
        before=(),
        kept={},
    )
    # What is sent on is the instruction's token: only its owner may see it.
    wish = wanted(
        payment,
        merchant.strategy,
        token=instruction.payment_method,
        shown_to=machine.gateways.vault_of(attempt.gateway),
    )
    routing = machine.gateways.match(wish, tried)
    if routing.gateway is None:
        return None
    try:
        sent_on = met_by(payment, instruction, routing)
    except ApiError:
        return None  # the payer has no time left, or could not come back from there
    new = machine.rows.attempt_new(payment, sent_on, routing.gateway, attempt.key)
    progress = routed(payment, routing, machine.gateways)
    return outcomes.next_attempt(payment, attempt, result, new, progress, now_ms())
