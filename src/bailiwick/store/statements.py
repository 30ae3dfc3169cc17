"""The named SQL statements: one file each, in the folder ``sql`` of its owner, loaded once."""

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

_HERE = files("bailiwick.store") / "sql"
_OTHER_DATABASES = frozenset({"overview"})
_SELDOM = re.compile(r"--\{ seldom\n.*?--\}\n", re.DOTALL)


def _owned(folder: Traversable) -> Iterator[Traversable]:
    """The SQL files of a package and those in it."""
    for entry in folder.iterdir():
        if entry.name in _OTHER_DATABASES or not entry.is_dir():
            continue
        if entry.name == "sql":
            yield from (each for each in entry.iterdir() if each.name.endswith(".sql"))
        else:
            yield from _owned(entry)


@cache
def _all() -> dict[str, Traversable]:
    found: dict[str, Traversable] = {}
    for each in _owned(files("bailiwick")):
        name = each.name[:-4]
        assert name not in found, f"two statements are called {name}"
        found[name] = each
    return found


@cache
def statement(name: str) -> str:
    """The text of ``<name>.sql``, whoever owns it."""
    return _all()[name].read_text(encoding="utf-8")


def lean(text: str) -> str:
    """A statement without the parts that only few rows need (see ``orders/sql/move.sql``)."""
    return _SELDOM.sub("", text)


def names() -> list[str]:
    """The names of all statements, migrations apart."""
    return sorted(_all())


def migrations() -> list[tuple[str, str]]:
    """Name and text of each migration, in order."""
    entries = sorted((_HERE / "migrations").iterdir(), key=lambda entry: entry.name)
    return [(e.name[:-4], e.read_text("utf-8")) for e in entries if e.name.endswith(".sql")]
