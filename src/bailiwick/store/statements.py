"""The named SQL statements: one file each, loaded once."""

import re
from functools import cache
from importlib.resources import files

_ROOT = files("bailiwick.store") / "sql"


@cache
def statement(name: str) -> str:
    """The text of ``sql/<name>.sql``."""
    return (_ROOT / f"{name}.sql").read_text(encoding="utf-8")


_SELDOM = re.compile(r"--\{ seldom\n.*?--\}\n", re.DOTALL)


@cache
def lean(name: str) -> str:
    """The statement without the parts that only few rows need (see ``sql/move.sql``)."""
    return _SELDOM.sub("", statement(name))


def names() -> list[str]:
    """The names of all statements, migrations apart."""
    return sorted(entry.name[:-4] for entry in _ROOT.iterdir() if entry.name.endswith(".sql"))


def migrations() -> list[tuple[str, str]]:
    """Name and text of each migration, in order."""
    entries = sorted((_ROOT / "migrations").iterdir(), key=lambda entry: entry.name)
    return [(e.name[:-4], e.read_text("utf-8")) for e in entries if e.name.endswith(".sql")]
