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
_MERCHANT: Final = re.compile(r"[ \t]*\[\[[ \t]*merchants[ \t]*\]\]")
_OF_MERCHANT: Final = re.compile(r"[ \t]*\[\[?[ \t]*merchants[ \t]*\.")
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


def key_added(text: str, merchant: str, key: Mapping[str, Any]) -> str:
    """Merchants with one more API key of one of them, after its others. Raises EditError."""

    def change(top: _Fields) -> None:
        for each in top["merchants"]:
            if each["id"] == merchant:
                each.setdefault("keys", []).append(dict(key))

    def make() -> str:
        parts = _parts(text)
        end = _after_merchant(parts, merchant)
        before, after = _joined(parts[:end]).rstrip(), _joined(parts[end:])
        lines = [f"{name} = {_inline(value)}" for name, value in key.items()]
        return "\n".join(
            [before, "", "[[merchants.keys]]", *lines, "", *([after] if after else [])]
        )

    return _held(make, text, change, f"merchants: {merchant}: add the key to its keys")


def key_set(text: str, sha256: str, **fields: Any) -> str:
    """Merchants with fields of one API key set. Raises EditError."""

    def change(top: _Fields) -> None:
        for key in _keys_of(top):
            if key.get("sha256") == sha256:
                _set(key, fields)

    what = f"merchants: the key with sha256 {sha256[:12]}: {', '.join(fields)}"
    return _held(lambda: _changed(text, change), text, change, what)


def key_removed(text: str, sha256: str) -> str:
    """Merchants without one API key. Raises EditError."""

    def change(top: _Fields) -> None:
        for merchant in top["merchants"]:
            keys = merchant.get("keys", [])
            kept = [key for key in keys if key.get("sha256") != sha256]
            if len(kept) < len(keys):
                merchant["keys"] = kept
                if not kept:
                    del merchant["keys"]

    def make() -> str:
        parts = _parts(text)
        return _joined([it for it in parts if not _is_key(it[1], sha256)])

    what = f"merchants: take the key with sha256 {sha256[:12]} out"
    return _held(make, text, change, what)


def _keys_of(top: _Fields) -> list[_Fields]:
    """API keys of a whole file, or of the part of it that is one key's table."""
    merchants = top.get("merchants", [])
    each = [merchants] if isinstance(merchants, Mapping) else merchants
    return [key for merchant in each for key in merchant.get("keys", [])]


def _is_key(table: str, sha256: str) -> bool:
    return bool(_OF_MERCHANT.match(table)) and any(
        key.get("sha256") == sha256 for key in _keys_of(tomllib.loads(table))
    )


def _after_merchant(parts: Sequence[tuple[str, str]], merchant: str) -> int:
    """Where the tables of a merchant end. Raises EditError."""
    for number, (_, table) in enumerate(parts):
        if _MERCHANT.match(table) and tomllib.loads(table)["merchants"][0].get("id") == merchant:
            end = number + 1
            while end < len(parts) and _OF_MERCHANT.match(parts[end][1]):
                end += 1
            return end
    raise EditError(f"write merchant {merchant} as a [[merchants]] table; then repeat")


def _inline(value: Any) -> str:
    if not isinstance(value, Mapping):
        return str(tomlkit.item(value).as_string())
    table = tomlkit.inline_table()
    table.update(value)
    return str(table.as_string())


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


def _set(table: _Fields, fields: Mapping[str, Any]) -> None:
    for field, value in fields.items():
        if table.get(field) != value:
            table[field] = value


def _put_first(rule: _Fields, name: str) -> None:
    nodes = rule["nodes"]
    if isinstance(nodes, Array) and "\n" in nodes.as_string():
        nodes.insert(0, name)  # its lines may have comments
    else:
        rule["nodes"] = [name, *nodes]
