"""The one transition table of a dispute: https://docs.stripe.com/disputes/how-disputes-work.

The provider decides, and tells: what it tells may skip states, where a callback was lost, but never
goes back from a chargeback to an inquiry, and nothing follows on a decision. An inquiry (the states
with ``warning_``) moves no money; one that is closed may still become a chargeback. Pure.
"""

from enum import StrEnum


class State(StrEnum):
    """How a dispute stands."""

    WARNING_NEEDS_RESPONSE = "warning_needs_response"
    WARNING_UNDER_REVIEW = "warning_under_review"
    WARNING_CLOSED = "warning_closed"
    NEEDS_RESPONSE = "needs_response"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"


_S = State
CHARGEBACK = frozenset({_S.NEEDS_RESPONSE, _S.UNDER_REVIEW, _S.WON, _S.LOST})
NEXT: dict[State, frozenset[State]] = {
    _S.WARNING_NEEDS_RESPONSE: CHARGEBACK | {_S.WARNING_UNDER_REVIEW, _S.WARNING_CLOSED},
    _S.WARNING_UNDER_REVIEW: CHARGEBACK | {_S.WARNING_NEEDS_RESPONSE, _S.WARNING_CLOSED},
    _S.WARNING_CLOSED: CHARGEBACK,
    _S.NEEDS_RESPONSE: frozenset({_S.UNDER_REVIEW, _S.WON, _S.LOST}),
    _S.UNDER_REVIEW: frozenset({_S.NEEDS_RESPONSE, _S.WON, _S.LOST}),
    _S.WON: frozenset(),
    _S.LOST: frozenset(),
}
ANSWERABLE = {
    _S.WARNING_NEEDS_RESPONSE: _S.WARNING_UNDER_REVIEW,
    _S.NEEDS_RESPONSE: _S.UNDER_REVIEW,
}
"""Where evidence may be submitted, and what follows when the provider has it."""
CONCEDED = {
    _S.WARNING_NEEDS_RESPONSE: _S.WARNING_CLOSED,
    _S.NEEDS_RESPONSE: _S.LOST,
}
"""Where a dispute may be closed by the merchant, and what it is then."""
CLOSED = frozenset({_S.WARNING_CLOSED, _S.WON, _S.LOST})


def allows(before: str, after: str) -> bool:
    """Whether a state may follow on another, or is the same."""
    return before == after or State(after) in NEXT[State(before)]
