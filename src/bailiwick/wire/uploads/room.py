"""How many large bodies a process holds in memory at once, in all and of one merchant."""

import contextlib
from collections import Counter
from collections.abc import Iterator

from bailiwick.base.errors import ApiError

AT_ONCE = 8
OF_ONE = 3
"""So that one merchant's never keep all others out."""


class Room:
    """Counts them; who finds no room is told to come again."""

    def __init__(self, at_once: int = AT_ONCE, of_one: int = OF_ONE) -> None:
        self._at_once = at_once
        self._of_one = of_one
        self._held: Counter[str] = Counter()

    @contextlib.contextmanager
    def one(self, merchant: str) -> Iterator[None]:
        """Hold one more of a merchant. Raises ApiError (429)."""
        if self._held[merchant] >= self._of_one or self._held.total() >= self._at_once:
            error = ApiError.invalid(
                f"Too many files at once: at most {self._of_one} of one merchant, and "
                f"{self._at_once} in all. Retry in a moment.",
                code="rate_limit",
                status=429,
            )
            error.retry = True
            error.headers["retry-after"] = "1"
            raise error
        self._held[merchant] += 1
        try:
            yield
        finally:
            self._held[merchant] -= 1
            if not self._held[merchant]:
                del self._held[merchant]
