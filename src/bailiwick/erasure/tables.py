"""What the resources' folders declare of erasure, put together."""

from collections.abc import Awaitable, Callable
from functools import cache

from bailiwick.base.objects import Object
from bailiwick.records.record import Record
from bailiwick.records.records import Writing
from bailiwick.resources import declared
from bailiwick.serving.erasing import Beside, Erasing, Stays

EraseRecord = Callable[[Writing, Record, int], Awaitable[Object]]


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


@cache
def records() -> dict[str, EraseRecord]:
    """How records are erased that are not a payer's own, by the prefix of their ids."""
    found: dict[str, EraseRecord] = {}
    for each in declared("ERASES", "erased"):
        found |= each
    return found


def beside(prefix: str) -> list[Beside]:
    """What stands beside orders of a kind."""
    return [each for each in declared("BESIDE", "erased") if each.prefix == prefix]
