"""What resources declare for access is what their node serves, and nothing else."""

from types import SimpleNamespace
from typing import Any, cast

import falcon.inspect
import pytest
from access_kit import ATLAS, write_world

from bailiwick import resources
from bailiwick.access.app import build as build_access
from bailiwick.access.front import Front
from bailiwick.interlink.resource import ById, ByParam, Merged, Resource
from bailiwick.node.app import build as build_node
from bailiwick.orders.machine import Machine

EVERY = resources.every()
NONE = cast(Any, None)
Served = set[tuple[str, str]]


def served(app: Any, paths: tuple[str, ...]) -> Served:
    """Paths below these, with the methods that somebody answers."""
    return {
        (route.path, method.method)
        for route in falcon.inspect.inspect_routes(app)
        if route.path.startswith(paths)
        for method in route.methods
        if not method.internal and method.method != "OPTIONS"
    }


def declared(each: Resource) -> Served:
    return {(path.template, method) for path in each.paths for method in path.methods}


@pytest.fixture(scope="module")
def node() -> Any:
    machine = Machine(1, NONE, NONE, NONE, NONE, NONE, 1.0)
    return build_node(
        cast(
            Any,
            SimpleNamespace(
                number=1,
                machine=machine,
                refusals=SimpleNamespace(secret=b""),
                configurations=None,
                screener=None,
            ),
        )
    )


@pytest.fixture(scope="module")
def access(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("world")
    write_world(folder, {"europe": (1, "http://127.0.0.1:1")})
    return build_access(Front(folder, b"internal", atlas=ATLAS))


@pytest.mark.parametrize("each", EVERY, ids=lambda each: each.object)
def test_access_and_node_serve_what_is_declared(each: Resource, access: Any, node: Any) -> None:
    paths = tuple({path.template.partition("{")[0].rstrip("/") for path in each.paths})
    # A resource may be served below another's path, as a customer's payment methods are.
    wanted = {it for other in EVERY for it in declared(other) if it[0].startswith(paths)}
    assert declared(each) and declared(each) <= wanted
    assert served(access, paths) == wanted
    # An endpoint's PUT is access's own way to make one everywhere.
    assert {it for it in served(node, paths) if it[1] != "PUT"} == wanted


def test_names_and_prefixes_are_each_one_s_own() -> None:
    prefixes = [each.prefix for each in EVERY if each.prefix]
    assert len({each.object for each in EVERY}) == len(EVERY)
    assert len(set(prefixes)) == len(prefixes)


@pytest.mark.parametrize("each", EVERY, ids=lambda each: each.object)
def test_homes_are_found_by_prefixes_that_exist(each: Resource) -> None:
    known = {it.prefix for it in EVERY}
    for path in each.paths:
        for where in path.methods.values():
            if isinstance(where, ById):
                assert where.prefix in known and "{identifier}" in path.template
                assert where.prefix
            elif isinstance(where, ByParam):
                assert set(where.names.values()) <= known
            elif isinstance(where, Merged):
                assert set(where.narrowed.values()) <= known
        assert set(path.public) <= set(path.methods)
