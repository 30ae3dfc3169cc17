"""How many charges may be tried again at another gateway: a share of those tried at a first.

Where most first tries fail, second ones only double the load of whoever still works. Pure.
"""

RESERVE = 100.0
"""Retries that a quiet node has in hand, and the most that can be saved up."""


class RetryBudget:
    """A bucket that first tries fill and retries empty.

    Args:
        share: of first tries that may be retried on the long run.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._left = RESERVE
        self.spent = 0
        self.refused = 0

    def first(self) -> None:
        """A charge is tried for the first time."""
        self._left = min(self._left + self._share, RESERVE)

    def take(self) -> bool:
        """Whether one may be tried again; then it is counted."""
        if self._left < 1.0:
            self.refused += 1
            return False
        self._left -= 1.0
        self.spent += 1
        return True
