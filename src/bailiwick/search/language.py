"""Stripe's search query language, read exactly. Pure.

https://docs.stripe.com/search: a clause is a field, an operator and a value; clauses are joined by
AND (which a blank also means) or by OR, never by both; ``-`` negates one; texts stand in quotes,
numbers need none; ``null`` stands for a field that is not there. What a field can be asked is its
kind's business, and is refused here, with the place in the query.
"""

import re
from collections.abc import Mapping
from enum import Enum

import msgspec

from bailiwick.base.errors import ApiError

CLAUSES_MAX = 10
QUERY_CHARS_MAX = 5_000
NUMBER_MAX = 2**53
"""Numbers are amounts and times: larger ones are none."""
_BLANK = re.compile(r"\s*", re.ASCII)
_JOIN = re.compile(r"(and|or)(?=\s)", re.IGNORECASE | re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*", re.ASCII)
_OPERATOR = re.compile(r">=|<=|[:~<>]")
_QUOTED = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'", re.DOTALL)
_BARE = re.compile(r"(?:null\b|-?[0-9]+)(?![\w.])", re.IGNORECASE | re.ASCII)
_ESCAPED = re.compile(r"\\([\"'\\])")
_NUMBER = re.compile(r"-?[0-9]{1,16}", re.ASCII)
_HINT = (
    'Try using the format `metadata["key"]:"value"` to query for metadata or key:"value" to query '
    "for other fields."
)


class Kind(Enum):
    """What a field holds: a number, a word that is there or not, words by their keys."""

    NUMBER = "numeric"
    TOKEN = "token"
    TOKENS = "metadata"


Fields = Mapping[str, Kind]


class Clause(msgspec.Struct, frozen=True):
    """One condition.

    Attributes:
        key: of ``metadata``; None for other fields.
        operator: ``:``, ``>``, ``>=``, ``<`` or ``<=``.
        value: None for ``null``.
    """

    field: str
    key: str | None
    operator: str
    value: str | int | None
    negated: bool


class Query(msgspec.Struct, frozen=True):
    """Conditions, of which ``every`` one must hold, or else any."""

    clauses: tuple[Clause, ...]
    every: bool = True


def parse(text: str, fields: Fields, resource: str) -> Query:
    """Read a query. ``resource``: the name that errors give to what is searched.

    Raises:
        ApiError: 400, naming what is wrong and where: the first character is number 1.
    """
    return _Reader(text, fields, resource).query()


class _Reader:
    def __init__(self, text: str, fields: Fields, resource: str) -> None:
        self._text = text
        self._fields = fields
        self._resource = resource
        self._at = 0

    def query(self) -> Query:
        clauses: list[Clause] = []
        joins: set[str] = set()
        self._blank()
        if self._ended:
            raise self._wrong("it is empty")
        while True:
            start = self._at
            clauses.append(self._clause())
            if len(clauses) > CLAUSES_MAX:
                raise self._wrong(f"there are more than {CLAUSES_MAX} clauses", start)
            after = self._at
            self._blank()
            if self._ended:
                return Query(tuple(clauses), "or" not in joins)
            joins.add(self._join(after))
            if len(joins) > 1:
                raise self._wrong(
                    "AND and OR cannot be combined in one query (a blank means AND)", after
                )

    @property
    def _ended(self) -> bool:
        return self._at == len(self._text)

    def _blank(self) -> None:
        found = self._take(_BLANK)
        assert found is not None

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        return found[0]

    def _join(self, after: int) -> str:
        """How the clause that has ended at ``after`` is joined to the next one."""
        if self._at == after:
            raise self._wrong("a blank, AND or OR was expected")
        word = self._take(_JOIN)
        self._blank()
        if word is not None and self._ended:
            raise self._wrong("a clause was expected")
        return "and" if word is None else word.lower()

    def _clause(self) -> Clause:
        start = self._at
        negated = self._text.startswith("-", start)
        self._at += negated
        named = self._at
        field, key = self._field()
        kind = self._fields.get(field)
        if kind is None or (kind is Kind.TOKENS) != (key is not None):
            raise self._unsupported(field, named, kind)
        self._blank()
        placed = self._at
        operator = self._take(_OPERATOR)
        if operator is None:
            raise self._wrong("an operator was expected (one of : > >= < <=)")
        self._check(operator, field, kind, placed)
        self._blank()
        valued = self._at
        text = self._value()
        if text is None and operator != ":":
            raise self._wrong("null can only be compared by :", valued)
        number = kind is Kind.NUMBER and text is not None
        value = self._number(text or "", field, valued) if number else text
        return Clause(field, key, operator, value, negated)

    def _field(self) -> tuple[str, str | None]:
        name = self._take(_NAME)
        if name is None:
            if self._text.startswith(("(", ")"), self._at):
                raise self._wrong("there are no parentheses in this language")
            raise self._wrong("the name of a field was expected")
        if not self._text.startswith("[", self._at):
            return name, None
        self._at += 1
        key = self._quoted()
        if key is None:
            raise self._wrong("a key in quotes was expected")
        if not self._text.startswith("]", self._at):
            raise self._wrong("] was expected")
        self._at += 1
        return name, key

    def _quoted(self) -> str | None:
        found = _QUOTED.match(self._text, self._at)
        if found is None:
            if self._text.startswith(('"', "'"), self._at):
                raise self._wrong("this quote is never closed")
            return None
        self._at = found.end()
        inner = found[1] if found[1] is not None else found[2]
        return _ESCAPED.sub(r"\1", inner)

    def _value(self) -> str | None:
        quoted = self._quoted()
        if quoted is not None:
            return quoted
        bare = self._take(_BARE)
        if bare is None:
            raise self._wrong("a value was expected: a text in quotes, a whole number or null")
        return None if bare.lower() == "null" else bare

    def _number(self, value: str, field: str, at: int) -> int:
        if _NUMBER.fullmatch(value) is None or abs(int(value)) > NUMBER_MAX:
            raise self._wrong(f"`{field}` is compared with whole numbers up to {NUMBER_MAX}", at)
        return int(value)

    def _check(self, operator: str, field: str, kind: Kind, at: int) -> None:
        if operator == "~":
            raise self._wrong(f"`{field}` does not support substring matching (~)", at)
        if operator != ":" and kind is not Kind.NUMBER:
            raise self._wrong(f"`{field}` is no number: it does not support {operator}", at)

    def _unsupported(self, field: str, at: int, kind: Kind | None) -> ApiError:
        if kind is Kind.TOKENS:
            return self._wrong(f'`{field}` needs a key: {field}["key"]', at)
        able = ", ".join(
            f'{name}["key"]' if each is Kind.TOKENS else name for name, each in self._fields.items()
        )
        return ApiError.invalid(
            f"Field `{field[:100]}` is an unsupported search field for resource "
            f"`{self._resource}` (at character {at + 1}). You can search: {able}.",
            param="query",
        )

    def _wrong(self, what: str, at: int | None = None) -> ApiError:
        place = self._at if at is None else at
        return ApiError.invalid(
            f"We were unable to parse your search query: {what}, at character {place + 1}. {_HINT}",
            param="query",
        )
