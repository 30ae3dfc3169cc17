"""The one transition table of a payment, and what its states mean to a client.

Whatever changes a payment names its change here; a change that the table does not hold does not
happen. The SQL check list, the diagram in the documentation and the tests come from it.

Why these states. A payment's state answers one question: what may be done with it next without the
risk of taking money twice or losing some? So there is a state for each answer, and no more:

* Nothing is outstanding. ``requires_payment_method`` lacks what to charge;
  ``requires_confirmation`` has it. Both may be edited, confirmed, or cancelled at once: no provider
  holds anything for them. A definite decline comes back here, because the payer may try another
  way.
* One operation is outstanding at a provider, and nobody may begin a second one (rule 2):
  ``processing`` (a charge), ``requires_action`` (a charge that waits for the payer),
  ``incrementing`` (more is to be held), ``capturing`` and ``voiding``. From these only an outcome
  leads on, whether it comes as an answer, by a callback or by asking. Not to know is no way out:
  ``WAIT`` stays. Clients see all but ``requires_action`` as ``processing``.
* ``requires_capture``: the provider holds the money. It is taken by a capture or let go by a void,
  or more is held; all can be refused, which comes back here, as does a capture that is not the
  final one. Once a part is captured, no more can be held. What
  was captured may be refunded meanwhile. A hold that has run out ends in ``canceled``, or, where a
  part of it was captured, in ``succeeded`` (``RELEASED``).
* ``succeeded`` and ``canceled`` are ends. Money that moves afterwards does not change them:
  refunds are counted in amounts on the payment (``REFUND``, ``REFUNDED``), disputes are rows of
  their own beside it (``DISPUTED``), and money for an attempt
  that had ended without is booked apart and put before a person (``LATE``, from every state: it is
  never dropped, whatever we believed).

Why ``requires_action`` can be voided and ``processing`` cannot: in the one the provider has told us
that it waits, so that a void is an answer to it; in the other we do not know what it has done, and
a void could cross a charge. If such a void is refused, the charge is still open (``RESUME``). With
``error_on_requires_action`` the same void follows at once when the provider says that it waits
(``FORGO``), and the payment comes back to ``requires_payment_method`` (``FORGONE``). So it does
where a provider never answers and takes a reversal: what is voided then is whatever it has done,
and its own answer decides nothing any more.

Some charges take several requests (``GO_ON``), and of some nothing is taken before one of them that
we have not sent yet. Then no void is needed: such a charge ends by our never sending it, and the
payment is closed (``CANCEL``) or asks for another payment method (``DECLINED``) at once.

Each change bumps the payment's version, which is also the sequence of its events; the write is
guarded on the version and the state before (``orders/sql/move.sql``). Two that race: one moves, the
other reads again and decides anew.
"""

from enum import StrEnum

from bailiwick.base.errors import ApiError


class State(StrEnum):
    """Where a payment is."""

    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_CONFIRMATION = "requires_confirmation"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    REQUIRES_CAPTURE = "requires_capture"
    INCREMENTING = "incrementing"
    CAPTURING = "capturing"
    VOIDING = "voiding"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


