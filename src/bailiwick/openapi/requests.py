"""What a request may carry: the structs that it is read into, as JSON Schema. Pure.

The schema says what ``wire.params`` does: no other parameters, nothing empty unless that unsets.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

from bailiwick.resources import modules
from bailiwick.serving import params as shared
from bailiwick.serving.params import METADATA_KEY_CHARS_MAX, Second, Span
from bailiwick.wire.params import unsets

Schema = dict[str, Any]
Route = tuple[str, str]
"""A method, and a template whose placeholders are ``{}``."""

_FOR = re.compile(r"((?:GET|POST|DELETE) )?(/v1/[\w/{}]+)")
_HEAD = re.compile(
    r"(GET|POST|DELETE) /v1/[\w/{}]+(?:,? and (?:(?:GET|POST|DELETE) )?/v1/[\w/{}]+)*"
)


def plain(template: str) -> str:
    """A template without the names of its placeholders."""
    return re.sub(r"{\w+}", "{}", template)


@cache
def bound() -> dict[Route, type[msgspec.Struct]]:
    """The struct of each request: its description begins with the routes that it is for.

    Raises:
        RuntimeError: descriptions were stripped (``python -OO``).
        ValueError: two structs are for one route.
    """
    if shared.Retrieve.__doc__ is None:
        raise RuntimeError("python -OO strips what the description of the API is made from")
    found: dict[Route, type[msgspec.Struct]] = {}
    for module in modules("params"):
        for kind in vars(module).values():
            if not isinstance(kind, type) or not issubclass(kind, msgspec.Struct):
                continue
            if kind.__module__ != module.__name__:
                continue
            for route in _routes(kind.__doc__ or ""):
                if found.setdefault(route, kind) is not kind:
                    raise ValueError(f"{route} is read into {kind} and {found[route]}")
    return found


def _routes(description: str) -> list[Route]:
    head = _HEAD.match(description)
    if head is None:
        return []
    method, found = "", []
    for given, path in _FOR.findall(head[0]):
        method = given.strip() or method
        found.append((method, plain(path)))
    return found


def struct_of(method: str, template: str, *, searched: bool) -> type[msgspec.Struct] | None:
    """What a request to a route is read into; None for a POST for which nobody says so."""
    found = bound().get((method, plain(template)))
    if found is not None or method == "POST":
        return found
    if method == "DELETE":
        return shared.Delete
    return shared.SearchQuery if searched else shared.Retrieve


def body(kind: type[msgspec.Struct], notes: dict[str, str]) -> Schema:
    """The schema of a body; ``notes``: what else is to be said of a parameter."""
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    made = _struct(described, notes)
    for name in getattr(kind, "FILES", ()):
        made["properties"][name] = {
            "type": "string",
            "contentMediaType": "application/octet-stream",
        }
    return made


def query(kind: type[msgspec.Struct], notes: dict[str, str]) -> list[Schema]:
    """The parameters of an address: nested ones by their names in brackets."""
    schema = body(kind, notes)
    required = schema.get("required", [])
    found = []
    for name, of in schema["properties"].items():
        description = of.pop("description", None)
        said = {} if description is None else {"description": description}
        parts = list(_parts(name, of))
        found += [each | said for each in _in_query(parts, required=name in required)]
    return found


def _parts(name: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    """A parameter as it stands in an address: an object by its members, in brackets."""
    inside = schema.pop("x-parts", None)
    if schema.get("type") == "array":
        yield f"{name}[]", schema
    elif "properties" not in schema:
        yield name, schema
    members = schema.get("properties", {}) if inside is None else inside
    for part, of in members.items():
        yield from _parts(f"{name}[{part}]", of)


def _in_query(parts: list[tuple[str, Schema]], *, required: bool) -> list[Schema]:
    alone = required and len(parts) == 1
    return [
        {"name": name, "in": "query", "required": alone, "schema": schema} for name, schema in parts
    ]


def _struct(kind: inspect.StructType, notes: dict[str, str]) -> Schema:
    properties: Schema = {}
    for field in kind.fields:
        name = field.encode_name
        schema = _schema(field.type)
        if unsets(field):
            schema = {"anyOf": [schema, {"enum": ["", None], "description": "unsets it"}]}
        if name in notes:
            schema["description"] = notes[name]
        properties[name] = schema
    made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    required = [field.encode_name for field in kind.fields if field.required]
    if required:
        made["required"] = required
    return made


def _schema(kind: inspect.Type) -> Schema:
    match kind:
        case inspect.UnionType():
            (inner,) = (t for t in kind.types if not isinstance(t, inspect.NoneType))
            return _schema(inner)
        case inspect.IntType():
            return _bounded("integer", {"minimum": kind.ge, "maximum": kind.le})
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.StrType():
            return _text(kind)
        case inspect.LiteralType():
            return {"type": "string", "enum": list(kind.values)}
        case inspect.EnumType():
            return {"type": "string", "enum": [each.value for each in kind.cls]}
        case inspect.ListType() | inspect.VarTupleType():
            sizes = {"minItems": kind.min_length, "maxItems": kind.max_length}
            return _bounded("array", sizes) | {"items": _schema(kind.item_type)}
        case inspect.DictType():
            return _map(kind)
        case inspect.StructType():
            return _struct(kind, {}) | {"minProperties": 1}
        case inspect.AnyType():
            return _moment()
    raise TypeError(f"nobody knows how {kind!r} is described")


def _bounded(kind: str, bounds: dict[str, int | None]) -> Schema:
    return {"type": kind} | {name: bound for name, bound in bounds.items() if bound is not None}


def _text(kind: inspect.StrType) -> Schema:
    found = _bounded(
        "string", {"minLength": max(1, kind.min_length or 0), "maxLength": kind.max_length}
    )
    if kind.pattern is not None:
        found["pattern"] = kind.pattern.replace(r"\Z", "$")
    return found


def _map(kind: inspect.DictType) -> Schema:
    values = _schema(kind.value_type)
    values.pop("minLength", None)  # an empty text takes its key away
    names = {"minLength": 1, "maxLength": METADATA_KEY_CHARS_MAX, "pattern": r"^[^\[\]]+$"}
    found = _bounded("object", {"maxProperties": kind.max_length})
    return found | {"additionalProperties": values, "propertyNames": names}


def _moment() -> Schema:
    """A second, or a range of them."""
    described = inspect.type_info(Span)
    assert isinstance(described, inspect.StructType)
    parts = {field.encode_name: _schema(field.type) for field in described.fields}
    return _schema(inspect.type_info(Second)) | {"x-parts": parts}
