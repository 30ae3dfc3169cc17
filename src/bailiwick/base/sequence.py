"""Numbers that are never given twice, without anything that is stored."""


class Sequence:
    """Rising numbers out of a clock: milliseconds, or one more than the last where several are
    wanted within one. A process that begins anew goes on where the clock is, which is ahead of all
    that was given before, unless there were more than 1,000 a second.
    """

    def __init__(self) -> None:
        self._last = 0

    def next(self, now_ms: int) -> int:
        """The next number; ``now_ms``: Unix time in milliseconds."""
        self._last = max(self._last + 1, now_ms)
        return self._last
