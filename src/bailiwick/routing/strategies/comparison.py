"""Rules compared by what came of their payments: shares of successes, and whether they differ by
more than chance explains. Pure.

The two-proportion z-test with pooled variance, and Wilson's interval (JASA 1927): good enough from
some tens of payments on, and said to be nothing below.
"""

import itertools
import math
from collections.abc import Mapping
from typing import Any

COMPARED_MAX = 5
LEAST = 30
_Z95 = 1.959964


def compared(tally: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    """Of each rule, the successes of how many payments; the share and its interval of 95 %, and of
    pairs of those with most payments, the difference and its p-value."""
    most = sorted(tally, key=lambda name: -tally[name][1])[:COMPARED_MAX]
    enough = sorted(name for name in most if tally[name][1] >= LEAST)
    return {
        "rules": {name: _share(*tally[name]) for name in sorted(tally)},
        "pairs": [
            {
                "rules": [one, other],
                "difference": round(_rate(tally[one]) - _rate(tally[other]), 4),
                "p": round(p_value(tally[one], tally[other]), 4),
            }
            for one, other in itertools.combinations(enough, 2)
        ],
    }


def p_value(one: tuple[int, int], other: tuple[int, int]) -> float:
    """How likely two such shares differ so much by chance alone; each: successes, payments."""
    pooled = (one[0] + other[0]) / (one[1] + other[1])
    variance = pooled * (1 - pooled) * (1 / one[1] + 1 / other[1])
    if not variance:
        return 1.0
    return math.erfc(abs(_rate(one) - _rate(other)) / math.sqrt(2 * variance))


def _share(good: int, count: int) -> dict[str, Any]:
    rate, square = good / count, _Z95 * _Z95
    middle = (rate + square / (2 * count)) / (1 + square / count)
    half = _Z95 * math.sqrt(rate * (1 - rate) / count + square / (4 * count * count))
    half /= 1 + square / count
    return {
        "payments": count,
        "success": round(rate, 4),
        "from": round(middle - half, 4),
        "to": round(middle + half, 4),
    }


def _rate(of: tuple[int, int]) -> float:
    return of[0] / of[1]
