"""Double entry: each movement balances and names its accounts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.node import ledger
from bailiwick.store.rows import Leg

MOVEMENTS = [ledger.captured, ledger.refunded, ledger.refund_returned, ledger.unexpected]


@given(st.sampled_from(MOVEMENTS), st.integers(1, 10**13))
def test_legs_sum_to_zero(movement, amount: int) -> None:  # type: ignore[no-untyped-def]
    legs = movement("bank", "acct_1", amount)
    assert sum(leg.amount for leg in legs) == 0
    assert [leg.leg for leg in legs] == [1, 2]
    assert {abs(leg.amount) for leg in legs} == {amount}


@pytest.mark.parametrize("movement", MOVEMENTS)
@pytest.mark.parametrize("amount", [0, -1])
def test_nothing_moves_nothing(movement, amount: int) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="positive"):
        movement("bank", "acct_1", amount)


def test_who_owes_whom() -> None:
    taken = [Leg(1, "receivable:bank", 5), Leg(2, "merchant:acct_1", -5)]
    assert ledger.captured("bank", "acct_1", 5) == taken
    assert ledger.refund_returned("bank", "acct_1", 5) == taken
    given_back = [Leg(1, "merchant:acct_1", 5), Leg(2, "receivable:bank", -5)]
    assert ledger.refunded("bank", "acct_1", 5) == given_back
    assert ledger.unexpected("bank", "acct_1", 5)[1] == Leg(2, "unexpected:acct_1", -5)
