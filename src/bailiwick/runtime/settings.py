"""Settings: a TOML file read into a msgspec struct, with `BAILIWICK_*` variables over it.

    settings = read(Path("node.toml"), NodeSettings)

A variable names a field of the top table in capitals (`BAILIWICK_LISTEN`), or one of a table
in it after two underscores (`BAILIWICK_DATABASE__LANES`). Text is taken as it is; other types
are written as in TOML (`true`, `8`, `["IN", "PK"]`). Variables that name no field are left to
the other programs that share the environment.

A command may put its own options over both. Every problem is a `SettingsError` line that names
file, variable or option, field and remedy. What a field means stands in its `Meta(description)`:
the options' help and the documentation's tables are made of it.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

import msgspec

PREFIX: Final = "BAILIWICK_"
MOST_BYTES: Final = 1 << 20

S = TypeVar("S", bound=msgspec.Struct)
File = Annotated[str, msgspec.Meta(extra={"file": True})]
"""A field that names a file or folder. In a settings file it counts from that file's folder."""


class SettingsError(Exception):
    """Settings cannot be used; `problems` has one line for each reason."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def read(path: Path, kind: type[S], *, environ: Mapping[str, str] | None = None) -> S:
    """The file's settings with the environment's over them.

    Raises:
        SettingsError: the file is missing, is no TOML, or does not fit `kind`.
    """
    return convert(_table(path), kind, source=str(path), environ=environ)


def layered(
    path: Path | None,
    kind: type[S],
    options: Mapping[str, str | bool | None],
    *,
    source: str,
    environ: Mapping[str, str] | None = None,
) -> S:
    """A command's settings: its options over the environment over a file, if there is one.

    `options` has field names and texts, None for what was not given. A relative `File` of the
    settings file counts from that file's folder, any other from the working directory.

    Raises:
        SettingsError: as `read`; without a file, `source` is named in problems.
    """
    if path is None:
        return convert({}, kind, source=source, environ=environ, options=options)
    table = _table(path)
    base = path.resolve().parent
    for each in describe(kind):
        value = table.get(each.name)
        if each.file and isinstance(value, str) and value:
            table[each.name] = str(base / value)
    return convert(table, kind, source=str(path), environ=environ, options=options)


def convert(
    table: dict[str, Any],
    kind: type[S],
    *,
    source: str,
    environ: Mapping[str, str] | None = None,
    options: Mapping[str, str | bool | None] | None = None,
) -> S:
    """The same for a table that has been read already; `source` is named in problems."""
    origin: dict[str, str] = {}
    merged = _overlay(table, kind, PREFIX, os.environ if environ is None else environ, origin, "")
    for each in msgspec.structs.fields(kind) if options else ():
        given = (options or {}).get(each.name)
        if given is not None:
            plain = isinstance(given, bool)
            merged[each.encode_name] = given if plain else _value(str(given), each.type)
            origin[each.encode_name] = "--" + each.name.replace("_", "-")
    strays = [f"{source}: {line}" for line in _strays(merged, kind, "")]
    if strays:
        raise SettingsError(*strays)
    try:
        return msgspec.convert(merged, kind)
    except msgspec.ValidationError as error:
        field, text = _explain(str(error))
        place = origin.get(field, "")
        raise SettingsError(f"{place or source}: {field or 'top table'}: {text}") from None


class Setting(msgspec.Struct, frozen=True):
    """One field of settings, as people are told of it.

    `default` is written as in TOML; "" where there is none because the field is required.
    """

    name: str
    variable: str
    default: str
    meaning: str
    required: bool
    file: bool
    flag: bool


def describe(kind: type[msgspec.Struct]) -> list[Setting]:
    """The fields of settings, in order."""
    found = []
    for field in msgspec.structs.fields(kind):
        metas = _metas(field.type)
        required = field.default is msgspec.NODEFAULT and field.default_factory is msgspec.NODEFAULT
        default = field.default
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        found.append(
            Setting(
                name=field.encode_name,
                variable=PREFIX + field.encode_name.upper(),
                default="" if required else _shown(default),
                meaning=next((m.description for m in metas if m.description), ""),
                required=required,
                file=any(meta.extra and meta.extra.get("file") for meta in metas),
                flag=bool in _alternatives(field.type),
            )
        )
    return found


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    return msgspec.json.encode(value).decode() if value else "none"


def field_value(kind: type[msgspec.Struct], name: str, text: str) -> Any:
    """A field's value out of a text as the environment would give it. Raises SettingsError."""
    fields = {each.encode_name: each.type for each in msgspec.structs.fields(kind)}
    if name not in fields:
        guess = difflib.get_close_matches(name, fields, 1)
        hint = f"did you mean {guess[0]}?" if guess else f"known: {', '.join(fields)}"
        raise SettingsError(f"{name}: unknown field; {hint}")
    return _value(text, fields[name])


