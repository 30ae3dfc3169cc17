"""Faults put into the code on purpose: the tests named for each of them must fail.

``mutants.json`` holds each mutant as data: the edits (a text that occurs exactly once, and what
it becomes), why it would be dangerous, and the tests that have to notice it. A run of all tests
takes a sixth of them (``tests/campaign.py``).
"""

import compileall
import os
import py_compile
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from tests.campaign import part

ROOT = Path(__file__).parents[2]
TESTS_FAILED = 1
LEAST = 12
HANG_S = 1_500
"""Nothing here takes so long, however busy the machine is."""
SLOWER = 10
LEAST_S = 20.0
"""A mutant's test that has no end is ended after `SLOWER` times the longest that any of these
tests took without a fault in this very session, and not before `LEAST_S`. It counts as failed."""

pytestmark = pytest.mark.timeout(HANG_S + 100)


class Edit(msgspec.Struct, frozen=True):
    """One replacement in a file under src/."""

    file: str
    original: str
    mutated: str


class Mutant(msgspec.Struct, frozen=True):
    """A fault: ``tests`` are arguments for pytest."""

    name: str
    why: str
    edits: list[Edit]
    tests: list[str]


_LIST = Path(__file__).parent / "mutants.json"
MUTANTS = msgspec.json.decode(_LIST.read_bytes(), type=list[Mutant])
TODAY = part(MUTANTS, of=9)


class Copy:
    """A copy of the source that the tests run against."""

    def __init__(self, source: Path, dsn: str) -> None:
        self.source = source
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(source),
            "PYTHONDONTWRITEBYTECODE": "1",
            "BAILIWICK_TEST_DSN": dsn,
            "HYPOTHESIS_STORAGE_DIRECTORY": str(source.parent / "hypothesis"),
        }

    def run(self, *arguments: str, seconds: float = HANG_S) -> subprocess.CompletedProcess[str]:
        """Run Python on the copy, from the repository's root."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def test(self, *arguments: str, each_s: float) -> subprocess.CompletedProcess[str]:
        """Run tests on the copy, each for so long at most; the first failure is enough."""
        options = ("-q", "-x", "--no-header", "--tb=line", "-p", "no:cacheprovider")
        return self.run("-m", "pytest", *options, f"--timeout={each_s:.0f}", *arguments)

    def longest_s(self, *arguments: str) -> float:
        """How long the longest of these tests takes. They must pass."""
        report = self.source.parent / "report.xml"
        done = self.test(*arguments, f"--junit-xml={report}", each_s=HANG_S)
        assert done.returncode == 0, done.stdout[-2_000:]
        cases = ElementTree.parse(report).iter("testcase")
        return max(float(case.attrib["time"]) for case in cases)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory, server_dsn: str) -> Iterator[Copy]:
    place = tmp_path_factory.mktemp("mutants")
    source = place / "src"
    shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    # By hash: a file that was changed and changed back within a second is seen to be changed.
    by_hash = py_compile.PycInvalidationMode.CHECKED_HASH
    compileall.compile_dir(source, quiet=1, invalidation_mode=by_hash)
    yield Copy(source, server_dsn)
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="module")
def each_s(copy: Copy) -> float:
    """The time limit of a test. The tests pass without a fault: else a mutant would be "caught"
    by tests that fail anyway."""
    found = copy.run("-c", "import bailiwick; print(bailiwick.__file__)")
    assert found.stdout.startswith(str(copy.source)), found
    named = [mutant.tests for mutant in TODAY]
    plain = {test for tests in named if "-k" not in tests for test in tests}
    runs = [sorted(plain), *(tests for tests in named if "-k" in tests)]
    return max(LEAST_S, SLOWER * max(copy.longest_s(*tests) for tests in runs))


def test_the_list_is_sound() -> None:
    assert len(MUTANTS) >= LEAST
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    for mutant in MUTANTS:
        assert mutant.why and mutant.tests and mutant.edits
        for edit in mutant.edits:
            text = (ROOT / "src" / edit.file).read_text(encoding="utf-8")
            assert text.count(edit.original) == 1, f"{mutant.name}: {edit.original!r}"
            assert edit.original != edit.mutated


def test_without_a_fault_the_tests_pass(each_s: float) -> None:
    assert each_s >= LEAST_S


@pytest.mark.parametrize("mutant", TODAY, ids=lambda mutant: mutant.name)
def test_it_is_caught(mutant: Mutant, copy: Copy, each_s: float) -> None:
    kept: dict[Path, str] = {}
    try:
        for edit in mutant.edits:
            path = copy.source / edit.file
            text = path.read_text(encoding="utf-8")
            kept.setdefault(path, text)
            assert text.count(edit.original) == 1, "the code has changed: bring the mutant along"
            path.write_text(text.replace(edit.original, edit.mutated), encoding="utf-8")
        done = copy.test(*mutant.tests, each_s=each_s)
    finally:
        for path, text in kept.items():
            path.write_text(text, encoding="utf-8")
    assert done.returncode == TESTS_FAILED, (
        f"{mutant.name} was not caught ({mutant.why}):\n{done.stdout[-2_000:]}{done.stderr[-500:]}"
    )
