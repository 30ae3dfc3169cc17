"""From parsed parameters to a typed struct, with errors that name the field and the remedy.

A converter is compiled once per struct type from msgspec's description of its fields, so that
rules are written as types: ``int``, ``bool``, ``Literal[...]``, ``Annotated[str, Meta(...)]``,
``list[...]``, ``dict[str, str]``, nested structs, ``| None`` and ``| UnsetType``.

An empty text (or JSON null) is an attempt to unset something, and is refused wherever nothing can
be unset: an absent amount often means "all", and so must not be what an empty one comes to. Only
a field whose type allows None and whose default is ``UNSET`` takes it, as None; an entry of a map
of texts keeps it. Source: https://docs.stripe.com/error-codes (``parameter_invalid_empty``).
"""

import difflib
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn, TypeVar

import msgspec
from msgspec import inspect

from bailiwick.base.errors import ApiError

T = TypeVar("T", bound=msgspec.Struct)
Convert = Callable[[Any, str], Any]


class _Field(NamedTuple):
    """How one parameter is read: into which attribute, and whether an empty value unsets it."""

    attribute: str
    convert: Convert
    unsets: bool


_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})", re.ASCII)
_BOOLEANS = {"true": True, "false": False, True: True, False: False}
_MISSING: Any = object()


def struct_from(params: dict[str, Any], kind: type[T], *, prefix: str = "") -> T:
    """Build ``kind`` from parsed parameters.

    Args:
        params: what ``parse_form`` or ``parse_json`` gave.
        prefix: name under which the parameters stand, for errors.

    Raises:
        ApiError: 400; ``code`` is ``parameter_unknown`` (with the nearest known name),
            ``parameter_unsupported`` (what the struct has in its ``UNDONE``, with the remedy),
            ``parameter_missing``, ``parameter_invalid_integer``, ``parameter_invalid_boolean``,
            ``parameter_invalid_string``, ``parameter_invalid_empty``,
            ``parameter_invalid_array``, ``parameter_invalid_object`` or ``parameter_invalid``.
    """
    fields, required = _compiled(kind)
    values: dict[str, Any] = {}
    for name, value in params.items():
        field = fields.get(name)
        where = f"{prefix}[{name}]" if prefix else name
        if field is None:
            _undone(name, where, kind)
            _unknown(name, where, fields)
        if not value and (value is None or value == ""):
            if not field.unsets:
                _empty(where)
            values[field.attribute] = None
        else:
            values[field.attribute] = field.convert(value, where)
    for name, attribute in required:
        if attribute not in values:
            where = f"{prefix}[{name}]" if prefix else name
            _fail(f"Missing required param: {where}.", where, "parameter_missing")
    return kind(**values)


@lru_cache(maxsize=256)
def _compiled(
    kind: type[msgspec.Struct],
) -> tuple[dict[str, _Field], tuple[tuple[str, str], ...]]:
    """How each parameter is read, by its name; and which are required."""
    described = inspect.type_info(kind)
    if not isinstance(described, inspect.StructType):
        raise TypeError(f"{kind!r} is not a struct type")
    fields = {
        f.encode_name: _Field(f.name, _converter(f.type), unsets(f)) for f in described.fields
    }
    required = tuple((f.encode_name, f.name) for f in described.fields if f.required)
    return fields, required


def unsets(field: inspect.Field) -> bool:
    """Whether an empty value means something else here than leaving the field out: then the default
    is UNSET, which ``inspect`` shows as a field that is not required and has no default."""
    types = field.type.types if isinstance(field.type, inspect.UnionType) else ()
    nullable = any(isinstance(each, inspect.NoneType) for each in types)
    default = (field.default, field.default_factory)
    return nullable and not field.required and default == (msgspec.NODEFAULT, msgspec.NODEFAULT)


def _fail(message: str, where: str, code: str = "parameter_invalid") -> NoReturn:
    raise ApiError.invalid(message, param=where, code=code)


def _empty(where: str) -> NoReturn:
    _fail(
        f"You passed an empty value for {where}. An empty value is an attempt to unset a "
        f"parameter, and {where} cannot be unset: leave it out, or give it a value.",
        where,
        "parameter_invalid_empty",
    )


def _undone(name: str, where: str, kind: type[msgspec.Struct]) -> None:
    """Refuse, with what to do instead, what the struct declares as ``UNDONE``: a parameter of
    Stripe's that is not done here."""
    instead = getattr(kind, "UNDONE", {}).get(name)
    if instead is not None:
        _fail(f"{where} is not supported: {instead}.", where, "parameter_unsupported")


def _unknown(name: str, where: str, known: dict[str, Any]) -> NoReturn:
    shown = where[:100]
    near = difflib.get_close_matches(name[:64], known, n=1, cutoff=0.6)
    hint = f" Did you mean {where[: len(where) - len(name)]}{near[0]}?" if near else ""
    if where.endswith(f"[{name}]"):
        hint = f" Did you mean {where[: -len(name) - 1]}{near[0]}]?" if near else ""
    _fail(f"Received unknown parameter: {shown}.{hint}", shown, "parameter_unknown")


