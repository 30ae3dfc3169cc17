"""Every parameter that stripe-python types for a route of ours is read, or refused by its name with
what to do instead: none is unknown, and none is ignored."""

import sys

import msgspec
import pytest
from msgspec import inspect

from bailiwick.base.errors import ApiError
from bailiwick.wire.params import struct_from
from tests.typed_kit import ROUTES


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
