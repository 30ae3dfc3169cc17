"""The first write of a request: nothing was sent yet, so a doubtful one is simply repeated."""

from collections.abc import Awaitable

from bailiwick.base.errors import ApiError
from bailiwick.store.lanes import BadRow, LaneFull, WriteInDoubt, Written


async def first_write(writing: Awaitable[Written]) -> Written:
    """A first write: when its fate is unknown, nothing is sent and the client retries.

    Should it turn out to have been committed, the permit is never used, and the resolver closes
    the attempt.

    Raises:
        ApiError: 503, its fate is unknown or there is no room; 500, the row is bad.
    """
    try:
        return await writing
    except (WriteInDoubt, LaneFull):
        raise ApiError.unavailable(
            "The payment could not be written. Retry with the same Idempotency-Key."
        ) from None
    except BadRow:
        raise ApiError.defect() from None
