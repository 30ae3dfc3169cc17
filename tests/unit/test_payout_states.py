"""Every pair of a payout's state and change: legal as written here by hand, or refused."""

import pytest

from bailiwick.base.errors import ApiError
from bailiwick.resources.payouts import states
from bailiwick.resources.payouts.states import Change, State

# Written out by hand once more, so that a slip in the table does not pass for its own proof.
LEGAL = {
    "pending": "travel>in_transit arrive>paid fail>failed recall>pending cancel>canceled",
    "in_transit": "arrive>paid fail>failed cancel>canceled",
    "paid": "return>failed",
    "failed": "",
    "canceled": "",
}
EVERYWHERE = ("edit", "wait", "late", "kept")


@pytest.mark.parametrize("state", [each.value for each in State])
@pytest.mark.parametrize("change", [each.value for each in Change])
def test_every_pair(state: str, change: str) -> None:
    legal = dict(each.split(">") for each in LEGAL[state].split())
    legal |= dict.fromkeys(EVERYWHERE, state)
    assert states.allows(state, Change(change)) is (change in legal)
    if change in legal:
        assert states.after(state, Change(change)).value == legal[change]
        return
    with pytest.raises(ApiError, match=f"status of {state}") as refused:
        states.after(state, Change(change))
    assert refused.value.code == "payout_unexpected_state"


def test_what_is_given_back_stays_so() -> None:
    ends = {states.after(state, Change.WAIT) for state in states.GIVEN_BACK}
    assert ends == states.GIVEN_BACK
