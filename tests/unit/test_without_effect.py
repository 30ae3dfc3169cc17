"""Nothing is accepted and ignored but what one table lists, in the code and in the API guide."""

import ast
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import inspect

import bailiwick
from bailiwick.resources import modules
from bailiwick.resources.payment_method_configurations.types import TYPES
from tests import request_structs

ROOT = Path(bailiwick.__file__).parent
GUIDE = ROOT.parents[1] / "docs" / "api.md"
CONFIGURED = "bailiwick.resources.payment_method_configurations.params"
TABLE: dict[str, str] = {
    name: said
    for module in modules("params")
    for name, said in getattr(module, "WITHOUT_EFFECT", {}).items()
}


def structs(kind: Any) -> Iterator[Any]:
    """The structs within a described type."""
    if isinstance(kind, inspect.StructType):
        yield kind
    for inner in getattr(kind, "types", ()):
        yield from structs(inner)
    for name in ("item_type", "value_type"):
        if hasattr(kind, name):
            yield from structs(getattr(kind, name))


def parameters(kind: Any, closed: Collection[str] = ()) -> Iterator[str]:
    """The names of a request's parameters, at every depth but in these and what the table has."""
    for field in kind.fields:
        yield field.encode_name
        if field.encode_name not in closed and field.encode_name not in TABLE:
            for inner in structs(field.type):
                yield from parameters(inner, closed)


def read(tree: ast.AST) -> Iterator[str]:
    """The names that code reads: as an attribute, or one of several that it goes through."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Tuple | ast.List | ast.Set):
            for each in node.elts:
                if isinstance(each, ast.Constant) and isinstance(each.value, str):
                    yield each.value


def whole(tree: ast.AST) -> Iterator[str]:
    """The structures that are kept and shown as they are: what is in one, nobody has to read."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            for each in node.args if node.func.id == "plain" else ():
                if isinstance(each, ast.Attribute):
                    yield each.attr


def used(trees: Collection[ast.AST]) -> Iterator[Path]:
    """The folders of the resources that these modules use."""
    for tree in trees:
        for node in ast.walk(tree):
            module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
            if module.startswith("bailiwick.resources."):
                yield ROOT / "resources" / module.split(".")[2]


def answering(kind: type[msgspec.Struct]) -> Iterator[ast.AST]:
    """The modules that may answer a request with this struct: its resource's, and those of the
    resources that it uses; for one that several share, all resources'."""
    folders = [ROOT / "serving", ROOT / "jurisdiction", ROOT / "node"]
    package = ROOT.parent / kind.__module__.rpartition(".")[0].replace(".", "/")
    shared = package.parent == ROOT
    if shared:
        folders += (ROOT / "resources").iterdir()
    else:
        folders += {package, *used(list(parsed(package)))}
    for folder in folders:
        yield from parsed(folder)


def parsed(folder: Path) -> Iterator[ast.AST]:
    yield from (ast.parse(file.read_text()) for file in folder.rglob("*.py"))


def unread(kind: type[msgspec.Struct]) -> set[str]:
    """The parameters of a request that nothing reads and the table does not have."""
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    trees = list(answering(kind))
    known = {name for tree in trees for name in read(tree)}
    kept = {name for tree in trees for name in whole(tree)}
    # Each type of payment methods is a parameter of a configuration, read in one loop over them.
    looped = set(TYPES) if kind.__module__ == CONFIGURED else set()
    return set(parameters(described, kept)) - known - set(TABLE) - looped


@pytest.mark.parametrize("kind", request_structs.every(), ids=lambda kind: kind.__name__)
def test_every_parameter_is_read_or_in_the_table(kind: type[msgspec.Struct]) -> None:
    assert not unread(kind)


def test_a_new_parameter_that_nobody_reads_is_found() -> None:
    payments = next(each for each in request_structs.every() if each.__name__ == "CreatePayment")
    fields = [("amount", int), ("parameter_of_nobody", str), ("customer", str)]
    planted = msgspec.defstruct("Planted", fields, module=payments.__module__)
    assert unread(planted) == {"parameter_of_nobody"}


def test_the_table_has_only_parameters() -> None:
    known = set()
    for kind in request_structs.every():
        described = inspect.type_info(kind)
        assert isinstance(described, inspect.StructType)
        known |= set(parameters(described))
    assert len(known) > 30
    assert set(TABLE) <= known


def test_the_guide_has_the_same_table() -> None:
    page = GUIDE.read_text()
    part = page.partition("### Accepted without effect\n")[2].partition("\n### ")[0]
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| (.+) \|$", part, re.MULTILINE))
    assert rows == TABLE
