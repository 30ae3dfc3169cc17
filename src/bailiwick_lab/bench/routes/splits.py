"""How exact volume splits are: 10,000 payments by each of several, with gateways that fail."""

import random

from bailiwick.routing.strategies.shares import Shares

PAYMENTS = 10_000
SPLITS: tuple[dict[str, int], ...] = (
    {"a": 50, "b": 50},
    {"a": 70, "b": 25, "c": 5},
    {"a": 997, "b": 2, "c": 1},
    {"a": 30, "b": 25, "c": 20, "d": 15, "e": 10},
)


def deviation(shares: dict[str, int]) -> float:
    """The largest difference, over 10,000 payments, between a gateway's part and its share."""
    turns, counts = Shares(), dict.fromkeys(shares, 0)
    names, whole = list(shares), sum(shares.values())
    for _ in range(PAYMENTS):
        counts[turns.order("split", shares, names)[0]] += 1
        turns.count("split", shares, names)
    return max(abs(counts[name] / PAYMENTS - share / whole) for name, share in shares.items())


def deviation_with_outages(shares: dict[str, int], seed: int) -> float:
    """The same while now and then one gateway is away for a while, of those payments that each was
    there for."""
    chance, turns = random.Random(f"splits|{seed}"), Shares()
    got = dict.fromkeys(shares, 0)
    due = dict.fromkeys(shares, 0.0)
    names, away, until = list(shares), "", 0
    for number in range(PAYMENTS):
        if number >= until and chance.random() < 0.002 and len(names) > 1:
            away, until = chance.choice(names), number + chance.randrange(50, 500)
        able = [name for name in names if name != away or number >= until]
        whole = sum(shares[name] for name in able)
        for name in able:
            due[name] += shares[name] / whole
        got[turns.order("split", shares, able)[0]] += 1
        turns.count("split", shares, able)
    return max(abs(got[name] - due[name]) / PAYMENTS for name in names)
