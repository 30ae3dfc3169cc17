"""Reading of TOML tables that collects every problem instead of stopping at the first.

Each problem names file and field and says what to do. Used by topology and merchants.
"""

import tomllib
from collections.abc import Iterable
from typing import Any

from bailiwick.geo.places import nearest


class WorldError(Exception):
    """The world's files cannot be used; ``problems`` has one line for each reason."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


class Problems:
    """Collects problems of one file, each as ``file: field: text``."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: list[str] = []

    def add(self, field: str, text: str) -> None:
        self.lines.append(f"{self.file}: {field}: {text}" if field else f"{self.file}: {text}")

    def raise_if_any(self) -> None:
        if self.lines:
            raise WorldError(self.lines)


class Table:
    """One TOML table being read. A getter gives a usable value even after noting a problem;
    ``done`` refuses fields that nobody asked for, with the nearest known name."""

    def __init__(self, value: Any, path: str, problems: Problems) -> None:
        if not isinstance(value, dict):
            problems.add(path, "must be a table")
            value = {}
        self.value: dict[str, Any] = value
        self.path = path
        self.problems = problems
        self.known: list[str] = []

    def at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def bad(self, name: str, text: str) -> None:
        self.problems.add(self.at(name), text)

    def _take(self, name: str, default: Any) -> Any:
        self.known.append(name)
        if name in self.value:
            return self.value[name]
        if default is None:
            self.bad(name, "is missing; add it")
        return default

    def text(self, name: str, default: str | None = None, *, most: int = 200) -> str:
        value = self._take(name, default)
        if isinstance(value, str) and len(value) <= most:
            return value
        if value is not None:
            self.bad(name, f"must be text of at most {most} characters")
        return default or ""

    def choice(self, name: str, options: tuple[str, ...], default: str | None = None) -> str:
        value = self.text(name, default)
        if value in options or name not in self.value:
            return value if value in options else options[0]
        guess = nearest(value, options)
        hint = f" (did you mean '{guess}'?)" if guess else ""
        self.bad(name, f"must be one of {', '.join(options)}, not '{value}'{hint}")
        return options[0]

    def flag(self, name: str, default: bool) -> bool:
        value = self._take(name, default)
        if isinstance(value, bool):
            return value
        self.bad(name, "must be true or false")
        return default

    def whole(self, name: str, low: int, high: int, default: int | None = None) -> int:
        value = self._take(name, default)
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        if value is not None:
            self.bad(name, f"must be a whole number from {low} to {high}")
        return default if default is not None else low

    def ratio(self, name: str, default: float, *, most: int = 1) -> float:
        value = self._take(name, default)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= most:
            return float(value)
        self.bad(name, f"must be a number above 0 and at most {most}")
        return default

    def texts(self, name: str, *, most: int, empty: bool = False) -> tuple[str, ...]:
        value = self._take(name, () if empty else None)
        if value is None:
            return ()
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            self.bad(name, "must be a list of texts")
            return ()
        if not value and not empty:
            self.bad(name, "must not be empty")
        if len(value) > most:
            self.bad(name, f"has {len(value)} entries; at most {most} are allowed")
            return ()
        return tuple(value)

    def tables(self, name: str, *, most: int, empty: bool = True) -> "list[Table]":
        value = self._take(name, [] if empty else None)
        if value is None:
            return []
        if not isinstance(value, list):
            self.bad(name, f"must be a list of tables; write [[{self.at(name)}]]")
            return []
        if len(value) > most:
            self.bad(name, f"has {len(value)} entries; at most {most} are allowed")
            return []
        if not value and not empty:
            self.bad(name, "must not be empty")
        return [
            Table(item, f"{self.at(name)}[{number}]", self.problems)
            for number, item in enumerate(value)
        ]

    def table(self, name: str) -> "Table":
        return Table(self._take(name, {}), self.at(name), self.problems)

    def raw(self, name: str, default: Any = None) -> Any:
        return self._take(name, default)

    def done(self) -> None:
        for name in self.value:
            if name not in self.known:
                guess = nearest(name, self.known)
                hint = f"; did you mean '{guess}'?" if guess else ""
                self.bad(name, f"unknown field{hint} Known: {', '.join(self.known)}")


def parse_toml(raw: bytes, problems: Problems, most_bytes: int) -> Table:
    """The top table of a file. Raises WorldError at once when it is no TOML or too large."""
    if len(raw) > most_bytes:
        problems.add("", f"is {len(raw)} bytes; at most {most_bytes} are allowed")
        problems.raise_if_any()
    try:
        return Table(tomllib.loads(raw.decode("utf-8")), "", problems)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        problems.add("", f"is not valid TOML: {error}")
        raise WorldError(problems.lines) from error