class Change(StrEnum):
    """What may happen to a payment."""

    DRESS = "dress"  # a payment method was given
    UNDRESS = "undress"  # the payment method was taken away
    EDIT = "edit"  # description, metadata and the like
    CONFIRM = "confirm"  # an attempt to charge is permitted
    RETRY = "retry"  # the attempt ended without a charge; the next one is permitted
    GO_ON = "go_on"  # the provider wants the next request of the charge; it is permitted
    WAIT = "wait"  # the provider has not decided, or we do not know
    ACT = "act"  # the payer has to do something
    CAPTURED = "captured"  # the money is taken
    PARTLY_CAPTURED = "partly_captured"  # a part of what is held; the rest stays held
    AUTHORIZED = "authorized"  # the money is held
    DECLINED = "declined"  # definitely no charge
    INCREMENT = "increment"  # it is permitted to ask for more to be held
    INCREMENTED = "incremented"  # more is held
    CAPTURE = "capture"  # a capture is permitted
    REFUSED = "refused"  # increment, capture or void definitely did not happen
    EXPIRE = "expire"  # the hold had run out before the increment or capture
    RESUME = "resume"  # the void was refused while the charge is still open
    FORGO = "forgo"  # the payer would have to act, or nobody answers: a void is permitted
    FORGONE = "forgone"  # that charge is gone; another payment method may be tried
    VOID = "void"  # a void is permitted
    VOIDED = "voided"  # the hold is gone
    RELEASED = "released"  # what was left of a hold is gone, after a part was captured
    CANCEL = "cancel"  # nothing was outstanding, or could be taken: closed at once
    REFUND = "refund"  # a refund is permitted
    REFUNDED = "refunded"  # a refund ended, either way
    DISPUTED = "disputed"  # a dispute of its charge was opened, answered, decided, or moved money
    LATE = "late"  # money moved for an attempt that had ended without


_S = State
_C = Change
_ANY = tuple(State)
_TAKEN = (_S.SUCCEEDED, _S.REQUIRES_CAPTURE, _S.CAPTURING, _S.VOIDING)
"""States in which money may have been taken, and be on its way back."""

TRANSITIONS: dict[tuple[State, Change], State] = {
    (_S.REQUIRES_PAYMENT_METHOD, _C.DRESS): _S.REQUIRES_CONFIRMATION,
    (_S.REQUIRES_CONFIRMATION, _C.DRESS): _S.REQUIRES_CONFIRMATION,
    (_S.REQUIRES_PAYMENT_METHOD, _C.UNDRESS): _S.REQUIRES_PAYMENT_METHOD,
    (_S.REQUIRES_CONFIRMATION, _C.UNDRESS): _S.REQUIRES_PAYMENT_METHOD,
    (_S.REQUIRES_PAYMENT_METHOD, _C.CONFIRM): _S.PROCESSING,
    (_S.REQUIRES_CONFIRMATION, _C.CONFIRM): _S.PROCESSING,
    (_S.PROCESSING, _C.RETRY): _S.PROCESSING,
    (_S.REQUIRES_ACTION, _C.RETRY): _S.PROCESSING,
    (_S.PROCESSING, _C.GO_ON): _S.PROCESSING,
    (_S.REQUIRES_ACTION, _C.GO_ON): _S.PROCESSING,
    (_S.PROCESSING, _C.WAIT): _S.PROCESSING,
    (_S.REQUIRES_ACTION, _C.WAIT): _S.PROCESSING,
    (_S.CAPTURING, _C.WAIT): _S.CAPTURING,
    (_S.VOIDING, _C.WAIT): _S.VOIDING,
    (_S.SUCCEEDED, _C.WAIT): _S.SUCCEEDED,
    (_S.PROCESSING, _C.ACT): _S.REQUIRES_ACTION,
    (_S.PROCESSING, _C.FORGO): _S.VOIDING,
    (_S.REQUIRES_ACTION, _C.FORGO): _S.VOIDING,
    (_S.VOIDING, _C.FORGONE): _S.REQUIRES_PAYMENT_METHOD,
    (_S.PROCESSING, _C.CAPTURED): _S.SUCCEEDED,
    (_S.REQUIRES_ACTION, _C.CAPTURED): _S.SUCCEEDED,
    (_S.CAPTURING, _C.CAPTURED): _S.SUCCEEDED,
    (_S.PROCESSING, _C.AUTHORIZED): _S.REQUIRES_CAPTURE,
    (_S.REQUIRES_ACTION, _C.AUTHORIZED): _S.REQUIRES_CAPTURE,
    (_S.PROCESSING, _C.DECLINED): _S.REQUIRES_PAYMENT_METHOD,
    (_S.REQUIRES_ACTION, _C.DECLINED): _S.REQUIRES_PAYMENT_METHOD,
    (_S.REQUIRES_CAPTURE, _C.INCREMENT): _S.INCREMENTING,
    (_S.INCREMENTING, _C.WAIT): _S.INCREMENTING,
    (_S.INCREMENTING, _C.INCREMENTED): _S.REQUIRES_CAPTURE,
    (_S.INCREMENTING, _C.REFUSED): _S.REQUIRES_CAPTURE,
    (_S.INCREMENTING, _C.EXPIRE): _S.CANCELED,
    (_S.REQUIRES_CAPTURE, _C.CAPTURE): _S.CAPTURING,
    (_S.CAPTURING, _C.PARTLY_CAPTURED): _S.REQUIRES_CAPTURE,
    (_S.CAPTURING, _C.RELEASED): _S.SUCCEEDED,
    (_S.CAPTURING, _C.REFUSED): _S.REQUIRES_CAPTURE,
    (_S.REQUIRES_CAPTURE, _C.VOID): _S.VOIDING,
    (_S.VOIDING, _C.VOIDED): _S.CANCELED,
    (_S.VOIDING, _C.RELEASED): _S.SUCCEEDED,
    (_S.VOIDING, _C.REFUSED): _S.REQUIRES_CAPTURE,
    (_S.REQUIRES_ACTION, _C.VOID): _S.VOIDING,
    (_S.VOIDING, _C.RESUME): _S.PROCESSING,
    (_S.CAPTURING, _C.EXPIRE): _S.CANCELED,
    (_S.REQUIRES_PAYMENT_METHOD, _C.CANCEL): _S.CANCELED,
    (_S.REQUIRES_CONFIRMATION, _C.CANCEL): _S.CANCELED,
    (_S.REQUIRES_ACTION, _C.CANCEL): _S.CANCELED,
    (_S.SUCCEEDED, _C.REFUND): _S.SUCCEEDED,
    (_S.REQUIRES_CAPTURE, _C.REFUND): _S.REQUIRES_CAPTURE,
    **{(state, _C.REFUNDED): state for state in _TAKEN},
    **{(state, _C.DISPUTED): state for state in _TAKEN},
    (_S.REQUIRES_CAPTURE, _C.WAIT): _S.REQUIRES_CAPTURE,
    **{(state, _C.EDIT): state for state in _ANY},
    **{(state, _C.LATE): state for state in _ANY},
}

