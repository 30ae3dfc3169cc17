"""The transition table of setups: every pair, and what a refused one says."""

import pytest

from bailiwick.base.errors import ApiError
from bailiwick.resources.setup_intents import states
from bailiwick.resources.setup_intents.states import TERMINAL, TRANSITIONS, Change, State

PAIRS = [(state, change) for state in State for change in Change]
ALWAYS = {Change.EDIT, Change.LATE}

# Written out by hand once more, so that a slip in the table does not pass for its own proof.
LEGAL = {
    "requires_payment_method": "dress>requires_confirmation undress>requires_payment_method "
    "confirm>processing cancel>canceled",
    "requires_confirmation": "dress>requires_confirmation undress>requires_payment_method "
    "confirm>processing cancel>canceled",
    "requires_action": "wait>processing set_up>succeeded declined>requires_payment_method "
    "void>canceling",
    "processing": "wait>processing act>requires_action set_up>succeeded "
    "declined>requires_payment_method",
    "canceling": "wait>canceling voided>canceled resume>processing",
    "succeeded": "",
    "canceled": "",
}


def legal() -> dict[tuple[str, str], str]:
    pairs = {
        (state, one.partition(">")[0]): one.partition(">")[2]
        for state, text in LEGAL.items()
        for one in text.split()
    }
    for state in State:
        for change in ALWAYS:
            pairs[state.value, change.value] = state.value
    return pairs


@pytest.mark.parametrize(("state", "change"), PAIRS, ids=str)
def test_every_pair(state: State, change: Change) -> None:
    expected = legal().get((state.value, change.value))
    assert states.allows(state.value, change) is (expected is not None)
    if expected is not None:
        assert states.after(state.value, change) == expected
        return
    with pytest.raises(ApiError) as refused:
        states.after(state.value, change)
    error = refused.value
    assert (error.status, error.code) == (400, "setup_intent_unexpected_state")
    before, _, remedy = error.message.partition(f"status of {states.shown(state)}: ")
    assert before and len(remedy) > 10, "a refusal names what to do instead"


def test_the_table_holds_nothing_else() -> None:
    table = {(state.value, change.value): to.value for (state, change), to in TRANSITIONS.items()}
    assert table == legal()


def test_every_state_is_reached_and_can_end() -> None:
    reached, front = set(), {State.REQUIRES_PAYMENT_METHOD}
    while front:
        reached |= front
        front = {to for (at, _), to in TRANSITIONS.items() if at in front} - reached
    assert reached == set(State)
    can_end = set(TERMINAL)
    while more := {at for (at, _), to in TRANSITIONS.items() if to in can_end} - can_end:
        can_end |= more
    assert can_end == set(State), "from every state some path ends"
    for (state, change), to in TRANSITIONS.items():
        if state in TERMINAL:
            assert to is state and change in ALWAYS


def test_every_change_is_used_and_every_state_is_shown() -> None:
    assert {change for _, change in TRANSITIONS} == set(Change)
    assert {states.shown(state) for state in State} == {state.value for state in State} - {
        "canceling"
    }
