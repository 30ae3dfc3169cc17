"""Filling and asking the table of entries: over whole nodes, and against the language's meaning."""

import json
import random
from typing import Any

import asyncpg

from bailiwick.search.declared import Searchable
from bailiwick.search.language import Clause, Fields, Kind, Query, parse
from bailiwick.search.terms import Scope, term
from tests.postgres.lists_kit import One, Site
from tests.search_oracle import matches, written


async def filled(*nodes: One) -> None:
    """Have all that was written searchable."""
    for each in nodes:
        filler = each.node.filler
        while True:
            await filler.step()
            if not filler.behind:
                break


async def search(it: Site, path: str, query: str, **more: Any) -> list[dict[str, Any]]:
    """All that is found, page by page, as the stock SDKs do."""
    seen: list[dict[str, Any]] = []
    at = more.pop("at", None)
    while True:
        status, page = await it.ask("GET", path, {"query": query, **more}, at=at)
        assert status == 200, page
        assert page["object"] == "search_result" and page["url"] == path
        assert page["has_more"] == (page["next_page"] is not None)
        seen += page["data"]
        ids = [each["id"] for each in seen]
        assert ids == sorted(set(ids), reverse=True)
        if not page["has_more"]:
            return seen
        assert page["data"], "an empty page"
        more["page"] = page["next_page"]


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [each["id"] for each in found]


class Asker:
    """Makes queries of which some find something of these objects."""

    def __init__(self, fields: Fields, objects: list[dict[str, Any]], seed: int) -> None:
        self._fields = fields
        self._objects = objects
        self._chance = random.Random(seed)

    def query(self) -> Query:
        count = self._chance.choice([1, 1, 2, 2, 3, 5])
        clauses = tuple(self._clause() for _ in range(count))
        return Query(clauses, count == 1 or self._chance.random() < 0.6)

    def _clause(self) -> Clause:
        chance = self._chance
        field = chance.choice(list(self._fields))
        it = chance.choice(self._objects)
        negated = chance.random() < 0.3
        kind = self._fields[field]
        if kind is Kind.NUMBER:
            operator = chance.choice([":", ">", ">=", "<", "<="])
            return Clause(field, None, operator, it[field] + chance.choice([0, 0, -1, 1]), negated)
        value, key = it[field], None
        if kind is Kind.TOKENS:
            key = chance.choice([*value, "none"])
            value = value.get(key)
        if isinstance(value, bool):
            value = "true" if value else "false"
        said = None if value is None or chance.random() < 0.15 else value.swapcase()
        return Clause(field, key, ":", said, negated)


def expected(query: Query, objects: list[dict[str, Any]]) -> list[str]:
    """The ids of what a query means, newest first."""
    return sorted((it["id"] for it in objects if matches(query, it)), reverse=True)


def text(query: Query, fields: Fields) -> str:
    """A query as text, which says the same."""
    found = written(query)
    assert parse(found, fields, "x") == query
    return found


async def entries(sql: asyncpg.Connection, kind: str) -> dict[str, tuple[int, int, set[int]]]:
    rows = await sql.fetch(
        "SELECT id, amount::bigint, created_ms, terms FROM search_entry WHERE kind = $1", kind
    )
    return {row[0]: (row[1], row[2] // 1000, set(row[3])) for row in rows}


def entry(scope: Scope, of: Searchable, shown: dict[str, Any]) -> tuple[int, int, set[int]]:
    """The entry of an object as the API shows it."""
    terms = set()
    for field, kind in of.fields.items():
        if kind is Kind.NUMBER:
            continue
        held = shown[field] if kind is Kind.TOKENS else {None: shown[field]}
        for key, value in held.items():
            if value is not None:
                said = value if isinstance(value, str) else json.dumps(value)
                terms.add(term(scope, field, key, said))
                if field not in of.always:
                    terms.add(term(scope, field, key, None))
    return shown.get("amount", 0), shown["created"], terms
