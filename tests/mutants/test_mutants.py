"""Faults put into the code on purpose: the tests named for each of them must fail.

``mutants.json`` holds each mutant as data: the edits (a text that occurs exactly once, and what
it becomes), why it would be dangerous, and the tests that have to notice it.
"""

import compileall
import os
import py_compile
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
TESTS_FAILED = 1
LEAST = 12


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

    def run(self, *arguments: str, seconds: float = 90) -> subprocess.CompletedProcess[str]:
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

    def test(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run tests on the copy; the first failure is enough."""
        options = ("-q", "-x", "--no-header", "--tb=line", "--timeout=20", "-p", "no:cacheprovider")
        return self.run("-m", "pytest", *options, *arguments)


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


def test_the_list_is_sound() -> None:
    assert len(MUTANTS) >= LEAST
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    for mutant in MUTANTS:
        assert mutant.why and mutant.tests and mutant.edits
        for edit in mutant.edits:
            text = (ROOT / "src" / edit.file).read_text(encoding="utf-8")
            assert text.count(edit.original) == 1, f"{mutant.name}: {edit.original!r}"
            assert edit.original != edit.mutated


def test_without_a_fault_the_tests_pass(copy: Copy) -> None:
    """Else a mutant would be "caught" by tests that fail anyway."""
    found = copy.run("-c", "import bailiwick; print(bailiwick.__file__)")
    assert found.stdout.startswith(str(copy.source)), found
    named = [mutant.tests for mutant in MUTANTS]
    plain = {test for tests in named if "-k" not in tests for test in tests}
    done = copy.test(*sorted(plain))
    assert done.returncode == 0, done.stdout[-2_000:]
    for tests in named:
        if "-k" in tests:
            assert copy.test(*tests).returncode == 0


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_it_is_caught(mutant: Mutant, copy: Copy) -> None:
    kept: dict[Path, str] = {}
    try:
        for edit in mutant.edits:
            path = copy.source / edit.file
            text = path.read_text(encoding="utf-8")
            kept.setdefault(path, text)
            assert text.count(edit.original) == 1, "the code has changed: bring the mutant along"
            path.write_text(text.replace(edit.original, edit.mutated), encoding="utf-8")
        done = copy.test(*mutant.tests)
    finally:
        for path, text in kept.items():
            path.write_text(text, encoding="utf-8")
    assert done.returncode == TESTS_FAILED, (
        f"{mutant.name} was not caught ({mutant.why}):\n{done.stdout[-2_000:]}{done.stderr[-500:]}"
    )
