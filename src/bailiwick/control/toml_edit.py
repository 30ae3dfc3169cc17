"""Small changes to a person's TOML file that leave the rest of it as it was written. Pure.

Every change is held against the meaning of the file: what comes out must parse to exactly what
was wanted, else nothing is changed and the person is asked to do it by hand.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

_HEADER: Final = re.compile(r"(?m)^[ \t]*\[\[?[ \t]*[\w.\"' -]+[ \t]*\]\]?[ \t]*(?:#.*)?$")
_Table = dict[str, Any]


class EditError(Exception):
    """The text cannot be changed here; the message says what to do."""


def node_set(text: str, name: str, **fields: str) -> str:
    """A topology with fields of one node set. Raises EditError."""

    def wanted(top: _Table) -> None:
        for node in top.get("nodes", []):
            if node.get("name") == name:
                node.update(fields)

    def edit(part: str) -> str:
        table = _only(part, "nodes")
        if table is None or table.get("name") != name:
            return part
        for field, value in fields.items():
            part = _set(part, field, value, table)
        return part

    return _edited(text, edit, wanted, f"nodes: {name}: {', '.join(fields)}")


def node_removed(text: str, name: str) -> str:
    """A topology without a node, in its rules too. Raises EditError."""

    def wanted(top: _Table) -> None:
        top["nodes"] = [node for node in top.get("nodes", []) if node.get("name") != name]
        for rule in top.get("rules", []):
            rule["nodes"] = [each for each in rule.get("nodes", []) if each != name]

    def edit(part: str) -> str:
        table = _only(part, "nodes")
        if table is not None and table.get("name") == name:
            return ""
        rule = _only(part, "rules")
        if rule is None or name not in rule.get("nodes", []):
            return part
        return _set(part, "nodes", [each for each in rule["nodes"] if each != name], rule)

    return _edited(text, edit, wanted, f"nodes and rules: take '{name}' out")


def node_added(
    text: str, node: Mapping[str, str | int], homes: Callable[[Sequence[str]], bool]
) -> str:
    """A topology with one more node, first in those rules whose places `homes` says yes to.

    Raises EditError.
    """
    name = str(node["name"])

    def takes(rule: _Table) -> bool:
        return homes(rule.get("places", [])) and name not in rule.get("nodes", [])

    def wanted(top: _Table) -> None:
        top["nodes"] = [*top.get("nodes", []), dict(node)]
        for rule in top.get("rules", []):
            if takes(rule):
                rule["nodes"] = [name, *rule["nodes"]]

    def edit(part: str) -> str:
        rule = _only(part, "rules")
        if rule is None or not takes(rule):
            return part
        return _set(part, "nodes", [name, *rule["nodes"]], rule)

    lines = [f"{field} = {_value(value)}" for field, value in node.items()]
    table = "\n".join(["[[nodes]]", *lines, "", ""])
    parts = _parts(text)
    places = [number for number, part in enumerate(parts) if _only(part, "nodes") is not None]
    if not places:
        raise EditError("write nodes as [[nodes]] tables; then repeat")
    last = places[-1]
    parts[last] = parts[last].rstrip() + "\n\n"
    return _checked(
        "".join(map(edit, [*parts[: last + 1], table, *parts[last + 1 :]])),
        text,
        wanted,
        f"nodes: add '{name}'",
    )


def top_set(text: str, **fields: str) -> str:
    """A settings file with fields of its top table set. Raises EditError."""

    def wanted(top: _Table) -> None:
        top.update(fields)

    parts = _parts(text)
    head = parts[0]
    for field, value in fields.items():
        head = _set(head, field, value, tomllib.loads(text), header=False)
    return _checked("".join([head, *parts[1:]]), text, wanted, ", ".join(fields))


# --- text -------------------------------------------------------------------------------------


def _edited(
    text: str, edit: Callable[[str], str], wanted: Callable[[_Table], None], what: str
) -> str:
    return _checked("".join(map(edit, _parts(text))), text, wanted, what)


def _checked(made: str, text: str, wanted: Callable[[_Table], None], what: str) -> str:
    before = _load(text)
    meant = copy.deepcopy(before)
    wanted(meant)
    try:
        found = tomllib.loads(made)
    except tomllib.TOMLDecodeError:
        found = None
    if found != meant:
        raise EditError(f"this is written in a way that is not changed here; by hand: {what}")
    return made


def _load(text: str) -> _Table:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise EditError(f"is not valid TOML: {error}") from None


def _parts(text: str) -> list[str]:
    """The text before the first table, then each table from its header on."""
    starts = [found.start() for found in _HEADER.finditer(text)]
    ends = [*starts, len(text)]
    return [text[: ends[0]]] + [text[a:b] for a, b in zip(starts, ends[1:], strict=True)]


def _only(part: str, kind: str) -> _Table | None:
    """The one table of a part, if it is one of `[[kind]]`."""
    if not re.match(rf"[ \t]*\[\[[ \t]*{kind}[ \t]*\]\]", part):
        return None
    try:
        found = tomllib.loads(part)[kind]
    except (tomllib.TOMLDecodeError, KeyError):
        return None
    return found[0] if len(found) == 1 else None


def _set(part: str, field: str, value: object, table: _Table, *, header: bool = True) -> str:
    line = f"{field} = {_value(value)}"
    if field not in table:
        first, end, rest = part.partition("\n") if header else ("", "", part)
        return f"{first}\n{line}\n{rest}" if end else f"{line}\n{part}"
    if isinstance(value, list):
        pattern = rf"(?ms)^([ \t]*){field}[ \t]*=[ \t]*\[[^\]]*\]"
    else:
        pattern = rf"(?m)^([ \t]*){field}[ \t]*=[ \t]*(?:\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*')"
    return re.sub(pattern, lambda found: found[1] + line, part, count=1)


def _value(value: object) -> str:
    # JSON's strings, whole numbers and lists of them are also TOML's.
    return msgspec.json.encode(value).decode()
