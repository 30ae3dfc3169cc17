"""What the language of searches means, over objects as the API shows them: written from its
documentation, and of nothing that the product does with it."""

from typing import Any

from bailiwick.search.language import Clause, Query

COMPARE = {
    ":": lambda a, b: a == b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
}  # fmt: skip


def matches(query: Query, shown: dict[str, Any]) -> bool:
    """Whether an object is found."""
    each = [_holds(clause, shown) != clause.negated for clause in query.clauses]
    return all(each) if query.every else any(each)


def _holds(clause: Clause, shown: dict[str, Any]) -> bool:
    value = shown[clause.field]
    if clause.key is not None:
        value = value.get(clause.key)
    if clause.value is None or value is None:
        return clause.value is None and value is None
    if isinstance(value, bool):
        value = "true" if value else "false"
    if isinstance(value, int):
        return bool(COMPARE[clause.operator](value, clause.value))
    return small(value) == small(str(clause.value))


def small(text: str) -> str:
    return "".join(chr(ord(char) + 32) if "A" <= char <= "Z" else char for char in text)


def written(query: Query, join: str = " AND ", quote: str = '"') -> str:
    """A query as text."""
    return (join if query.every else " OR ").join(_clause(each, quote) for each in query.clauses)


def _clause(clause: Clause, quote: str) -> str:
    def quoted(text: str) -> str:
        return quote + text.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote

    field = clause.field if clause.key is None else f"{clause.field}[{quoted(clause.key)}]"
    if clause.value is None:
        value = "null"
    else:
        value = str(clause.value) if isinstance(clause.value, int) else quoted(clause.value)
    return f"{'-' * clause.negated}{field}{clause.operator}{value}"
