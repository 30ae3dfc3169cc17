"""Volume splits, exact over time: smooth weighted round robin, as nginx has it
(https://github.com/nginx/nginx/commit/52327e0627f49dbda1e8db695e63a4b0af4448b1).

At each choice every gateway that can take the payment gains its part of it, and the one chosen pays
for the whole. So over any stretch in which the same gateways could, each has had its share to
within one payment or two. One that cannot gains nothing meanwhile: when it is back it is not
flooded. It is counted in payments, not in shares as there: what a gateway of a small share is ahead
by costs it one turn, also while the large ones are away.

Kept in the process: two processes of a node are each exact, and so their sum is. A payment that was
decided on and came to nothing has had its turn.
"""

from collections.abc import Mapping, Sequence

MOST_SPLITS = 10_000


class Shares:
    """Whose turn it is, for each split by its name."""

    def __init__(self) -> None:
        self._credits: dict[str, dict[str, float]] = {}

    def order(self, split: str, shares: Mapping[str, int], able: Sequence[str]) -> list[str]:
        """The gateways, whose turn it is first. Nothing is counted."""
        credits, whole = self._credits.get(split, {}), sum(shares[name] for name in able)

        def due(name: str) -> float:
            return credits.get(name, 0.0) + shares[name] / whole

        return sorted(able, key=lambda name: (-round(due(name), 9), name))

    def count(self, split: str, shares: Mapping[str, int], able: Sequence[str]) -> None:
        """Note that the first of ``order`` has had its turn."""
        first, whole = self.order(split, shares, able)[0], sum(shares[name] for name in able)
        if split not in self._credits and len(self._credits) >= MOST_SPLITS:
            self._credits.clear()
        credits = self._credits.setdefault(split, {})
        for name in able:
            credits[name] = credits.get(name, 0.0) + shares[name] / whole
        credits[first] -= 1
