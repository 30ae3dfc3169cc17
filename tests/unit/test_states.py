"""The transition table: every pair, what a refused one says, and the generated diagram."""

import pathlib
import subprocess
import sys

import pytest

from bailiwick.base.errors import ApiError
from bailiwick.resources.payments import states
from bailiwick.resources.payments.states import TERMINAL, TRANSITIONS, Change, State

ROOT = pathlib.Path(__file__).parents[2]
PAIRS = [(state, change) for state in State for change in Change]
ALWAYS = {Change.EDIT, Change.LATE}
MOVES_MONEY_BACK = {Change.REFUND, Change.REFUNDED, Change.DISPUTED, Change.WAIT}

# Written out by hand once more, so that a slip in the table does not pass for its own proof.
LEGAL = {
    "requires_payment_method": "dress>requires_confirmation undress>requires_payment_method "
    "confirm>processing cancel>canceled",
    "requires_confirmation": "dress>requires_confirmation undress>requires_payment_method "
    "confirm>processing cancel>canceled",
    "requires_action": "retry>processing wait>processing captured>succeeded "
    "authorized>requires_capture declined>requires_payment_method void>voiding "
    "forgo>voiding go_on>processing cancel>canceled",
    "processing": "retry>processing wait>processing act>requires_action captured>succeeded "
    "authorized>requires_capture declined>requires_payment_method forgo>voiding "
    "go_on>processing",
    "requires_capture": "increment>incrementing capture>capturing void>voiding "
    "wait>requires_capture "
    "refund>requires_capture refunded>requires_capture disputed>requires_capture",
    "incrementing": "wait>incrementing incremented>requires_capture refused>requires_capture "
    "expire>canceled",
    "capturing": "wait>capturing captured>succeeded refused>requires_capture expire>canceled "
    "partly_captured>requires_capture released>succeeded refunded>capturing disputed>capturing",
    "voiding": "wait>voiding voided>canceled refused>requires_capture resume>processing "
    "released>succeeded refunded>voiding disputed>voiding forgone>requires_payment_method",
    "succeeded": "wait>succeeded refund>succeeded refunded>succeeded disputed>succeeded",
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
    assert (error.status, error.code) == (400, "payment_intent_unexpected_state")
    assert f"status of {states.shown(state)}: " in error.message
    remedy = error.message.partition(f"status of {states.shown(state)}: ")[2]
    assert len(remedy) > 10, "a refusal names what to do instead"


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
    while True:
        more = {at for (at, _), to in TRANSITIONS.items() if to in can_end} - can_end
        if not more:
            break
        can_end |= more
    assert can_end == set(State), "from every state some path ends"


def test_no_way_leads_out_of_a_terminal_state() -> None:
    for (state, change), to in TRANSITIONS.items():
        if state in TERMINAL:
            assert to is state
            assert change in ALWAYS | MOVES_MONEY_BACK


def test_every_change_is_used_and_every_state_is_shown() -> None:
    assert {change for _, change in TRANSITIONS} == set(Change)
    documented = {
        "requires_payment_method", "requires_confirmation", "requires_action", "processing",
        "requires_capture", "canceled", "succeeded",
    }  # fmt: skip
    assert {states.shown(state) for state in State} == documented


def test_the_diagram_in_the_documentation_is_generated() -> None:
    done = subprocess.run(
        [sys.executable, "tools/diagram.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    page = (ROOT / "docs" / "states.md").read_text(encoding="utf-8")
    assert page == done.stdout, "run: python tools/diagram.py > docs/states.md"
    for state in State:
        assert state.value in page
