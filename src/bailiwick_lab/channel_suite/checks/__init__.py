"""The checks, by their names: every function ``check_...`` of the modules here."""

import importlib
import pkgutil
from collections.abc import Callable

from bailiwick_lab.channel_suite.subject import Subject

Check = Callable[[Subject], None]


def every() -> dict[str, Check]:
    """All checks, by name without ``check_``; modules in the order of the alphabet."""
    found: dict[str, Check] = {}
    for each in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        module = importlib.import_module(f"{__name__}.{each.name}")
        for name, value in vars(module).items():
            if name.startswith("check_"):
                found[f"{each.name}.{name.removeprefix('check_')}"] = value
    return found
