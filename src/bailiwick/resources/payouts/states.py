"""The one transition table of a payout, with Stripe's statuses:
https://docs.stripe.com/payouts#payout-statuses. Pure.

The amount leaves the merchant's balance when the payout is made, in the commit that permits it to
be sent, and is on its way (``transit``) until the provider has a definite answer. ``pending``: the
provider has not sent it on, or it is not known whether the provider has it at all; only what the
provider is known to have can be canceled. ``paid`` is no end: a bank may send money back days
later.
"""

from enum import StrEnum

from bailiwick.base.errors import ApiError


class State(StrEnum):
    """Where a payout is."""

    PENDING = "pending"
    IN_TRANSIT = "in_transit"
    PAID = "paid"
    FAILED = "failed"
    CANCELED = "canceled"


class Change(StrEnum):
    """What may happen to a payout."""

    EDIT = "edit"  # metadata
    WAIT = "wait"  # the provider has not decided, or we do not know
    LATE = "late"  # it arrived after a definite no
    KEPT = "kept"  # it could not be canceled
    TRAVEL = "travel"  # the provider has sent it on
    ARRIVE = "arrive"
    FAIL = "fail"
    RECALL = "recall"  # that it is canceled is permitted to be asked
    CANCEL = "cancel"  # the provider has canceled it
    RETURN = "return"  # it came back after it had arrived


_S, _C = State, Change
ALWAYS = (_C.EDIT, _C.WAIT, _C.LATE, _C.KEPT)
"""In every state; they leave it as it is."""
TRANSITIONS: dict[tuple[State, Change], State] = {
    (_S.PENDING, _C.TRAVEL): _S.IN_TRANSIT,
    (_S.PENDING, _C.ARRIVE): _S.PAID,
    (_S.PENDING, _C.FAIL): _S.FAILED,
    (_S.PENDING, _C.RECALL): _S.PENDING,
    (_S.PENDING, _C.CANCEL): _S.CANCELED,
    (_S.IN_TRANSIT, _C.ARRIVE): _S.PAID,
    (_S.IN_TRANSIT, _C.FAIL): _S.FAILED,
    (_S.IN_TRANSIT, _C.CANCEL): _S.CANCELED,
    (_S.PAID, _C.RETURN): _S.FAILED,
    **{(state, change): state for state in _S for change in ALWAYS},
}
GIVEN_BACK = frozenset({_S.FAILED, _S.CANCELED})
"""States in which the amount is in the merchant's balance again."""


def allows(state: str, change: Change) -> bool:
    """Whether a change may happen in a state."""
    return (State(state), change) in TRANSITIONS


def after(state: str, change: Change) -> State:
    """The state after a change.

    Raises:
        ApiError: 400, with the state and the remedy.
    """
    found = TRANSITIONS.get((State(state), change))
    if found is None:
        raise ApiError.invalid(
            f"This payout has a status of {state}: only a pending one can be canceled.",
            code="payout_unexpected_state",
        )
    return found
