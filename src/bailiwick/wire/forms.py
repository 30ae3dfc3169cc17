"""Request parameters: form encoding with brackets and JSON, read strictly and alike.

``a[b][c]=1`` becomes ``{"a": {"b": {"c": "1"}}}``. Arrays (``a[0]=x``, ``a[]=x``) become objects
with the keys ``"0"``, ``"1"``, ...: only the wanted type tells an array from a map, so
``struct_from`` makes the lists. Access and node read with this one module: what
one of them sees twice or differently, the other does as well.
"""

import json
import re
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from bailiwick.base.errors import ApiError
from bailiwick.wire.params import struct_from

__all__ = ["Params", "nested", "parse_body", "parse_form", "parse_json", "struct_from"]

DEPTH_MAX = 6
FIELDS_MAX = 500
NAME_CHARS_MAX = 200
VALUE_CHARS_MAX = 5_000
_INTEGER_DIGITS_MAX = 18

Params = dict[str, Any]
_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse_body(content_type: str | None, body: bytes) -> Params:
    """Parameters of a request body; an empty body has none.

    Raises:
        ApiError: 400 naming the field, or 415 for another content type.
    """
    if not body:
        return {}
    kind = "" if content_type is None else content_type.partition(";")[0].strip().lower()
    if kind in ("", "application/x-www-form-urlencoded"):
        return parse_form(body)
    if kind == "application/json":
        return parse_json(body)
    raise ApiError.invalid(
        f"Content-Type {kind[:80]!r} is not supported: send a form "
        "(application/x-www-form-urlencoded) or JSON (application/json).",
        code=None,
        status=415,
    )


