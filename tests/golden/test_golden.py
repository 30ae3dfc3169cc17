"""Golden answers: recorded requests are answered as before, byte for byte.

The scenes (``scenes/*.json``, described in ``script.py``) are played in order against the real
processes over HTTP: access, three nodes with PostgreSQL, and the sandbox. Status, headers and
body of each answer must be those in ``answers/*.txt``, but for ids, times and addresses, which
get names (``normal.py``).

A difference is a change of behaviour. Where it is intended, and only then, record again with
``python -m tests.golden.record`` and have the difference of ``answers/`` reviewed with the change.
"""

import time
from collections.abc import Iterator

import pytest

from tests.golden.normal import Names, laid_out
from tests.golden.play import Player, Said, differences, read, written
from tests.golden.script import load, scene_names
from tests.golden.system import System, running

pytestmark = pytest.mark.timeout(600)

SHOWN_MAX = 5
"""Differences of one scene that are shown in full."""


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    """A fresh system for all scenes."""
    with running() as found:
        yield found


@pytest.mark.parametrize("name", scene_names())
def test_answers_are_as_recorded(system: System, name: str) -> None:
    scene = load(name)
    now = Player(system, scene).play()
    recorded = read(scene.recorded.read_text(encoding="utf-8")) if scene.recorded.exists() else []
    found = differences(recorded, now)
    if found:
        shown = "\n\n".join(found[:SHOWN_MAX])
        more = f"\n\n... and {len(found) - SHOWN_MAX} more" if len(found) > SHOWN_MAX else ""
        pytest.fail(
            f"scene {name}: {len(found)} of {len(now)} answers differ\n\n{shown}{more}\n\n"
            "If this change of behaviour is intended: python -m tests.golden.record",
            pytrace=False,
        )


def test_there_are_enough_requests() -> None:
    assert sum(len(load(name).steps) for name in scene_names()) >= 200


def test_what_is_written_is_read() -> None:
    answers = [Said("a", ["GET /", "200", "", '{"a":1}']), Said("b", ["204"])]
    assert read(written(answers)) == answers


def test_a_difference_is_told_by_the_name_of_its_request() -> None:
    before = [Said("a", ["GET /a", "200", "{}"]), Said("b", ["GET /b", "200"]), Said("c", [])]
    now = [Said("a", ["GET /a", "200", '{"x":1}']), Said("b", ["GET /b", "200"]), Said("d", [])]
    changed, new, gone = differences(before, now)
    assert changed.startswith("request 'a'\n") and '-{}\n+{"x":1}' in changed
    assert new == "request 'd' has no recorded answer"
    assert gone == "request 'c' is recorded, but not in the scene"
    assert differences(before[:2], [before[1], before[0]]) != []


def test_the_layout_only_adds_line_breaks() -> None:
    text = '{"a":"' + "x{,[" * 30 + r'\""' + ',"b":[' + ",".join(['{"c":1}'] * 20) + '],"d":{}}'
    lines = laid_out(text)
    assert len(lines) > 20
    assert "".join(line.lstrip(" ") for line in lines) == text


def test_names_are_given_in_order() -> None:
    names = Names({"http://127.0.0.1:9": "access"})
    one, two = "pi_" + "0" * 26, "pi_" + "1" * 26
    told = names.named(f'{{"id":"{two}","of":"{one}","url":"http://127.0.0.1:9/{two}"}}')
    assert told == '{"id":"<pi.1>","of":"<pi.2>","url":"<access>/<pi.1>"}'
    assert names.named(f'"created":{int(time.time())}') == '"created":<time>'
