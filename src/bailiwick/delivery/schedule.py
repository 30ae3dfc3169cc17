"""When a delivery is tried again, and when it is given up. Pure.

Gaps grow from about one second to four hours, and go on for at least three days, as Stripe's do
(https://docs.stripe.com/webhooks#automatic-retries). Each is spread over half of its length, so
that what failed together does not come back together.
"""

from itertools import accumulate

BASE_MS = 1_000
BACKOFF_MAX_MS = 4 * 3_600_000
SPREAD = 0.5
"""A gap lies within so much of its length, half of it to each side."""
TRIES_MIN = 40
"""The least number of tries before a delivery is given up."""
SPAN_MIN_MS = 75 * 3_600_000
"""The least time between the first try and the last, whatever becomes of the tries between: those
of a process that dies come sooner than planned, and use up tries without using up time."""


def backoff_ms(tries: int, share: float) -> int:
    """How long to wait after the ``tries``-th try, in milliseconds: doubled each time, bounded, and
    spread by ``share`` (0 to 1)."""
    full = min(BASE_MS * 2 ** min(tries, 20), BACKOFF_MAX_MS)
    return int(full * (1 - SPREAD / 2 + share * SPREAD))


def again_ms(tries: int, age_ms: int, share: float) -> int | None:
    """How long to wait after a failed try; None: it was the last.

    Args:
        tries: of this sending so far, this one included.
        age_ms: since the first of them began.
        share: a random number from 0 to 1.
    """
    if tries >= TRIES_MIN and age_ms >= SPAN_MIN_MS:
        return None
    return backoff_ms(tries, share)


def shortest_ms() -> list[int]:
    """When each try begins at the earliest if all fail at once: milliseconds after the first."""
    gaps = [backoff_ms(tries, 0.0) for tries in range(1, TRIES_MIN)]
    return list(accumulate(gaps, initial=0))
