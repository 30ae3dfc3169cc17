"""Bounds on how fast requests may come. Pure: the clock is an argument.

Secret and publishable keys, live and test mode spend separate tokens: what payers or tests send
never uses up what the merchant's server may. Of publishable keys each client address has a bound
of its own, so that one payer cannot use up what all of them may. A key can have a bound of its own
too, in ``merchants.toml``.

The processes of a region tell each other what was spent (``access.peers.gossip``), so that the
bounds of merchants and keys hold for all of them together. Client addresses are told to nobody.
"""

from collections import OrderedDict
from collections.abc import Hashable
from math import ceil

import msgspec

from bailiwick.topology.merchants import MOST_RATE, Principal
from bailiwick.wire.peers import network

ADDRESSES_MAX = 32_768
"""Client addresses remembered. Who is forgotten, because so many others came since, begins anew;
then the bound of all payers is what holds."""

_MERCHANTS_MAX = 200_000
UNTOLD_MAX = 16_384
"""Buckets of which peers are still to be told; of more than these they hear nothing."""

Spent = tuple[str, int, float]
"""A bucket's name, how many requests it let through, and its rate where it is not that of all."""


class Bucket(msgspec.Struct):
    """Tokens left, as of a moment; what fills it again and how much it holds."""

    tokens: float
    at: float
    rate: float
    burst: float

    def wait_s(self) -> int:
        """Whole seconds until there is a token; at least one."""
        return max(1, ceil((1 - self.tokens) / self.rate))

    def full_s(self) -> int:
        """Whole seconds until it is full."""
        return ceil((self.burst - self.tokens) / self.rate)


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
        self._burst = burst
        self._buckets: OrderedDict[Hashable, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def look(self, who: Hashable, now: float, rate: float = 0.0) -> Bucket | None:
        """Somebody's bucket at ``now`` (seconds), to take from; None where there is no bound.

        ``rate``: theirs, where it is not that of all.
        """
        rate = rate or self._rate
        if rate <= 0:
            return None
        burst = self._burst if self._burst is not None else max(1.0, rate)
        bucket = self._buckets.get(who)
        if bucket is None:
            bucket = self._buckets[who] = Bucket(burst, now, rate, burst)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
            return bucket
        self._buckets.move_to_end(who)
        bucket.rate, bucket.burst = rate, burst
        bucket.tokens = min(burst, bucket.tokens + (now - bucket.at) * rate)
        bucket.at = now
        return bucket

    def admit(self, who: Hashable, now: float) -> bool:
        """Whether a request may go on at ``now`` (seconds); then a token is spent."""
        bucket = self.look(who, now)
        if bucket is None:
            return True
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def learn(self, who: Hashable, spent: int, rate: float, now: float) -> None:
        """Peers have let ``spent`` requests through; ``rate``: see ``look``. Of those more than
        there were tokens for, at most a burst counts: nobody is shut out for long because news
        came late."""
        bucket = self.look(who, now, rate)
        if bucket is not None:
            bucket.tokens = max(-bucket.burst, bucket.tokens - spent)


class Counted(msgspec.Struct, frozen=True):
    """What became of a request at its bounds.

    Attributes:
        name: of the bound that refused it; "": it goes on.
        wait_s: seconds until one like it may go on.
        policy, left: values of the fields ``RateLimit-Policy`` and ``RateLimit``; "" where there is
            no bound (https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/).
    """

    name: str = ""
    wait_s: int = 0
    policy: str = ""
    left: str = ""


UNBOUND = Counted()


class Rates:
    """The bounds of one process.

    Args:
        per_second: for one merchant's secret keys of one mode, and as much again for its
            publishable keys; 0 for no bound.
        public_per_second: of the latter, for one client address; 0 for no bound.

    Attributes:
        spent: what peers are to be told: see ``Spent``.
    """

    def __init__(
        self, per_second: float, public_per_second: float = 0.0, *, addresses: int = ADDRESSES_MAX
    ) -> None:
        self._shared = Buckets(per_second, _MERCHANTS_MAX)
        self._address = Buckets(public_per_second, addresses)
        self._by_address = public_per_second > 0
        self._bounded = per_second > 0
        self.spent: dict[str, tuple[int, float]] = {}

    def count(self, who: Principal, host: str, now: float) -> Counted:
        """Let a request through or not at ``now`` (seconds); ``host``: the client's address."""
        # The address first: what it is refused takes nothing from the other payers.
        if who.kind != "secret" and self._by_address:
            scope = (who.merchant.id, who.livemode, network(host))
            if not self._address.admit(scope, now):
                bucket = self._address.look(scope, now)
                return Counted("payer", bucket.wait_s() if bucket is not None else 1)
        if not self._bounded and not who.rate_per_second:
            return UNBOUND
        bounds = self.bounds(who, now)
        refused = next((name for name, _, it in bounds if it.tokens < 1), "")
        if not refused:
            for name, key, bucket in bounds:
                bucket.tokens -= 1
                self._tell(key, float(who.rate_per_second) if name == "key" else 0.0)
        wait = max((it.wait_s() for name, _, it in bounds if it.tokens < 1), default=0)
        policy = ", ".join(
            f'"{name}";q={int(it.burst)};w={ceil(it.burst / it.rate)}' for name, _, it in bounds
        )
        left = ", ".join(
            f'"{name}";r={max(0, int(it.tokens))};t={it.full_s()}' for name, _, it in bounds
        )
        return Counted(refused, wait if refused else 0, policy, left)

    def _tell(self, key: str, rate: float) -> None:
        if key in self.spent or len(self.spent) < UNTOLD_MAX:
            self.spent[key] = (self.spent.get(key, (0, rate))[0] + 1, rate)

    def bounds(self, who: Principal, now: float) -> list[tuple[str, str, Bucket]]:
        """Each bound that a request is counted at: its name, its bucket's, the bucket."""
        found = []
        mode = "live" if who.livemode else "test"
        merchant = f"{who.merchant.id} {mode} {who.kind}"
        bucket = self._shared.look(merchant, now)
        if bucket is not None:
            found.append(("merchant", merchant, bucket))
        if who.rate_per_second:
            key = f"key {who.mark}"
            of_key = self._shared.look(key, now, who.rate_per_second)
            if of_key is not None:
                found.append(("key", key, of_key))
        return found

    def learn(self, spent: list[Spent], now: float) -> None:
        """What peers have let through."""
        for name, count, rate in spent:
            if count > 0 and 0 <= rate <= MOST_RATE:
                self._shared.learn(name, count, rate, now)
