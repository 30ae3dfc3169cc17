"""The description of the API is valid, complete, and what the recorded answers are like."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from access_kit import access
from click.testing import CliRunner
from openapi_spec_validator import validate

from bailiwick import resources
from bailiwick.cli.openapi import command
from bailiwick.interlink.resource import Refused
from bailiwick.openapi import document, requests
from bailiwick.resources import modules
from bailiwick.resources.payments import render
from bailiwick.resources.payments.shape import PublicPaymentIntent
from tests import openapi_kit as kit
from tests import request_structs, sdk_page
from tests.golden.play import read
from tests.golden.script import load, scene_names

EVERY = resources.every()
OPERATIONS = {
    (method.upper(), template)
    for template, item in kit.described()["paths"].items()
    for method in item
    if method != "parameters"
}
SHAPES = {
    of: module.SHAPE.__name__
    for of, module in ((module.__name__.split(".")[2], module) for module in modules("shape"))
}
KINDS = {
    of.object: SHAPES[name.rpartition(".")[2]]
    for name, of in resources.packages()
    if name.rpartition(".")[2] in SHAPES
}
EARLY = {"assignment", "routing"}
"""What a payment's first event does not tell yet."""


def test_it_is_valid() -> None:
    validate(kit.described())


def test_every_route_of_every_resource_is_in_it() -> None:
    declared = {
        (method, path.template.replace("{identifier}", "{id}"))
        for each in EVERY
        for path in each.paths
        for method in path.methods
    }
    ours = {it for it in OPERATIONS if it not in declared}
    assert declared <= OPERATIONS
    assert {path for _, path in ours} == {
        "/v1/explain",
        "/v1/topology",
        "/openapi.json",
        "/healthz",
        "/readyz",
    }


def test_every_struct_of_a_request_is_bound_to_a_route() -> None:
    routes = {(method, requests.plain(template)) for method, template in OPERATIONS}
    bound = requests.bound()
    assert set(bound) <= routes
    shared = {"Retrieve", "SearchQuery", "Delete"}
    assert {it.__name__ for it in request_structs.every()} - shared == {
        it.__name__ for it in bound.values()
    }


def test_every_resource_has_a_shape() -> None:
    """One without is missing ``SHAPE`` in ``resources/<its folder>/shape.py``: what its renderer
    shows, as a struct (see ``serving/shapes.py``)."""
    assert document.undeclared()["objects"] == []


def test_every_body_is_described() -> None:
    """A POST without is missing a struct in ``params.py`` whose description begins with it."""
    assert document.undeclared()["bodies"] == []
    for method, template in OPERATIONS:
        of = kit.described()["paths"][template][method.lower()]
        assert ("requestBody" in of) == (method == "POST" and "deprecated" not in of)


def test_nothing_of_the_inside_is_told() -> None:
    text = document.written().decode()
    for word in ("bailiwick.", "msgspec", "postgres", "sql", "/internal", "/usage", "callbacks"):
        assert word not in text.lower(), word


def test_a_struct_for_no_route_or_two_for_one_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    one = msgspec.defstruct("One", [], module="bailiwick.resources.refunds.params")
    one.__doc__ = "POST /v1/refunds."
    monkeypatch.setattr("bailiwick.resources.refunds.params.One", one, raising=False)
    requests.bound.cache_clear()
    try:
        with pytest.raises(ValueError, match="v1/refunds"):
            requests.bound()
    finally:
        monkeypatch.undo()
        requests.bound.cache_clear()


def test_the_public_view_is_what_is_rendered() -> None:
    assert set(PublicPaymentIntent.__struct_fields__) == render._PUBLIC_INTENT


def test_the_command_prints_it() -> None:
    told = CliRunner().invoke(command)
    assert json.loads(told.output) == kit.described()


