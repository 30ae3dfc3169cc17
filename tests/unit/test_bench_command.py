"""`bailiwick bench`: each mode has options of its own, and says whose the others are."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bailiwick_lab.commands import bench

REPO = Path(__file__).parents[2]
MODES = ("open", "flood", "isolation", "scaling", "standby", "neighbour", "routing")
Measured = list[tuple[Any, ...]]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    """What would have been measured: nothing is started here."""
    seen: Measured = []
    monkeypatch.setattr(bench, "_report", lambda shared, load, **how: seen.append((shared, how)))
    monkeypatch.setattr(bench, "_simulate", lambda *how: seen.append(how))
    return seen


def run(*words: str) -> Result:
    return CliRunner().invoke(bench.command, words, prog_name="bailiwick bench")


def shown() -> list[tuple[str, ...]]:
    """The arguments of every `bailiwick bench` in the documentation."""
    found: set[tuple[str, ...]] = set()
    for page in (REPO / "README.md", *(REPO / "docs").rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        lines = re.findall(r"`bailiwick bench( [^`]*)?`", text)
        lines += re.findall(r"(?m)^\$ bailiwick bench( [^>|\n]*)?", text)
        found |= {tuple(shlex.split(line)) for line in lines}
    return sorted(found)


@pytest.mark.parametrize("words", shown(), ids=" ".join)
def test_what_is_documented_is_understood(words: tuple[str, ...], measured: Measured) -> None:
    done = run(*words)
    assert done.exit_code == 0, done.output
    assert len(measured) == ("--help" not in words)


def test_the_documentation_shows_every_mode() -> None:
    assert set(bench.command.commands) == set(MODES) <= {mode for mode, *_ in filter(None, shown())}


@pytest.mark.parametrize("mode", MODES)
def test_help_is_of_the_mode_alone(mode: str) -> None:
    done = run(mode, "--help")
    assert done.exit_code == 0
    own = {each.opts[0] for each in bench.command.commands[mode].params}
    assert set(re.findall(r"(?m)^  (--[a-z-]+)", done.output)) == own | {"--help"}


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("--rate 100", "--rate is an option of: bailiwick bench open, bailiwick bench scaling"),
        ("--dead frozen", "--dead is an option of: bailiwick bench isolation"),
        ("flood --spread", "--spread is an option of: bailiwick bench, bailiwick bench open"),
        ("scaling --payments 9", "--payments is an option of: bailiwick bench, bailiwick bench op"),
        ("open --no-locate", "--no-locate is an option of: bailiwick bench"),
        ("standby --node-share=0.3", "--node-share is an option of: bailiwick bench flood"),
        ("flood --flood-rate 9", "--flood-rate is an option of: bailiwick bench neighbour"),
        ("--mode flood", "bailiwick bench flood"),
        ("--seconds 1 flood", "options of a mode stand after it: bailiwick bench flood --seconds"),
        ("flood --target node --target access", "of one node"),
        ("isolation --nodes 1", "two nodes at least"),
        ("open --nonsense", "No such option"),
        ("closed", "No such command"),
    ],
)
def test_an_option_of_another_mode_is_refused(words: str, hint: str, measured: Measured) -> None:
    done = run(*words.split())
    assert (done.exit_code, measured) == (2, [])
    assert hint in done.output


def test_what_is_given_is_what_is_measured(measured: Measured) -> None:
    words = "--target node --clients 8 --seconds 2 --warmup 0 --pgbench --no-locate --json"
    assert run(*words.split()).exit_code == 0
    assert run(*"scaling --nodes 2 --idle 3 --delay lognormal".split()).exit_code == 0
    (closed, how), (scaling, further) = measured
    assert (closed.clients, closed.seconds, closed.warmup, closed.as_json) == (8, 2.0, 0.0, True)
    assert how == {"floor_s": 2.0, "locating": False}
    assert further == {"access": 2, "idle_s": 3.0}
    assert scaling.scenario(rate=5.0).delay == "lognormal"
