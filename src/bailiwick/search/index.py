"""What is found: ids, newest first, from the table of entries.

Two looks. The first goes through the newest entries of the scope, so many that it takes a few
milliseconds whatever is asked: what is frequent (a status, a currency) fills a page from there.
What that leaves unfilled is seldom among the newest, and the second look takes the rest from the
index of terms, or of amounts. So neither depends on what the planner believes of a merchant's data.
"""

from typing import Any

import asyncpg

from bailiwick.base.ids import lowest_id
from bailiwick.search import numbers
from bailiwick.search.numbers import Spans
from bailiwick.search.terms import Scope, Wanted
from bailiwick.store.database import HIGHEST_ID, Store

NEWEST = 2_000
"""Entries that the first look goes through."""
COUNT_MAX = 10_000
"""Up to so many matches are counted, as documented for ``total_count``."""
_MS_MAX = 2**48 - 1
"""Of a time that an id can tell."""


async def find(
    store: Store, scope: Scope, wanted: Wanted, below: str | None, limit: int
) -> list[str]:
    """The ids of the newest matches below an id, at most ``limit``."""
    low, high = _ids(scope, wanted, below)
    border = await _border(store, scope, low, high)
    found = await _look(store, scope, wanted, (border or low, high), limit, walk=True)
    if border is not None and len(found) < limit:
        found += await _look(store, scope, wanted, (low, border), limit - len(found), walk=False)
    return found


async def count(store: Store, scope: Scope, wanted: Wanted) -> int:
    """How many matches there are; ``COUNT_MAX`` for more."""
    found = await _look(store, scope, wanted, _ids(scope, wanted, None), COUNT_MAX, walk=False)
    return len(found)


def _ids(scope: Scope, wanted: Wanted, below: str | None) -> tuple[str, str]:
    """Between which ids matches are, the first included: ids tell the time of creation."""
    low, high = f"{scope.kind}_", f"{scope.kind}_{HIGHEST_ID}"
    if wanted.every:
        first, last = numbers.ends(wanted.seconds)
        first_ms, next_ms = max(first, 0) * 1000, (last + 1) * 1000
        if first_ms > 0:
            low = lowest_id(scope.kind, first_ms) if first_ms <= _MS_MAX else high
        if next_ms <= _MS_MAX:
            high = lowest_id(scope.kind, max(next_ms, 0))
    return low, high if below is None else min(high, below)


async def _border(store: Store, scope: Scope, low: str, high: str) -> str | None:
    """The newest entry that the first look does not reach, plus all that is as new."""
    found = await store.list_rows(
        "search_border", scope.merchant, scope.kind, scope.livemode, high, low, NEWEST
    )
    return found[0]["id"] if found else None


async def _look(
    store: Store, scope: Scope, wanted: Wanted, ids: tuple[str, str], limit: int, *, walk: bool
) -> list[str]:
    low, high = ids
    where = (scope.merchant, scope.kind, scope.livemode, high, low)
    amounts, times = _ranges(wanted.amounts), _ranges(numbers.scaled(wanted.seconds, 1000))
    plain = (wanted.terms, wanted.lacking, amounts, times, limit)
    if wanted.every:
        name = "search_all_ids" if walk else _by(wanted)
        rows = await store.list_rows(name, *where, *plain, *numbers.ends(wanted.amounts))
    elif walk or wanted.lacking or amounts or times:
        rows = await store.list_rows("search_any_ids", *where, *plain)
    else:
        rows = await store.list_rows("search_any_terms", *where, wanted.terms, limit)
    return [row["id"] for row in rows]


def _by(wanted: Wanted) -> str:
    """The statement that finds all conditions by what leaves least: a term, a span of time, or of
    amounts."""
    if wanted.terms:
        return "search_all_terms"
    since = numbers.ends(wanted.seconds)[0]
    if since > 0 or wanted.amounts == numbers.ALL:
        return "search_all_ids"
    return "search_all_amounts"


def _ranges(spans: Spans) -> list[Any]:
    return [asyncpg.Range(low, high, upper_inc=True) for low, high in spans]
