"""Small changes to a person's TOML file that leave the rest of it as it was written. Pure.

tomlkit changes a table and keeps its comments and layout. It is given one table at a time: of a
whole file it would move tables of one kind together. Every change is also made to the meaning of
the file: what comes out must parse to exactly what was wanted, else nothing is changed and the
person is asked to do it by hand.
"""

from __future__ import annotations

import contextlib
import re
import tomllib
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, Final

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Array

_LINES_ABOVE: Final = r"((?:[ \t\r]*(?:#.*)?\n)*)"
_HEADER: Final = re.compile(
    rf"(?m)^{_LINES_ABOVE}([ \t]*\[\[?[ \t]*[\w.\"' -]+[ \t]*\]\]?[ \t]*(?:#.*)?\r?$)"
)
_NODE: Final = re.compile(r"[ \t]*\[\[[ \t]*nodes[ \t]*\]\]")
_Fields = MutableMapping[str, Any]
_Change = Callable[[_Fields], None]


class EditError(Exception):
    """The text cannot be changed here; the message says what to do."""


def node_set(text: str, name: str, **fields: str) -> str:
    """A topology with fields of one node set. Raises EditError."""

    def change(top: _Fields) -> None:
        for node in top.get("nodes", []):
            if node.get("name") == name:
                _set(node, fields)

    return _held(
        lambda: _changed(text, change), text, change, f"nodes: {name}: {', '.join(fields)}"
    )


def node_removed(text: str, name: str) -> str:
    """A topology without a node, in its rules too. Raises EditError."""

    def change(top: _Fields) -> None:
        nodes = top.get("nodes", [])
        for node in [each for each in nodes if each.get("name") == name]:
            nodes.remove(node)
        for rule in top.get("rules", []):
            while name in rule.get("nodes", []):
                rule["nodes"].remove(name)

    return _held(
        lambda: _changed(text, change), text, change, f"nodes and rules: take '{name}' out"
    )


def node_added(
    text: str, node: Mapping[str, str | int], homes: Callable[[Sequence[str]], bool]
) -> str:
    """A topology with one more node, first in those rules whose places `homes` says yes to.

    Raises EditError.
    """
    name = str(node["name"])

    def change_rules(top: _Fields) -> None:
        for rule in top.get("rules", []):
            if homes(rule.get("places", [])) and name not in rule.get("nodes", []):
                _put_first(rule, name)

    def change(top: _Fields) -> None:
        top["nodes"].append(dict(node))
        change_rules(top)

    parts = _parts(text)
    nodes = [number for number, (_, table) in enumerate(parts) if _NODE.match(table)]
    if not nodes:
        raise EditError("write nodes as [[nodes]] tables; then repeat")
    end = nodes[-1] + 1
    before, after = _joined(parts[:end]).rstrip(), _joined(parts[end:])
    made = f"{before}\n\n{tomlkit.dumps({'nodes': [dict(node)]})}{after}"
    return _held(lambda: _changed(made, change_rules), text, change, f"nodes: add '{name}'")


def top_set(text: str, **fields: str) -> str:
    """A settings file with fields of its top table set. Raises EditError."""

    def change(top: _Fields) -> None:
        _set(top, fields)

    (_, top), *tables = _parts(text)
    return _held(
        lambda: _table_changed(top, change) + _joined(tables), text, change, ", ".join(fields)
    )


def _held(make: Callable[[], str], text: str, change: _Change, what: str) -> str:
    """What is made of a text, held against the change of its meaning. Raises EditError."""
    try:
        meant = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise EditError(f"is not valid TOML: {error}") from None
    change(meant)
    with contextlib.suppress(TOMLKitError, tomllib.TOMLDecodeError):
        made = make()
        if tomllib.loads(made) == meant:
            return made
    raise EditError(f"this is written in a way that is not changed here; by hand: {what}")


def _parts(text: str) -> list[tuple[str, str]]:
    """Each table, with the comments and blank lines above it; first what stands in no table."""
    top, *rest = _HEADER.split(text)
    tables = zip(rest[::3], rest[1::3], rest[2::3], strict=True)
    return [("", top), *((above, header + body) for above, header, body in tables)]


def _joined(parts: list[tuple[str, str]]) -> str:
    # The blank line that sets a table off goes with it, a comment does not.
    return "".join(above + table for above, table in parts if table or above.strip())


def _changed(text: str, change: _Change) -> str:
    return _joined([(above, _table_changed(table, change)) for above, table in _parts(text)])


def _table_changed(table: str, change: _Change) -> str:
    before, after = tomllib.loads(table), tomllib.loads(table)
    change(after)
    if before == after:
        return table
    document = tomlkit.parse(table)
    change(document)
    return "" if after.get("nodes") == [] else document.as_string()


def _set(table: _Fields, fields: Mapping[str, str]) -> None:
    for field, value in fields.items():
        if table.get(field) != value:
            table[field] = value


def _put_first(rule: _Fields, name: str) -> None:
    nodes = rule["nodes"]
    if isinstance(nodes, Array) and "\n" in nodes.as_string():
        nodes.insert(0, name)  # its lines may have comments
    else:
        rule["nodes"] = [name, *nodes]
