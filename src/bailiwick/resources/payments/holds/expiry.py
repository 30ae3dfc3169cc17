"""Holds that run out: what is not captured in time is let go, at the provider too.

A hold of which nobody hears any more ties up the payer's money, and a capture after its time fails.
So each is voided when its time has come (``capture_before``), as
https://docs.stripe.com/payments/place-a-hold-on-a-payment-method describes: the payment is then
canceled, or has succeeded where a part of it was captured.
"""

import msgspec
import structlog

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import Operation
from bailiwick.orders.machine import Machine
from bailiwick.resources.payments.commands import follow_up
from bailiwick.resources.payments.kind import KIND
from bailiwick.resources.payments.outcomes import Step, moved
from bailiwick.resources.payments.rows import Payment
from bailiwick.resources.payments.states import Change, State
from bailiwick.runtime.database_errors import DATABASE_ERRORS

AT_ONCE = 32
EVERY_S = 1.0
RETRY_MS = 60_000
"""How much later a hold is looked at again that its provider does not let go."""
log = structlog.get_logger()


class Holds:
    """Lets go of holds when their time has come."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._asked: dict[str, int] = {}

    async def step(self) -> float:
        """Look once; seconds until the next look."""
        rows = await self._machine.store.rows("payments_expiring", now_ms(), AT_ONCE)
        for row in rows:
            await self.let_go(row["id"])
        return 0.0 if len(rows) == AT_ONCE else EVERY_S

    async def let_go(self, identifier: str, ahead_ms: int = 0) -> None:
        """Let go of a hold if it is due; ``ahead_ms``: by how much a test clock is ahead."""

        async def decide(payment: Payment) -> Step | None:
            return await self._decide(payment, ahead_ms)

        try:
            await self._machine.command.by_itself(KIND, identifier, decide)
        except (*DATABASE_ERRORS, ApiError) as error:
            log.warning("hold_not_released", payment=identifier, error=type(error).__name__)

    async def _decide(self, payment: Payment, ahead_ms: int) -> Step | None:
        before = payment.capture_before_ms
        due = before is not None and before <= now_ms() + ahead_ms
        if not due or payment.state != State.REQUIRES_CAPTURE:
            return None  # a capture or a void is under way, or has ended it
        after = moved(
            payment,
            Change.VOID,
            now_ms(),
            capture_before_ms=now_ms() + RETRY_MS,
            progress=msgspec.structs.replace(payment.progress, cancellation_reason="expired"),
        )
        return await follow_up(
            self._machine, None, payment, after, Operation.VOID, payment.amount_capturable
        )