async def test_access_serves_it_to_everybody(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        answer = await it.call("GET", document.PATH, key=None)
        assert (answer.status, answer.header(b"content-type")) == (200, "application/json")
        assert json.loads(answer.body) == kit.described()
        assert not it.nodes[0].calls
        assert (await it.call("GET", f"{document.PATH}?x=1", key=None)).status == 400


def body_of(lines: list[str]) -> Any:
    """The JSON of a recorded answer; names stand for numbers, too."""
    place = next((n for n, line in enumerate(lines) if line[:1] in "{["), None)
    if place is None:
        return None
    text = "".join(line.lstrip(" ") for line in lines[place:])
    return json.loads(re.sub(r":<(time|figure)>", ":1", text))


def answers() -> Iterator[tuple[str, str, str, int, Any]]:
    """The recorded answers of access: name, method, path, status, body."""
    for name in scene_names():
        scene = load(name)
        to = {step.name: step for step in scene.steps}
        for said in read(scene.recorded.read_text(encoding="utf-8")):
            step = to[said.name]
            if step.to != "access" or step.raw is not None:
                continue
            method, _, path = said.lines[0].partition(" ")
            if method not in ("OPTIONS", "HEAD") and "/callbacks/" not in path:
                body = body_of(said.lines[2:])
                yield f"{name}: {said.name}", method, path, int(said.lines[1]), body


GOLDEN = list(answers())


def test_every_recorded_answer_is_as_described() -> None:
    found = [
        f"{name}: {fault}"
        for name, method, path, status, body in GOLDEN
        for fault in kit.wrong(method, path, status, body)
    ]
    assert not found, "\n".join(found[:40])
    described = [it for it in GOLDEN if kit.operation(it[1], it[2]) is not None]
    assert len(described) > 400
    assert len({(it[1], kit.template_of(it[2])) for it in described if it[3] == 200}) > 20


def within(value: Any, *, told: bool = False) -> Iterator[tuple[dict[str, Any], bool]]:
    """Every object of a known kind in an answer, and whether an event tells of it."""
    if isinstance(value, dict):
        kind = value.get("object")
        if isinstance(kind, str) and kind in KINDS:
            yield value, told
        for inner in value.values():
            yield from within(inner, told=told or kind == "event")
    elif isinstance(value, list):
        for inner in value:
            yield from within(inner, told=told)


def as_shaped(found: dict[str, Any], *, told: bool) -> list[str]:
    name = KINDS[found["object"]]
    choices = [name, "Deleted", *(["PublicPaymentIntent"] if name == "PaymentIntent" else [])]
    faults = [kit.faults(found, choice) for choice in choices]
    if any(not each for each in faults):
        return []
    missing = {f"(all): '{name}' is a required property" for name in EARLY}
    return [each for each in faults[0] if not (told and each in missing)]


def test_every_object_in_a_recorded_answer_has_its_shape() -> None:
    count, found = 0, []
    for name, _, _, _, body in GOLDEN:
        for each, told in within(body):
            count += 1
            found += [f"{name}: {fault}" for fault in as_shaped(each, told=told)]
    assert not found, "\n".join(found[:40])
    assert count > 300


@pytest.mark.parametrize("change", [{"amount": None}, {"amout": 1}, {"status": "paid"}])
def test_an_object_of_another_shape_is_found(change: dict[str, Any]) -> None:
    good = next(it[4] for it in GOLDEN if it[3] == 200 and (it[4] or {}).get("amount_received"))
    assert kit.faults(good, "PaymentIntent") == []
    assert kit.faults({**good, **change}, "PaymentIntent") != []
    less = {name: value for name, value in good.items() if name != "status"}
    assert kit.faults(less, "PaymentIntent") != []
    assert kit.wrong("GET", "/v1/payment_intents/pi_1", 418, {}) != []


def test_refused_routes_are_told_as_such() -> None:
    refused = {
        (method, path.template)
        for each in EVERY
        for path in each.paths
        for method, where in path.methods.items()
        if isinstance(where, Refused)
    }
    for method, template in refused:
        of = kit.described()["paths"][template.replace("{identifier}", "{id}")][method.lower()]
        assert "200" not in of["responses"] and of["description"]


def test_nothing_that_is_served_is_said_to_be_left_out() -> None:
    """What a new resource serves is no longer a row of ``docs/sdk-suite.md``."""
    left_out = set(sdk_page.table("Left out"))
    assert len(left_out) > 20 and not left_out & sdk_page.ours()