TERMINAL = frozenset({State.SUCCEEDED, State.CANCELED})

_SHOWN = dict.fromkeys((State.INCREMENTING, State.CAPTURING, State.VOIDING), "processing")
_REMEDY = {
    State.PROCESSING: "its outcome is not known yet; retrieve it until it is",
    State.INCREMENTING: "an increment is under way; retrieve it until that has ended",
    State.CAPTURING: "a capture is under way; retrieve it until that has ended",
    State.VOIDING: "a cancellation is under way; retrieve it until that has ended",
    State.SUCCEEDED: "refund it instead",
    State.CANCELED: "create a new one",
    State.REQUIRES_CAPTURE: "capture or cancel it",
    State.REQUIRES_ACTION: "the payer has to finish the authentication first, or cancel it",
    State.REQUIRES_PAYMENT_METHOD: "confirm it with a payment_method",
    State.REQUIRES_CONFIRMATION: "confirm it first",
}


def shown(state: str) -> str:
    """The status that a client sees: increment, capture and void under way are ``processing``."""
    return _SHOWN.get(State(state), state)


def after(state: str, change: Change) -> State:
    """The state that follows.

    Raises:
        ApiError: 400, the table does not hold this change; names the remedy.
    """
    here = State(state)
    found = TRANSITIONS.get((here, change))
    if found is None:
        raise ApiError.invalid(
            f"You cannot {change.value} this PaymentIntent because it has a status of "
            f"{shown(here)}: {_REMEDY[here]}.",
            code="payment_intent_unexpected_state",
        )
    return found


def allows(state: str, change: Change) -> bool:
    """Whether the table holds this change."""
    return (State(state), change) in TRANSITIONS
