"""What an invariant found: how much was compared and what is wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import msgspec

SHOWN_MAX = 20


class Violation(msgspec.Struct, frozen=True):
    """One thing that must not be. ``node`` is empty where it is about several."""

    node: str
    id: str
    wrong: str


class Found:
    """The verdict on one invariant, gathered over all nodes."""

    def __init__(self, name: str, rule: str) -> None:
        self.name = name
        self.rule = rule
        self.compared = 0
        self.count = 0
        self.violations: list[Violation] = []

    def compare(self, rows: int = 1) -> None:
        """Rows were compared."""
        self.compared += rows

    def broken(self, node: str, identifier: str, wrong: str) -> None:
        """One violation; all are counted, the first few are kept."""
        self.count += 1
        if len(self.violations) < SHOWN_MAX:
            self.violations.append(Violation(node, identifier, wrong))

    def require_rows(self, there_are: int) -> None:
        """A check that looked at nothing proves nothing: that is a violation by itself."""
        if there_are and not self.compared:
            self.broken("", self.name, f"nothing was compared although there are {there_are} rows")

    def shown(self) -> dict[str, Any]:
        """As it is printed."""
        return {
            "name": self.name,
            "rule": self.rule,
            "compared": self.compared,
            "count": self.count,
            "violations": [msgspec.to_builtins(each) for each in self.violations],
        }


class Findings:
    """All verdicts of one run, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._by_name: dict[str, Found] = {}

    def of(self, function: Callable[..., Any]) -> Found:
        """The verdict for an invariant: named like its function, its rule is the docstring."""
        name = function.__name__
        found = self._by_name.get(name)
        if found is None:
            rule = " ".join((inspect.getdoc(function) or "").split())
            found = self._by_name[name] = Found(name, rule)
        return found

    def all(self) -> list[Found]:
        """Every verdict."""
        return list(self._by_name.values())
