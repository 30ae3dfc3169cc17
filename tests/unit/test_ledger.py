"""Double entry: each movement balances and names its accounts."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.ledger import postings as ledger
from bailiwick.ledger.movements import MOVEMENTS as TABLE
from bailiwick.ledger.movements import seen
from bailiwick.ledger.postings import Posting

PAGE = Path(__file__).parents[2] / "docs" / "path.md"
OWNERS = {
    "receivable": "<gateway>",
    "transit": "<gateway>",
    "merchant": "<id>",
    "unexpected": "<merchant>",
}

MOVEMENTS = [
    ledger.captured,
    ledger.refunded,
    ledger.refund_returned,
    ledger.unexpected,
    ledger.dispute_withdrawn,
    ledger.dispute_reinstated,
    ledger.payout_made,
    ledger.payout_paid,
    ledger.payout_failed,
    ledger.payout_canceled,
    ledger.payout_returned,
    ledger.payout_late,
]


@given(st.sampled_from(MOVEMENTS), st.integers(1, 10**13))
def test_a_movement_has_two_sides(movement, amount: int) -> None:  # type: ignore[no-untyped-def]
    (posting,) = movement("bank", "acct_1", amount)
    assert posting.amount == amount and posting.debit != posting.credit


@pytest.mark.parametrize("movement", MOVEMENTS)
@pytest.mark.parametrize("amount", [0, -1])
def test_nothing_moves_nothing(movement, amount: int) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="positive"):
        movement("bank", "acct_1", amount)


def test_who_owes_whom() -> None:
    taken = [Posting("receivable:bank", "merchant:acct_1", 5)]
    assert ledger.captured("bank", "acct_1", 5) == taken
    assert ledger.refund_returned("bank", "acct_1", 5) == taken
    given_back = [Posting("merchant:acct_1", "receivable:bank", 5)]
    assert ledger.refunded("bank", "acct_1", 5) == given_back
    assert ledger.unexpected("bank", "acct_1", 5)[0].credit == "unexpected:acct_1"


def test_the_page_has_the_same_table() -> None:
    part = PAGE.read_text().partition("| Movement | Debit | Credit |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| ([^|`]+) \| `(.+)` \| `(.+)` \| (.+) \|$", part, re.MULTILINE)
    assert rows == [
        (
            each.when,
            f"{each.debit}:{OWNERS[each.debit]}",
            f"{each.credit}:{OWNERS[each.credit]}",
            f"`{each.type}`" if each.type else "none",
        )
        for each in TABLE.values()
    ]


def test_a_posting_tells_its_movement() -> None:
    for each in TABLE.values():
        if each.type is not None and not each.fee:
            assert seen(each.about, each.sign > 0).type == each.type
    with pytest.raises(KeyError):
        seen("customer", True)
