"""Every parameter that stripe-python types for a route of ours is read, or refused by its name with
what to do instead: none is unknown, and none is ignored."""

import sys
from collections.abc import Iterator

import msgspec
import pytest
from msgspec import inspect
from stripe import params as typed
from stripe._request_options import RequestOptions

from bailiwick import resources
from bailiwick.base.errors import ApiError
from bailiwick.interlink.resource import Path, Refused, Resource
from bailiwick.openapi import requests
from bailiwick.wire.params import struct_from

OPTIONS = set(RequestOptions.__annotations__)
LISTED = {"POST": "Create", "GET": "List"}
ONE = {"POST": "Update", "GET": "Retrieve", "DELETE": "Delete"}


def camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def typed_for(of: Resource, path: Path, method: str) -> set[str]:
    """The parameters that the SDK types for a route; none for a route that is ours alone."""
    rest = path.template.removeprefix(of.path).strip("/")
    verb = {"": LISTED, "{identifier}": ONE}.get(rest, {}).get(method)
    name = camel(of.object) + (verb or camel(rest.rpartition("/")[2].strip("{}"))) + "Params"
    found = getattr(typed, name, None)
    return set() if found is None else set(found.__annotations__) - OPTIONS


def routes() -> Iterator[tuple[str, str, type[msgspec.Struct], str]]:
    """Method, template, the struct that is read, and a parameter that is typed."""
    for of in resources.every():
        for path in of.paths:
            for method, where in path.methods.items():
                searched = path.template.endswith("/search")
                kind = requests.struct_of(method, path.template, searched=searched)
                if not isinstance(where, Refused) and kind is not None:
                    for name in sorted(typed_for(of, path, method)):
                        yield method, path.template, kind, name


ROUTES = list(routes())


def undone(method: str, kind: type[msgspec.Struct]) -> dict[str, str]:
    """What a request does not do, and what to do instead: in its struct, or (a body) beside it."""
    tables = [getattr(kind, "UNDONE", {})]
    if method == "POST":
        beside = vars(sys.modules[kind.__module__])
        tables += [table for name, table in beside.items() if name.startswith("UNDONE")]
    return {name: why for table in tables for name, why in table.items()}


def test_the_sdk_types_what_is_served() -> None:
    assert len(ROUTES) > 300


@pytest.mark.parametrize(
    ("method", "template", "kind", "name"), ROUTES, ids=[f"{m} {t} {n}" for m, t, _, n in ROUTES]
)
def test_a_typed_parameter_is_read_or_refused_with_a_reason(
    method: str, template: str, kind: type[msgspec.Struct], name: str
) -> None:
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    if name not in {field.encode_name for field in described.fields}:
        assert len(undone(method, kind).get(name, "")) > 8, f"{method} {template}: {name}"


def test_what_a_struct_does_not_do_is_refused_with_the_remedy() -> None:
    kinds = {kind for _, _, kind, _ in ROUTES if hasattr(kind, "UNDONE")}
    assert len(kinds) > 5
    for kind in kinds:
        for name, instead in kind.UNDONE.items():  # type: ignore[attr-defined]
            with pytest.raises(ApiError) as refused:
                struct_from({name: "x"}, kind)
            assert (refused.value.param, refused.value.code) == (name, "parameter_unsupported")
            assert instead in refused.value.message
