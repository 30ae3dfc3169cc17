"""One scenario over everything, by the official SDKs of four languages, unmodified.

Each is a program of its own (`python/program.py`, `node/scenario.js`, `go/main.go`,
`java/Scenario.java`) whose base URL and key alone are ours; its shop has a default place, so that
no parameter is ours either. `scenario.py` has the steps and what must be seen.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.conftest import SHOPS, Demo
from tests.interop.kit import Books, Sink
from tests.interop.scenario import STEPS, Run, Step
from tests.interop.sdks import HERE, NODE_LOCK, PROGRAMS, Sdk, running

PAGE = HERE.parents[1] / "docs" / "sdks.md"


@pytest.fixture(scope="module", params=list(PROGRAMS))
def sdk(request: pytest.FixtureRequest, cache: Path, demo: Demo) -> Iterator[Sdk]:
    keys = {**SHOPS[request.param], "unknown": "sk_test_unknownUnknownUnknown"}
    with running(request.param, cache, demo["base_url"], keys) as program:
        yield program


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name.replace(" ", "-"))
def test_step(step: Step, sdk: Sdk, books: Books, sink: Sink) -> None:
    step.run(Run(sdk, books, sink))


def test_the_sdk_is_the_one_of_its_lock(sdk: Sdk) -> None:
    locked = {
        "python": _found(r"\nstripe==([\d.]+)", HERE.parents[1] / "requirements-dev.lock"),
        "node": json.loads(NODE_LOCK.read_text())["packages"]["node_modules/stripe"]["version"],
        "go": _found(r"stripe-go/v85 v([\d.]+)", HERE / "go" / "go.mod"),
        "java": _found(r"<version>([\d.]+\.\d+)</version>", HERE / "java" / "pom.xml"),
    }
    assert sdk.do("version")["sdk"] == locked[sdk.language]


def _found(pattern: str, file: Path) -> str:
    found = re.search(pattern, file.read_text())
    assert found is not None, file
    return found[1]


def test_the_lock_names_no_registry() -> None:
    lock = json.loads(NODE_LOCK.read_text())
    packages = [each for name, each in lock["packages"].items() if name]
    assert packages
    for each in packages:
        assert "resolved" not in each
        assert each["integrity"].startswith("sha512-")


def test_the_page_has_the_steps() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", PAGE.read_text(), re.MULTILINE)
    shown = [row for row in rows if row[0] in {step.name for step in STEPS}]
    assert shown == [(step.name, step.does, step.books) for step in STEPS]


def test_the_page_changes_addresses_as_the_programs_do() -> None:
    programs = [HERE / "node" / "scenario.js", HERE / "go" / "main.go"]
    programs.append(HERE / "java" / "Scenario.java")
    lines = {line.strip() for each in programs for line in each.read_text().splitlines()}
    blocks = re.findall(r"^```text\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == len(programs)
    assert {line.strip() for block in blocks for line in block.splitlines()} <= lines