def _converter(kind: inspect.Type) -> Convert:
    """The converter for one described type."""
    if isinstance(kind, inspect.UnionType):
        return _optional(kind)
    if isinstance(kind, inspect.IntType):
        return _integer(kind)
    if isinstance(kind, inspect.BoolType):
        return _boolean
    if isinstance(kind, inspect.StrType):
        return _string(kind)
    if isinstance(kind, inspect.LiteralType):
        return _choice(kind.values)
    if isinstance(kind, inspect.EnumType):
        return _enum(kind)
    if isinstance(kind, inspect.ListType | inspect.VarTupleType):
        make = list if isinstance(kind, inspect.ListType) else tuple
        return _array(_converter(kind.item_type), kind.min_length, kind.max_length, make)
    if isinstance(kind, inspect.DictType):
        texts = isinstance(kind.value_type, inspect.StrType)
        entry = _text_entry if texts else _entry
        return _map(_converter(kind.value_type), entry, kind.max_length)
    if isinstance(kind, inspect.StructType):
        return _struct(kind.cls)
    if isinstance(kind, inspect.AnyType):
        return lambda value, where: value
    raise TypeError(f"parameters of type {kind!r} are not supported")


def _optional(kind: inspect.UnionType) -> Convert:
    inner = [t for t in kind.types if not isinstance(t, inspect.NoneType)]
    if len(inner) != 1:
        raise TypeError(f"unions other than with None are not supported: {kind!r}")
    return _converter(inner[0])


def _integer(kind: inspect.IntType) -> Convert:
    low = kind.ge if kind.ge is not None else None if kind.gt is None else kind.gt + 1
    high = kind.le if kind.le is not None else None if kind.lt is None else kind.lt - 1

    def integer(value: Any, where: str) -> Any:
        if type(value) is str:
            if not _INTEGER.fullmatch(value):
                _fail(
                    f"Invalid integer in {where}: plain digits such as 1999 are expected, "
                    "without fraction, exponent or spaces.",
                    where,
                    "parameter_invalid_integer",
                )
            value = int(value)
        elif type(value) is not int:
            _fail(f"Invalid integer in {where}.", where, "parameter_invalid_integer")
        if (low is not None and value < low) or (high is not None and value > high):
            _fail(f"Invalid {where}: must be {_span(low, high)}.", where)
        return value

    return integer


def _span(low: int | None, high: int | None) -> str:
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"from {low} to {high}"


def _boolean(value: Any, where: str) -> Any:
    if type(value) in (str, bool) and value in _BOOLEANS:
        return _BOOLEANS[value]
    _fail(f"Invalid boolean in {where}: true or false.", where, "parameter_invalid_boolean")


def _string(kind: inspect.StrType) -> Convert:
    low, high, shape = kind.min_length, kind.max_length, kind.pattern
    pattern = re.compile(shape) if shape else None

    def string(value: Any, where: str) -> Any:
        if type(value) is not str:
            message = f"Invalid string in {where}: text is expected."
            _fail(message, where, "parameter_invalid_string")
        if low is not None and len(value) < low:
            _fail(f"Invalid {where}: at least {low} characters.", where)
        if high is not None and len(value) > high:
            _fail(f"Invalid {where}: at most {high} characters.", where)
        if pattern is not None and not pattern.search(value):
            _fail(f"Invalid {where}: not of the form {shape}.", where)
        return value

    return string


def _choice(values: tuple[Any, ...]) -> Convert:
    allowed = frozenset(values)
    names = ", ".join(str(value) for value in values)

    def choice(value: Any, where: str) -> Any:
        if type(value) is not str or value not in allowed:
            _fail(f"Invalid {where}: must be one of {names}.", where)
        return value

    return choice


def _enum(kind: inspect.EnumType) -> Convert:
    choice = _choice(tuple(member.value for member in kind.cls))

    def member(value: Any, where: str) -> Any:
        return kind.cls(choice(value, where))

    return member


def _array(
    item: Convert, least: int | None, most: int | None, make: Callable[[Any], Any]
) -> Convert:
    def array(value: Any, where: str) -> Any:
        if type(value) is dict:
            # Form arrays come as {"0": ..., "1": ...}, in any order.
            items = [value.get(str(index), _MISSING) for index in range(len(value))]
            if _MISSING in items:
                _fail(
                    f"Invalid array in {where}: use {where}[0], {where}[1], ... or {where}[].",
                    where,
                    "parameter_invalid_array",
                )
        elif type(value) is list:
            items = value
        else:
            _fail(f"Invalid array in {where}.", where, "parameter_invalid_array")
        if most is not None and len(items) > most:
            _fail(f"Invalid {where}: at most {most} entries.", where)
        if least is not None and len(items) < least:
            _empty(where)
        return make([_entry(item, inner, f"{where}[{at}]") for at, inner in enumerate(items)])

    return array


def _map(item: Convert, entry: Callable[[Convert, Any, str], Any], most: int | None) -> Convert:
    def mapping(value: Any, where: str) -> Any:
        if type(value) is not dict:
            _fail(f"Invalid object in {where}.", where, "parameter_invalid_object")
        if most is not None and len(value) > most:
            _fail(f"Invalid {where}: at most {most} entries.", where)
        return {key: entry(item, inner, f"{where}[{key}]") for key, inner in value.items()}

    return mapping


def _entry(item: Convert, value: Any, where: str) -> Any:
    if value is None or value == "":
        _empty(where)
    return item(value, where)


def _text_entry(item: Convert, value: Any, where: str) -> Any:
    return item("" if value is None else value, where)


def _struct(kind: type[msgspec.Struct]) -> Convert:
    def struct(value: Any, where: str) -> Any:
        if value == {}:
            _empty(where)
        if type(value) is not dict:
            message = f"Invalid object in {where}: use {where}[...] fields."
            _fail(message, where, "parameter_invalid_object")
        return struct_from(value, kind, prefix=where)

    return struct
