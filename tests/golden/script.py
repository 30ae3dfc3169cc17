"""The script: scenes of requests, as data in ``scenes/*.json``.

A scene is ``{"about": ..., "requests": [...]}``. A request has

* ``name``: unique in its scene; it finds the recorded answer;
* ``send``: method and target, such as ``"GET /v1/refunds?limit=2"``;
* one body at most: ``form`` (sent as it stands), ``json`` (an object), or ``body`` (any text; one
  byte a character) with ``type``;
* ``key``: whose API key: ``demo`` (the default), ``demo.pk``, ``other``, ``other.pk``, ``home``,
  ``home.live``, or ``none``;
* ``headers``: more header lines; a list of values gives a header several times;
* ``to``: ``access`` (the default), ``sandbox``, or a node's name;
* ``raw``: the whole request instead, byte for character; the connection is closed by the server;
* ``as``: a name for the answer: later requests say ``{name.id}`` or ``{name.data.0.id}``;
* ``until``: the request (a GET) is repeated until these members of its answer have these values;
* ``each``: the request is made for each of these texts, which stand for ``{it}``;
* ``silent``: true where the answer is not compared (a request that only sets the scene);
* ``publish``: instead of a request: pairs of texts, old and new, by which the topology is changed
  and published as the next epoch.

``{x*300}`` stands for 300 times ``x`` (a text of one to eight characters).
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tests.golden.normal import visible

FOLDER = Path(__file__).parent
SCENES = FOLDER / "scenes"
ANSWERS = FOLDER / "answers"

_KEPT = re.compile(r"\{([a-z][a-z0-9_]*)((?:\.[a-z0-9_]+)+)\}")
_TIMES = re.compile(r"\{([^{}]{1,8})\*(\d+)\}")


class ScriptError(Exception):
    """The script is wrong, or an earlier answer has not what a request needs of it."""


@dataclass(frozen=True)
class Step:
    """One request of a scene; see the module's description."""

    name: str
    send: str = ""
    form: str | None = None
    json: Any = None
    body: str | None = None
    type: str | None = None
    key: str = "demo"
    headers: dict[str, str | list[str]] = field(default_factory=dict)
    to: str = "access"
    raw: str | None = None
    keep: str | None = None
    until: dict[str, Any] | None = None
    silent: bool = False
    publish: list[list[str]] | None = None


@dataclass(frozen=True)
class Scene:
    """Requests that belong together, in order."""

    name: str
    steps: list[Step]

    @property
    def recorded(self) -> Path:
        """The file of its recorded answers."""
        return ANSWERS / f"{self.name}.txt"


def scene_names() -> list[str]:
    """All scenes, in the order in which they are played."""
    return sorted(file.stem for file in SCENES.glob("*.json"))


def load(name: str) -> Scene:
    """A scene by its name. Raises ScriptError."""
    document = json.loads((SCENES / f"{name}.json").read_text(encoding="utf-8"))
    steps = list(_steps(name, document["requests"]))
    names = [step.name for step in steps]
    twice = {each for each in names if names.count(each) > 1}
    if twice:
        raise ScriptError(f"{name}: names used twice: {', '.join(sorted(twice))}")
    return Scene(name, steps)


def _steps(scene: str, requests: list[dict[str, Any]]) -> Iterator[Step]:
    known = {each.name for each in fields(Step)} - {"keep"} | {"as", "each"}
    for request in requests:
        wrong = set(request) - known
        if wrong:
            raise ScriptError(f"{scene}: {request.get('name')}: unknown {', '.join(sorted(wrong))}")
        given = dict(request)
        each = given.pop("each", None)
        given["keep"] = given.pop("as", None)
        if each is None:
            yield Step(**given)
        for it in each or ():
            made = _with(given, it)
            yield Step(**{**made, "name": visible(made["name"])})


def _with(value: Any, it: str) -> Any:
    if isinstance(value, str):
        return value.replace("{it}", it)
    if isinstance(value, dict):
        return {name: _with(inner, it) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with(inner, it) for inner in value]
    return value


def filled(text: str, kept: dict[str, Any]) -> str:
    """A text with what earlier answers said. Raises ScriptError."""

    def value(found: re.Match[str]) -> str:
        return str(member(kept.get(found[1]), found[2][1:], found[0]))

    text = _KEPT.sub(value, text)
    return _TIMES.sub(lambda found: found[1] * int(found[2]), text)


def member(document: Any, path: str, shown: str = "") -> Any:
    """``a.0.b`` of a JSON document. Raises ScriptError."""
    for part in path.split("."):
        try:
            document = document[int(part) if isinstance(document, list) else part]
        except (KeyError, IndexError, TypeError, ValueError):
            raise ScriptError(f"no earlier answer has {shown or path}") from None
    return document
