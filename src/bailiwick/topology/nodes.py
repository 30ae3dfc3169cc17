"""The nodes of a topology as they are written: numbers, names, addresses and states. Pure."""

import re
from typing import Any, get_args
from urllib.parse import urlsplit

import msgspec

from bailiwick.topology.parts import Node, State
from bailiwick.topology.reading import Table

MOST_NODES = 256
NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
NAME_RULE = "must be 1 to 32 small letters, digits or '-', starting with a letter"
_STATES = get_args(State)


def _url(table: Table) -> str:
    url = table.text("url")
    try:
        parts = urlsplit(url)
        good = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and parts.path in ("", "/")
            and "@" not in parts.netloc
            and not (parts.query or parts.fragment)
        )
    except ValueError:
        good = False
    if url and not good:
        table.bad("url", "must be http(s)://host[:port] without path, user or query")
    return url.rstrip("/")


def read_nodes(top: Table) -> list[Node]:
    """All ``[[nodes]]``, in order of number."""
    nodes: list[Node] = []
    numbers: dict[int, str] = {}
    names: dict[str, str] = {}
    urls: dict[str, str] = {}
    for table in top.tables("nodes", most=MOST_NODES, empty=False):
        name = table.text("name")
        if name and not NAME.fullmatch(name):
            table.bad("name", NAME_RULE)
        number = table.whole("number", 1, 65535)
        url = _url(table)
        node = msgspec.convert(
            {
                "number": number,
                "name": name,
                "url": url,
                "title": table.text("title", name or "-"),
                "state": table.choice("state", _STATES, "active"),
            },
            Node,
        )
        table.done()
        unique: tuple[tuple[str, dict[Any, str], Any], ...] = (
            ("number", numbers, number if "number" in table.value else None),
            ("name", names, name),
            ("url", urls, url),
        )
        for field, seen, value in unique:
            if value and value in seen:
                table.bad(field, f"{value!r} is also the {field} of {seen[value]}; make it unique")
            elif value:
                seen[value] = table.path
        nodes.append(node)
    return sorted(nodes, key=lambda node: node.number)
