"""The next gateway gets an attempt, only after the one before definitely charged nothing."""

import msgspec

from bailiwick.base.clock import now_ms
from bailiwick.channels.base import Instruction, Outcome, Result
from bailiwick.node.orders.row_builder import RowBuilder, wanted
from bailiwick.node.payments import charge_outcomes, editing
from bailiwick.node.payments.charge_outcomes import Transition
from bailiwick.routing.gateways import Gateways
from bailiwick.store.database import Store
from bailiwick.store.rows import Attempt, Payment
from bailiwick.topology.merchants import Merchant

ATTEMPTS_MAX = 3
"""Attempts of one confirmation, the first one included."""
_instruction = msgspec.json.Decoder(Instruction)


def may_cascade(result: Result, merchant: Merchant, number: int) -> bool:
    """Whether another gateway may be tried after the attempt with this number: it is definite that
    nothing was charged, the provider could not (the payer or the bank did not refuse), and the
    merchant wants it. Pure."""
    no_charge = result.outcome is Outcome.DECLINED and result.retryable
    return no_charge and merchant.cascade and number < ATTEMPTS_MAX


class Cascade:
    """Finds the next gateway for a payment."""

    def __init__(self, rows: RowBuilder, store: Store, gateways: Gateways) -> None:
        self._rows = rows
        self._store = store
        self._gateways = gateways

    async def next(self, payment: Payment, attempt: Attempt, result: Result) -> Transition | None:
        """The transition to the next gateway's attempt; None where the outcome is the last word."""
        merchant = self._rows.world.merchants.by_id.get(payment.merchant)
        outstanding = attempt.state in charge_outcomes.OPEN and payment.open_attempt == attempt.id
        if merchant is None or not outstanding or not may_cascade(result, merchant, attempt.number):
            return None
        tried = {attempt.gateway}
        if attempt.number > 1:
            tried = {each.gateway for each in await self._store.attempts(payment.id)}
        instruction = _instruction.decode(attempt.instruction)
        # What is sent on is the instruction's token: only its owner may see it.
        wish = wanted(
            payment,
            merchant.strategy,
            token=instruction.payment_method,
            shown_to=self._gateways.vault_of(attempt.gateway),
        )
        routing = self._gateways.match(wish, tried)
        if routing.gateway is None:
            return None
        method = routing.method or instruction.payment_method_type
        onward = msgspec.structs.replace(instruction, payment_method_type=method)
        new = self._rows.attempt_new(payment, onward, routing.gateway, attempt.key)
        progress = editing.routed(payment.progress, routing)
        return charge_outcomes.next_attempt(payment, attempt, result, new, progress, now_ms())