def parse_form(body: bytes) -> Params:
    """Parameters of a form body or of a query string.

    Raises:
        ApiError: 400 for bad UTF-8 or escapes, NUL characters, broken brackets, a field given
            twice, or more fields, depth or length than is taken.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise _invalid("The request's parameters are not valid UTF-8.", None) from None
    escaped = "%" in text or "\0" in text
    plus = "+" in text
    pairs = text.split("&")
    if len(pairs) > FIELDS_MAX:
        raise _invalid(f"Too many parameters: at most {FIELDS_MAX}.", None)
    params: Params = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if escaped:
            name = _unquote(name, "a parameter's name")
            value = _unquote(value, name)
        elif plus:
            name, value = name.replace("+", " "), value.replace("+", " ")
        if len(value) > VALUE_CHARS_MAX:
            raise _invalid(f"Longer than {VALUE_CHARS_MAX} characters.", name[:NAME_CHARS_MAX])
        if "[" not in name and "]" not in name:
            if name in params:
                raise _duplicate(name)
            if not name or len(name) > NAME_CHARS_MAX:
                if not pair:
                    continue
                raise _bad_name(name)
            params[name] = value
        else:
            _put(params, _path(name), name, value)
    return params


def nested(pairs: list[tuple[str, str]]) -> Params:
    """Parameters from names with brackets and their values, unescaped: the parts of a body.

    Raises:
        ApiError: 400, as ``parse_form``.
    """
    if len(pairs) > FIELDS_MAX:
        raise _invalid(f"Too many parameters: at most {FIELDS_MAX}.", None)
    params: Params = {}
    for name, value in pairs:
        _check_text(value, name)
        _put(params, _path(name), name, value)
    return params


def _unquote(text: str, field: str) -> str:
    text = text.replace("+", " ")
    if "%" in text:
        if _BAD_ESCAPE.search(text):
            raise _invalid("'%' must be followed by two hexadecimal digits.", field)
        try:
            text = unquote_to_bytes(text).decode("utf-8")
        except UnicodeDecodeError:
            raise _invalid("Not valid UTF-8.", field) from None
    if "\0" in text:
        raise _invalid("NUL characters are not allowed.", field)
    return text


@lru_cache(maxsize=2048)
def _path(name: str) -> tuple[str, ...]:
    """``a[b][c]`` -> (a, b, c); an empty pair of brackets gives an empty last part."""
    match = _NAME.fullmatch(name)
    if match is None or len(name) > NAME_CHARS_MAX:
        raise _bad_name(name)
    inner = match[2]
    path = (match[1], *inner[1:-1].split("][")) if inner else (match[1],)
    if len(path) > DEPTH_MAX:
        raise _invalid(f"Nested more than {DEPTH_MAX} levels deep.", name)
    if "" in path[1:-1]:
        raise _invalid("Empty brackets are only possible at the end.", name)
    return path


def _put(params: Params, path: tuple[str, ...], name: str, value: str) -> None:
    here = params
    for part in path[:-1]:
        inner = here.get(part)
        if inner is None:
            inner = here[part] = {}
        elif type(inner) is not dict:
            raise _invalid("Given both as a value and as an object.", name)
        here = inner
    last = path[-1] or str(len(here))
    if last in here:
        if type(here[last]) is dict:
            raise _invalid("Given both as a value and as an object.", name)
        raise _duplicate(name)
    here[last] = value


def parse_json(body: bytes) -> Params:
    """Parameters of a JSON body: an object of strings, integers, booleans, objects and arrays.

    Raises:
        ApiError: 400 for anything else, duplicate keys, fractions, NaN and numbers out of
            range included: an amount must not depend on who reads it.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise _invalid("The request's JSON is not valid UTF-8.", None) from None
    try:
        value = json.loads(
            text,
            object_pairs_hook=_json_object,
            parse_float=_json_fraction,
            parse_int=_json_integer,
            parse_constant=_json_constant,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise _invalid(f"The request's JSON is malformed: {error.msg} at {place}.", None) from None
    except RecursionError:
        raise _invalid(f"Nested more than {DEPTH_MAX} levels deep.", None) from None
    if type(value) is not dict:
        raise _invalid("The request's JSON must be an object.", None)
    _check_json(value)
    return value


class _Faulty:
    """Stands for a value that was refused while its field's name is not known yet."""

    def __init__(self, fault: str) -> None:
        self.fault = fault


def _json_object(pairs: list[tuple[str, Any]]) -> Any:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                found[name] = _Faulty("Given more than once.")
            seen.add(name)
    return found


def _json_fraction(text: str) -> Any:
    return _Faulty("Must not be a fraction or in exponent notation; amounts are whole minor units.")


def _json_integer(text: str) -> Any:
    if len(text) > _INTEGER_DIGITS_MAX:
        return _Faulty("The number is out of range.")
    return int(text)


def _json_constant(text: str) -> Any:
    return _Faulty(f"{text} is not a number.")


def _check_json(params: Params) -> None:
    """Check names, texts, depth and count of what ``json`` read, naming the field at fault."""
    count = 0
    todo: list[tuple[str, int, Any]] = [("", 0, params)]
    while todo:
        field, depth, value = todo.pop()
        if isinstance(value, dict | list):
            if depth >= DEPTH_MAX:
                raise _invalid(f"Nested more than {DEPTH_MAX} levels deep.", field)
            items = value.items() if isinstance(value, dict) else enumerate(value)
            count += len(value)
            if count > FIELDS_MAX:
                raise _invalid(f"Too many parameters: at most {FIELDS_MAX}.", None)
            for key, inner in items:
                name = _check_name(key, field) if isinstance(key, str) else str(key)
                todo.append((f"{field}[{name}]" if field else name, depth + 1, inner))
        elif isinstance(value, str):
            _check_text(value, field)
        elif isinstance(value, _Faulty):
            raise _invalid(value.fault, field)


def _check_name(name: str, field: str) -> str:
    where = f"{field}[...]" if field else "a parameter's name"
    if not name or len(name) > NAME_CHARS_MAX or "[" in name or "]" in name:
        raise _bad_name(where)
    _check_text(name, where)
    return name


def _check_text(text: str, field: str) -> None:
    if len(text) > VALUE_CHARS_MAX:
        raise _invalid(f"Longer than {VALUE_CHARS_MAX} characters.", field)
    if "\0" in text:
        raise _invalid("NUL characters are not allowed.", field)
    if not text.isascii() and _SURROGATE.search(text):
        raise _invalid("Half of a surrogate pair is not a character.", field)


def _invalid(message: str, field: str | None) -> ApiError:
    if field is None:
        return ApiError.invalid(message)
    return ApiError.invalid(f"Invalid {field[:100]}: {message}", param=field[:100])


def _duplicate(name: str) -> ApiError:
    return _invalid("Given more than once.", name)


def _bad_name(name: str) -> ApiError:
    return _invalid(
        "Not a parameter name: use name, name[inner], name[0] or name[], "
        f"at most {NAME_CHARS_MAX} characters.",
        name or "(empty)",
    )
