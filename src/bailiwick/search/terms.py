"""From a query to what the table is asked: terms, and sets of numbers. Pure.

A term is 64 bits over whose object it is, the field and the value (or that there is one): an entry
of the table holds its object's terms. The database makes the same ones (``search_term`` in the
schema), so texts of clients are not stored a second time.
"""

import hashlib
import string

import msgspec

from bailiwick.search import numbers
from bailiwick.search.language import Clause, Query
from bailiwick.search.numbers import Spans

_SMALL = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
NUMBERS = ("amount", "created")
"""The fields of numbers, each with a column of its own."""


class Scope(msgspec.Struct, frozen=True):
    """Whose objects of which kind (the prefix of their ids) are searched."""

    kind: str
    merchant: str
    livemode: bool


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for in one scope.

    Attributes:
        every: all of these must hold, or else any of them.
        terms: that entries have (``every``: all of them; else any).
        lacking: that they have not (``every``: none of them; else not all of them).
        amounts, seconds: of creation; with ``every`` the entry's is in each set; else it is enough
            to be in one.
    """

    every: bool
    terms: list[int]
    lacking: list[int]
    amounts: Spans
    seconds: Spans


def folded(value: str) -> str:
    """As values are compared: ASCII letters alike, small or large."""
    return value.translate(_SMALL)


def term(scope: Scope, field: str, key: str | None, value: str | None) -> int:
    """The term of a field's value; None: that the field has one."""
    mode = "live" if scope.livemode else "test"
    named = key or ""
    said = "?" if value is None else "=" + folded(value)
    text = f"{scope.merchant}\n{mode}\n{scope.kind}\n{field}\n{len(named)}:{named}{said}"
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def wanted(query: Query, scope: Scope, always: frozenset[str] = frozenset()) -> Wanted:
    """What a query asks of the table; ``always``: fields that every object has."""
    terms: list[int] = []
    lacking: list[int] = []
    start = numbers.ALL if query.every else numbers.NONE
    join = numbers.both if query.every else numbers.either
    sets = dict.fromkeys(NUMBERS, start)
    for clause in query.clauses:
        if clause.field in sets:
            sets[clause.field] = join(sets[clause.field], _numbers(clause))
            continue
        value = clause.value
        if value is None and clause.field in always:
            sets["amount"] = join(sets["amount"], _numbers(clause))
            continue
        found = term(scope, clause.field, clause.key, None if value is None else str(value))
        # null is that there is no value: the other way round.
        (lacking if clause.negated != (value is None) else terms).append(found)
    return Wanted(
        every=query.every,
        terms=terms,
        lacking=lacking,
        amounts=sets["amount"],
        seconds=sets["created"],
    )


def _numbers(clause: Clause) -> Spans:
    if clause.value is None:  # every object has one
        return numbers.ALL if clause.negated else numbers.NONE
    found = numbers.compared(clause.operator, int(clause.value))
    return numbers.beside(found) if clause.negated else found
