"""What the resources' folders declare of erasure, put together."""

from functools import cache

from bailiwick.resources import declared
from bailiwick.serving.erasing import Beside, Erasing, Stays


@cache
def stays() -> dict[str, Stays]:
    """What stays of objects, by their type."""
    found: dict[str, Stays] = {}
    for each in declared("STAYS", "erased"):
        found |= each
    return found


@cache
def kinds() -> dict[str, Erasing]:
    """The kinds of orders that are erased, by the prefix of their ids."""
    return {each.prefix: each for each in declared("ERASING", "erased")}


def beside(prefix: str) -> list[Beside]:
    """What stands beside orders of a kind."""
    return [each for each in declared("BESIDE", "erased") if each.prefix == prefix]
