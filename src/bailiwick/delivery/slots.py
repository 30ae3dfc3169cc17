"""Who may have a webhook under way: slots by endpoint and by merchant, shared out in turn. Pure.

Nothing that one merchant's endpoints do, silent ones included, may take the place of another's:

* an endpoint has at most ``ENDPOINT_MAX`` deliveries under way; one that fails has one, after a
  pause that doubles;
* a merchant has one for each of its endpoints and ``SECOND_BELOW`` to share, and never more than a
  share of what is free (dynamic thresholds: Choudhury and Hahne, IEEE/ACM Transactions on
  Networking 6(2), 1998). The last ``KEPT_FREE`` are for those who have nothing under way: so many
  merchants may have silent endpoints before another has to wait;
* free slots are given one by one, in turn, first to whoever has the fewest.
"""

from collections import deque
from collections.abc import Iterable

TOTAL = 512
ENDPOINT_MAX = 8
SECOND_BELOW = 16
"""An endpoint gets a second slot only while its merchant has fewer than this: the first of each is
never taken by the others of the same merchant. With 16 endpoints in each mode, 47 in all."""
KEPT_FREE = 256
"""The last slots, of which a merchant gets one only while it has none."""
FREE_SHARE = 4
"""Of those before them that are free, a merchant has at most a fourth, and one."""
FAILURES_MAX = 3
"""From this many failures in a row on, an endpoint is taken to be out of order."""
PAUSE_MIN_S = 1.0
PAUSE_MAX_S = 60.0


class Outlet:
    """One endpoint, as this process knows it.

    Attributes:
        running: deliveries under way.
        failures: tries in a row that failed.
        pauses: pauses since a try last succeeded.
        paused_at, resumes_at: the last pause, by the monotonic clock, in seconds.
        hungry: the last claim left something that may be due.
    """

    __slots__ = (
        "failures",
        "hungry",
        "merchant",
        "paused_at",
        "pauses",
        "resumes_at",
        "running",
    )

    def __init__(self, merchant: str) -> None:
        self.merchant = merchant
        self.running = 0
        self.failures = 0
        self.pauses = 0
        self.paused_at = 0.0
        self.resumes_at = 0.0
        self.hungry = False

    def room(self, now_s: float) -> int:
        """How many more deliveries may begin."""
        if now_s < self.resumes_at:
            return 0
        most = 1 if self.failures >= FAILURES_MAX else ENDPOINT_MAX
        return max(0, most - self.running)


class Slots:
    """All slots of this process."""

    def __init__(self) -> None:
        self._outlets: dict[str, Outlet] = {}
        self._of_merchant: dict[str, int] = {}
        self.running = 0

    def share_out(self, due: Iterable[tuple[str, str]], now_s: float, most: int) -> dict[str, int]:
        """How many deliveries of each endpoint to begin, ``most`` of them together.

        Args:
            due: endpoint and merchant of what is owed and due.
        """
        waiting: dict[str, deque[tuple[str, int]]] = {}
        for endpoint, merchant in due:
            outlet = self._outlets.get(endpoint)
            room = ENDPOINT_MAX if outlet is None else outlet.room(now_s)
            if room > 0:
                waiting.setdefault(merchant, deque()).append((endpoint, room))
        busy = {each: self._of_merchant.get(each, 0) for each in waiting}
        turns = deque(sorted(waiting, key=busy.__getitem__))
        given: dict[str, int] = {}
        count, most = 0, min(most, TOTAL - self.running)
        while turns and count < most:
            merchant = turns.popleft()
            if busy[merchant] > max(0, TOTAL - self.running - count - KEPT_FREE) // FREE_SHARE:
                continue  # what is free only shrinks: no later turn would do
            queue = waiting[merchant]
            endpoint, room = queue.popleft()
            first = given.get(endpoint, 0) + self._running(endpoint) == 0
            if first or busy[merchant] < SECOND_BELOW:
                given[endpoint] = given.get(endpoint, 0) + 1
                busy[merchant] += 1
                count += 1
                if room > 1:
                    queue.append((endpoint, room - 1))
            if queue:
                turns.append(merchant)
        return given

    def _running(self, endpoint: str) -> int:
        outlet = self._outlets.get(endpoint)
        return 0 if outlet is None else outlet.running

    def hungry(self) -> list[str]:
        """Endpoints to which more is owed than they had slots for."""
        return [each for each, outlet in self._outlets.items() if outlet.hungry]

    def claimed(self, endpoint: str, merchant: str, got: int, *, more: bool) -> None:
        """So many deliveries begin; ``more``: further ones may be due."""
        outlet = self._outlets.get(endpoint)
        if outlet is None:
            if got == 0 and not more:
                return
            outlet = self._outlets[endpoint] = Outlet(merchant)
        outlet.hungry = more
        outlet.running += got
        self.running += got
        self._of_merchant[merchant] = self._of_merchant.get(merchant, 0) + got

    def ended(self, endpoint: str, *, good: bool, began_s: float, now_s: float) -> bool:
        """A delivery has ended. True: the endpoint begins to be paused, which is worth a word."""
        outlet = self._outlets[endpoint]
        outlet.running -= 1
        self.running -= 1
        left = self._of_merchant[outlet.merchant] - 1
        if left:
            self._of_merchant[outlet.merchant] = left
        else:
            del self._of_merchant[outlet.merchant]
        first = False
        if good:
            outlet.failures = outlet.pauses = 0
            outlet.resumes_at = 0.0
            if outlet.running == 0 and not outlet.hungry:
                del self._outlets[endpoint]
        else:
            outlet.failures += 1
            # Those that began before the pause are the same failure.
            if outlet.failures >= FAILURES_MAX and began_s >= outlet.paused_at:
                first = outlet.pauses == 0
                pause = min(PAUSE_MIN_S * 2 ** min(outlet.pauses, 10), PAUSE_MAX_S)
                outlet.pauses += 1
                outlet.paused_at, outlet.resumes_at = now_s, now_s + pause
        return first

    def wants_more(self, endpoint: str, now_s: float) -> bool:
        """Whether it is worth to look at once for what an endpoint is owed further: there was more,
        and half of its slots are free, so that a look is shared by several."""
        outlet = self._outlets.get(endpoint)
        return (
            outlet is not None
            and outlet.hungry
            and outlet.running <= ENDPOINT_MAX // 2
            and outlet.room(now_s) > 0
        )

    def keep(self, known: Iterable[str]) -> None:
        """Forget endpoints that are no more."""
        kept = set(known)
        for endpoint in [each for each in self._outlets if each not in kept]:
            if self._outlets[endpoint].running == 0:
                del self._outlets[endpoint]

    def __len__(self) -> int:
        return len(self._outlets)
