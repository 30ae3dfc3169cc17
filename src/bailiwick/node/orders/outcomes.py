"""What each operation's outcome does: one handler for each, in one table.

An operation is added by a line here and a pure function of the rows it acts on.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from bailiwick.channels.base import Operation, Result
from bailiwick.node.payments import charge_outcomes, follow_up_outcomes
from bailiwick.node.payments.charge_outcomes import Transition
from bailiwick.store.database import Store
from bailiwick.store.rows import Attempt, Payment, Refund

ActsOn = Callable[[Store, Payment, Attempt], Awaitable[Any]]
Effect = Callable[[Payment, Attempt, Any, Result, int, int], Transition | None]


class Handler(msgspec.Struct, frozen=True):
    """How the outcome of one operation is decided.

    Attributes:
        acts_on: reads the row beside payment and attempt that it is about.
        outcome: payment, attempt, that row, result, now and the time of the next look (both in
            milliseconds) to the transition; None for nothing (more) to do. Pure.
        cascades: another gateway may be tried after a definite no.
    """

    acts_on: ActsOn
    outcome: Effect
    cascades: bool = False


async def _nothing(store: Store, payment: Payment, attempt: Attempt) -> None:
    """The payment is all that it is about."""


async def _charge(store: Store, payment: Payment, attempt: Attempt) -> Attempt:
    charged = await store.attempt(payment.charge_attempt or "")
    assert charged is not None, "a void follows a charge"
    return charged


async def _refund(store: Store, payment: Payment, attempt: Attempt) -> Refund:
    row = await store.refund(attempt.refund or "")
    assert row is not None, "a refund is written with its attempt"
    return row


def _alone(outcome: Callable[[Payment, Attempt, Result, int, int], Transition | None]) -> Effect:
    """An outcome that is about the payment alone."""
    return lambda payment, attempt, _, result, now, look: outcome(
        payment, attempt, result, now, look
    )


OUTCOMES: Final[dict[Operation, Handler]] = {
    Operation.CHARGE: Handler(_nothing, _alone(charge_outcomes.charge), cascades=True),
    Operation.CAPTURE: Handler(_nothing, _alone(follow_up_outcomes.capture)),
    Operation.VOID: Handler(_charge, follow_up_outcomes.void),
    Operation.REFUND: Handler(_refund, follow_up_outcomes.refund),
}
