"""When an idempotency key was made, where the key itself tells. Pure."""

import re
from typing import Literal

from bailiwick.base.ids import is_id, new_id, time_of

CLOCK_SKEW_MS = 30_000
"""How far the clock of whoever makes keys may be from ours."""

_UUID7 = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?7[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}")


def fresh_key(now_ms: int) -> str:
    """A key for a request that came without one: it can never come again."""
    return new_id("auto", 0, now_ms)


def is_fresh(key: str) -> bool:
    """Whether a key was made here for one request, so that nobody else can know it.

    A client's own key never looks so: access refuses it.
    """
    return is_id(key, "auto")


def uuid7_ms(key: str) -> int | None:
    """Unix time in milliseconds of a UUID of version 7 (RFC 9562), else None."""
    text = key.lower()
    if _UUID7.fullmatch(text) is None:
        return None
    return int(text.replace("-", "")[:12], 16)


def born_ms(key: str, key_time: Literal["unknown", "uuid7"], now_ms: int) -> int | None:
    """When a key was made; None where that is not known, or said to be in the future."""
    if is_fresh(key):
        return time_of(key)
    made = uuid7_ms(key) if key_time == "uuid7" else None
    return made if made is not None and made <= now_ms + CLOCK_SKEW_MS else None