def secret(reference: str, *, base: Path, field: str, plain: bool = False) -> str:
    """The secret that a setting refers to: `env:NAME`, `file:PATH`, or `plain:...`.

    A relative path counts from `base`. `plain` allows the secret itself in the settings,
    which is for test mode only. Raises SettingsError; its message never has the secret.
    """
    scheme, _, rest = reference.partition(":")
    if scheme == "env" and rest:
        value = os.environ.get(rest)
        if not value:
            raise SettingsError(f"{field}: the environment has no {rest}; set it")
        return value
    if scheme == "file" and rest:
        path = base / rest
        try:
            value = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise SettingsError(f"{field}: {path} cannot be read: {reason}") from None
        if not value:
            raise SettingsError(f"{field}: {path} is empty; write the secret into it")
        return value
    if scheme == "plain" and rest:
        if not plain:
            raise SettingsError(
                f"{field}: a plain secret is allowed in test mode only; use env:NAME or file:PATH"
            )
        return rest
    raise SettingsError(f"{field}: write env:NAME or file:PATH")


def _table(path: Path) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be read: {error.strerror}; give the path of an existing file"
        ) from None
    if len(raw) > MOST_BYTES:
        raise SettingsError(f"{path}: is {len(raw)} bytes; at most {MOST_BYTES} are allowed")
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: is not valid TOML: {error}; correct it there") from None


def _overlay(
    table: dict[str, Any],
    kind: type[msgspec.Struct],
    prefix: str,
    environ: Mapping[str, str],
    origin: dict[str, str],
    path: str,
) -> dict[str, Any]:
    merged = dict(table)
    for field in msgspec.structs.fields(kind):
        name = prefix + field.encode_name.upper()
        at = f"{path}{field.encode_name}"
        inner = _struct_of(field.type)
        if inner is not None:
            below = merged.get(field.encode_name, {})
            if isinstance(below, dict):
                over = _overlay(below, inner, name + "__", environ, origin, at + ".")
                if over:
                    merged[field.encode_name] = over
        elif name in environ:
            merged[field.encode_name] = _value(environ[name], field.type)
            origin[at] = name
    return merged


def _value(text: str, kind: Any) -> Any:
    """An environment's text as the TOML value that the field's type asks for."""
    if str in _alternatives(kind):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        if any(get_origin(one) is list and get_args(one)[0] is str for one in _alternatives(kind)):
            return text.split()  # a list of texts without spaces may also be written so
        return text  # msgspec names the type that was expected


def _alternatives(kind: Any) -> tuple[Any, ...]:
    """The types that a field's value may have, without what is only said about them."""
    if get_origin(kind) is Annotated:
        return _alternatives(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return tuple(one for each in get_args(kind) for one in _alternatives(each))
    return (kind,)


def _metas(kind: Any) -> list[msgspec.Meta]:
    if get_origin(kind) is Annotated:
        return [each for each in get_args(kind)[1:] if isinstance(each, msgspec.Meta)]
    return []


def _struct_of(kind: Any) -> type[msgspec.Struct] | None:
    for one in _alternatives(kind):
        if isinstance(one, type) and issubclass(one, msgspec.Struct):
            return one
    return None


def _strays(value: Any, kind: Any, path: str) -> list[str]:
    """Fields that the struct does not have, with the nearest that it has."""
    listed = next((one for one in _alternatives(kind) if get_origin(one) in (list, tuple)), None)
    if listed is not None and isinstance(value, list):
        item = get_args(listed)[0]
        return [
            line
            for number, one in enumerate(value)
            for line in _strays(one, item, f"{path}[{number}]")
        ]
    inner = _struct_of(kind)
    if inner is None or not isinstance(value, dict):
        return []
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(inner)}
    lines: list[str] = []
    for name, one in value.items():
        at = f"{path}.{name}" if path else name
        if name in fields:
            lines += _strays(one, fields[name], at)
            continue
        guess = difflib.get_close_matches(name, fields, 1)
        hint = f"did you mean {guess[0]}?" if guess else f"known: {', '.join(fields)}"
        lines.append(f"{at}: unknown field; {hint}")
    return lines


def _explain(message: str) -> tuple[str, str]:
    """(field, text) of a msgspec message such as "Expected `int`, got `str` - at `$.port`"."""
    text, _, place = message.partition(" - at ")
    field = place.strip("`").removeprefix("$").removeprefix(".")
    missing = re.fullmatch(r"Object missing required field `(\w+)`", text)
    if missing:
        return (f"{field}.{missing.group(1)}" if field else missing.group(1)), "is missing; add it"
    text = text.replace("`", "").replace("Expected", "expected", 1)
    return field, f"{text}; correct the value"
