"""What is left of an object once its payer is erased. Pure.

What clients, payers and providers write freely goes; what we make and what has a fixed form stays:
ids, amounts, currencies, states, times, codes, the country. So a table says what stays, and what
stands in none goes: a new field is personal until somebody names it. Each resource has those of its
objects in its folder (``erased.py``: ``STAYS``, ``ERASING``, ``BESIDE``).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from bailiwick.base.objects import Object, text


class Stays(msgspec.Struct, frozen=True):
    """What stays of one type of objects.

    Attributes:
        whole: fields that stay as they are; objects in place of ids lose what is personal of them.
        parts: fields of which a part stays, and what that is.
        blank: what stands in the place of other fields; null, where it says nothing.
    """

    whole: frozenset[str]
    parts: Mapping[str, Callable[[Any], Any]] = {}
    blank: Mapping[str, Any] = {}


class Erasing(msgspec.Struct, frozen=True):
    """How a kind of orders is erased.

    Attributes:
        prefix: of its ids; ``attempts``: of those of its attempts.
        event: the type of the event that tells of it.
        ended: states in which nothing is open, whatever else is.
        lock, find, write, paid_by: names of statements: an order locked; its columns; its next
            version; the orders of a merchant in which a text stands.
        order_of: an order from its columns.
        left, content_left: what is left of an order, and of what an event says describes it.
        shown: an order as an object.
    """

    prefix: str
    attempts: tuple[str, ...]
    event: str
    ended: frozenset[str]
    lock: str
    find: str
    write: str
    paid_by: str
    order_of: Callable[[Iterable[Any]], Any]
    left: Callable[[Any], Any]
    content_left: Callable[[str], str]
    shown: Callable[[Any], Object]


class Beside(msgspec.Struct, frozen=True):
    """Rows beside orders of one kind that have details.

    Attributes:
        prefix: of the orders' ids.
        find, write: statements: the details of those of an order; what is left of one.
        left: what is left of details.
        records: the ids of records that details name and that go with them.
    """

    prefix: str
    find: str
    write: str
    left: Callable[[Object], Object]
    records: Callable[[Object], list[str]] = lambda _: []


Tables = Mapping[str, Stays]
"""What stays, by what an object says it is."""
_UNKNOWN = frozenset({"id", "object", "deleted"})
_ERROR = frozenset({"type", "code", "decline_code", "charge"})
_PLACE = frozenset({"country", "source", "confidence"})
_INSTRUCTION = frozenset(
    {
        "operation",
        "reference",
        "amount",
        "currency",
        "automatic",
        "method",
        "provider_ref",
        "charge_reference",
        "callback_url",
        "payment",
        "final",
        "overcapture",
        "store",
        "off_session",
        "steps",
        "before",
    }
)
_RESULT = frozenset({"outcome", "amount", "currency", "code", "decline_code", "detail"})
ERROR_MESSAGE = "What this said was erased."


def only(held: Object, names: frozenset[str]) -> Object:
    """These fields of an object, no others."""
    return {name: value for name, value in held.items() if name in names}


def object_left(shown: Any, tables: Tables) -> Any:
    """An object, or an answer that is an error, without what is personal."""
    if "error" in shown and "object" not in shown:
        return {"error": _error_left(shown["error"], tables)}
    if shown.get("object") == "list":
        return {**shown, "data": [object_left(each, tables) for each in shown["data"]]}
    stays = tables.get(shown.get("object", ""))
    if stays is None:
        return only(shown, _UNKNOWN)
    return {name: _field(stays, name, value, tables) for name, value in shown.items()}


def _field(stays: Stays, name: str, value: Any, tables: Tables) -> Any:
    if name in stays.whole:
        return _whole(value, tables)
    if name in stays.parts and isinstance(value, dict):
        return stays.parts[name](value)
    return stays.blank.get(name)


def _whole(value: Any, tables: Tables) -> Any:
    if isinstance(value, dict) and "object" in value:
        return object_left(value, tables)
    if isinstance(value, list):
        return [_whole(each, tables) for each in value]
    return value


def nulled(*names: str) -> Callable[[Object], Object]:
    """What leaves these fields of an object, and null in all others."""
    return lambda held: {name: value if name in names else None for name, value in held.items()}


def error_left(error: Object) -> Object:
    """Of an error that an order keeps, or is answered with, the codes."""
    return {**only(error, _ERROR), "message": ERROR_MESSAGE}


def _error_left(error: Object, tables: Tables) -> Object:
    along = {name: value for name, value in error.items() if isinstance(value, dict)}
    return {
        **error_left(error),
        **{name: object_left(value, tables) for name, value in along.items() if "object" in value},
    }


def body_left(body: str | None, tables: Tables) -> str | None:
    """The same of an object as JSON."""
    return None if body is None else text(object_left(msgspec.json.decode(body), tables))


def instruction_left(stored: str | None) -> str | None:
    """What was sent to a provider, without the payer: what is needed to ask about it later."""
    return None if stored is None else text(only(msgspec.json.decode(stored), _INSTRUCTION))


def result_left(stored: str | None) -> str | None:
    """What a provider said, without its own words."""
    return None if stored is None else text(only(msgspec.json.decode(stored), _RESULT))


def place_left(location: Object) -> Object:
    """Of where a payer was, the country, and how far it is trusted."""
    return {**only(location, _PLACE), "subdivision": None, "evidence": {}, "contradictions": []}
