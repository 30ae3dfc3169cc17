"""A bound on how fast one merchant may send requests. Pure: the clock is an argument."""

import msgspec


class _Bucket(msgspec.Struct):
    tokens: float
    at: float


class Rates:
    """Token buckets by merchant.

    Args:
        per_second: requests per second that go through in the long run; 0 for no bound.
        burst: how many may come at once.
    """

    def __init__(self, per_second: float, burst: float | None = None) -> None:
        self._rate = per_second
        self._burst = burst if burst is not None else max(1.0, per_second)
        self._buckets: dict[str, _Bucket] = {}

    def admit(self, merchant: str, now: float) -> bool:
        """Whether a request of this merchant may go on at ``now`` (seconds)."""
        if self._rate <= 0:
            return True
        bucket = self._buckets.get(merchant)
        if bucket is None:
            bucket = self._buckets[merchant] = _Bucket(self._burst, now)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._rate)
        bucket.at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True
