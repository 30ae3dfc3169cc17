"""A bound on how fast requests of one merchant may come. Pure: the clock is an argument.

Secret and publishable keys, live and test mode spend separate tokens: what payers or tests send
never uses up what the merchant's server may. Of publishable keys each client address has a bound
of its own, so that one payer cannot use up what all of them may.
"""

from collections import OrderedDict
from collections.abc import Hashable

import msgspec

from bailiwick.topology.merchants import Principal
from bailiwick.wire.peers import network

ADDRESSES_MAX = 32_768
"""Client addresses remembered. Who is forgotten, because so many others came since, begins anew;
then the bound of all payers is what holds."""

_MERCHANTS_MAX = 200_000


class _Bucket(msgspec.Struct):
    tokens: float
    at: float


class Buckets:
    """Token buckets by whatever names who sends, the least recently used forgotten.

    Args:
        per_second: requests per second that go through in the long run; 0 for no bound.
        most: how many are remembered.
        burst: how many requests may come at once.
    """

    def __init__(self, per_second: float, most: int, burst: float | None = None) -> None:
        self._rate = per_second
        self._most = most
        self._burst = burst if burst is not None else max(1.0, per_second)
        self._buckets: OrderedDict[Hashable, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def admit(self, who: Hashable, now: float) -> bool:
        """Whether a request may go on at ``now`` (seconds)."""
        if self._rate <= 0:
            return True
        bucket = self._buckets.get(who)
        if bucket is None:
            bucket = self._buckets[who] = _Bucket(self._burst, now)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(who)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._rate)
        bucket.at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


class Rates:
    """The bounds of one process.

    Args:
        per_second: for one merchant's secret keys of one mode, and as much again for its
            publishable keys; 0 for no bound.
        public_per_second: of the latter, for one client address; 0 for no bound.
    """

    def __init__(
        self, per_second: float, public_per_second: float = 0.0, *, addresses: int = ADDRESSES_MAX
    ) -> None:
        self._secret = Buckets(per_second, _MERCHANTS_MAX)
        self._public = Buckets(per_second, _MERCHANTS_MAX)
        self._address = Buckets(public_per_second, addresses)
        self._by_address = public_per_second > 0

    def admit(self, who: Principal, host: str, now: float) -> bool:
        """Whether a request may go on at ``now`` (seconds); ``host``: the client's address."""
        scope = (who.merchant.id, who.livemode)
        if who.kind == "secret":
            return self._secret.admit(scope, now)
        # The address first: what it is refused takes nothing from the other payers.
        if self._by_address and not self._address.admit((*scope, network(host)), now):
            return False
        return self._public.admit(scope, now)
