"""The one transition table of a setup, and what its states mean to a client.

As of a payment (``resources.payments.states``), a state says what may be done next. Nothing is
outstanding in ``requires_payment_method``, ``requires_confirmation`` and the two ends; in the
others the provider is at it, and nobody may begin a second operation: ``processing``,
``requires_action`` (it waits for the payer) and ``canceling`` (it is asked to give that up). No
money moves in any of them.
"""

from enum import StrEnum

from bailiwick.base.errors import ApiError


class State(StrEnum):
    """Where a setup is."""

    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_CONFIRMATION = "requires_confirmation"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    CANCELING = "canceling"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


class Change(StrEnum):
    """What may happen to a setup."""

    DRESS = "dress"  # a payment method was given
    UNDRESS = "undress"  # the payment method was taken away
    EDIT = "edit"  # description, metadata and the like
    CONFIRM = "confirm"  # an attempt is permitted
    WAIT = "wait"  # the provider has not decided, or we do not know
    ACT = "act"  # the payer has to do something
    SET_UP = "set_up"  # the payer's agreement is stored
    DECLINED = "declined"  # definitely not
    CANCEL = "cancel"  # nothing was outstanding: closed at once
    VOID = "void"  # the provider is asked to give it up
    VOIDED = "voided"  # it has
    RESUME = "resume"  # it has not, and the attempt is still open
    LATE = "late"  # an attempt that had ended without was set up after all


_S = State
_C = Change

TRANSITIONS: dict[tuple[State, Change], State] = {
    (_S.REQUIRES_PAYMENT_METHOD, _C.DRESS): _S.REQUIRES_CONFIRMATION,
    (_S.REQUIRES_CONFIRMATION, _C.DRESS): _S.REQUIRES_CONFIRMATION,
    (_S.REQUIRES_PAYMENT_METHOD, _C.UNDRESS): _S.REQUIRES_PAYMENT_METHOD,
    (_S.REQUIRES_CONFIRMATION, _C.UNDRESS): _S.REQUIRES_PAYMENT_METHOD,
    (_S.REQUIRES_PAYMENT_METHOD, _C.CONFIRM): _S.PROCESSING,
    (_S.REQUIRES_CONFIRMATION, _C.CONFIRM): _S.PROCESSING,
    (_S.PROCESSING, _C.WAIT): _S.PROCESSING,
    (_S.REQUIRES_ACTION, _C.WAIT): _S.PROCESSING,
    (_S.CANCELING, _C.WAIT): _S.CANCELING,
    (_S.PROCESSING, _C.ACT): _S.REQUIRES_ACTION,
    (_S.PROCESSING, _C.SET_UP): _S.SUCCEEDED,
    (_S.REQUIRES_ACTION, _C.SET_UP): _S.SUCCEEDED,
    (_S.PROCESSING, _C.DECLINED): _S.REQUIRES_PAYMENT_METHOD,
    (_S.REQUIRES_ACTION, _C.DECLINED): _S.REQUIRES_PAYMENT_METHOD,
    (_S.REQUIRES_ACTION, _C.VOID): _S.CANCELING,
    (_S.CANCELING, _C.VOIDED): _S.CANCELED,
    (_S.CANCELING, _C.RESUME): _S.PROCESSING,
    (_S.REQUIRES_PAYMENT_METHOD, _C.CANCEL): _S.CANCELED,
    (_S.REQUIRES_CONFIRMATION, _C.CANCEL): _S.CANCELED,
    **{(state, _C.EDIT): state for state in State},
    **{(state, _C.LATE): state for state in State},
}

TERMINAL = frozenset({State.SUCCEEDED, State.CANCELED})

_SHOWN = {State.CANCELING: "processing"}
_REMEDY = {
    State.PROCESSING: "its outcome is not known yet; retrieve it until it is",
    State.CANCELING: "a cancellation is under way; retrieve it until that has ended",
    State.SUCCEEDED: "use its payment method, or create a new one",
    State.CANCELED: "create a new one",
    State.REQUIRES_ACTION: "the payer has to finish the authentication first, or cancel it",
    State.REQUIRES_PAYMENT_METHOD: "confirm it with a payment_method",
    State.REQUIRES_CONFIRMATION: "confirm it first",
}


def shown(state: str) -> str:
    """The status that a client sees: a cancellation under way is ``processing``."""
    return _SHOWN.get(State(state), state)


def unexpected(state: str, doing: str) -> ApiError:
    """The answer (400) to what a state does not allow; names the remedy."""
    here = State(state)
    return ApiError.invalid(
        f"You cannot {doing} this SetupIntent because it has a status of {shown(here)}: "
        f"{_REMEDY[here]}.",
        code="setup_intent_unexpected_state",
    )


def after(state: str, change: Change) -> State:
    """The state that follows.

    Raises:
        ApiError: 400, the table does not hold this change; names the remedy.
    """
    found = TRANSITIONS.get((State(state), change))
    if found is None:
        raise unexpected(state, change.value)
    return found


def allows(state: str, change: Change) -> bool:
    """Whether the table holds this change."""
    return (State(state), change) in TRANSITIONS
