"""The test clock that a customer is on: a record that it belongs to, made before it."""

from bailiwick.base.errors import ApiError
from bailiwick.idempotency.requests import IdempotentRequest
from bailiwick.records.records import Writing

ADVANCING = "advancing"
"""What a clock that advances is found by."""
CUSTOMERS_MOST = 100
"""On one clock."""


async def require(writing: Writing, asked: IdempotentRequest, clock: str) -> None:
    """Lock the clock of a customer that is to be made.

    Raises:
        ApiError: 400, it is live mode; there is no such clock at the customer's home; it advances
            just now; it has as many customers as it may.
    """
    if asked.livemode:
        raise _refused("Test clocks are for test mode: leave test_clock out.")
    row = await writing.lock(clock) if clock.startswith("clock_") else None
    theirs = row is not None and (row.merchant, row.livemode) == (asked.merchant.id, False)
    if row is None or not theirs or row.erased:
        raise _refused(
            f"No such test clock: '{clock[:64]}' at the home of this customer. A clock is kept at "
            "the node of its location: make it with the customer's.",
            "resource_missing",
        )
    if row.found_by == ADVANCING:
        raise _refused("This test clock is advancing: wait until its status is ready.")
    if await writing.count(clock) >= CUSTOMERS_MOST:
        raise _refused(f"A test clock has {CUSTOMERS_MOST} customers at most: make another one.")


def _refused(message: str, code: str = "parameter_invalid") -> ApiError:
    return ApiError.invalid(message, param="test_clock", code=code)
