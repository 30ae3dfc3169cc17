"""Long campaigns: a run of all tests takes a part of each, another one every day, so that all are
run within days; ``make campaign`` takes them whole."""

import os
import time
from collections.abc import Sequence
from typing import TypeVar

WHOLE = os.environ.get("BAILIWICK_CAMPAIGN", "") == "whole"
_DAY_S = 86_400
DAY = int(os.environ.setdefault("BAILIWICK_CAMPAIGN_DAY", str(int(time.time()) // _DAY_S)))
"""The same for all processes of a run, also over midnight: the first one says it to the others."""

T = TypeVar("T")


def part(cases: Sequence[T], of: int) -> list[T]:
    """One of ``of`` parts of a campaign, all as large as each other; or all of it."""
    if WHOLE:
        return list(cases)
    return list(cases[DAY % of :: of])
