"""Plays a scene against a running system and writes down what it answers."""

import difflib
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.golden import wire
from tests.golden.normal import LEFT_OUT, Names, body_text, laid_out
from tests.golden.script import Scene, ScriptError, Step, filled, member
from tests.golden.system import System

_MARK = "##### "
_FORM = "application/x-www-form-urlencoded"
_PATIENCE_S = 60.0
_POLL_S = 0.05


@dataclass(frozen=True)
class Said:
    """One answer as it is recorded: the request's name, and lines."""

    name: str
    lines: list[str]


class Player:
    """Plays one scene; what it keeps and the names it gives end with the scene."""

    def __init__(self, system: System, scene: Scene) -> None:
        self._system = system
        self._scene = scene
        self._kept: dict[str, Any] = {}
        self._names = Names(system.addresses)

    def play(self) -> list[Said]:
        """Make all requests, one after the other.

        Raises:
            ScriptError: a request needs what no earlier answer said, or waited too long; the
                message names it.
        """
        found = []
        for step in self._scene.steps:
            try:
                said = self._said(step)
            except ScriptError as error:
                raise ScriptError(
                    f"scene {self._scene.name}, request '{step.name}': {error}"
                ) from None
            if said is not None:
                found.append(said)
        return found

    def _said(self, step: Step) -> Said | None:
        if step.publish is not None:
            self._system.publish(step.publish)
            return None
        shown, answer = self._answer(step)
        _until_the_next_millisecond()
        if step.keep is not None:
            self._kept[step.keep] = _document(answer)
        if step.silent:
            return None
        named = self._names.named
        lines = [named(shown), str(answer.status)]
        lines += sorted(
            named(f"{name}: {value}") for name, value in answer.headers if name not in LEFT_OUT
        )
        body = named(body_text(answer.body))
        return Said(step.name, [*lines, *(laid_out(body) if body else [])])

    def _answer(self, step: Step) -> tuple[str, wire.Answer]:
        """The request in short and its answer, asked for again until it is what is waited for."""
        request, method, shown = self._request(step)
        url = self._system.url(step.to)
        answer = wire.exchange(url, request, method)
        deadline = time.monotonic() + _PATIENCE_S
        while step.until is not None and not _reached(_document(answer), step.until):
            if time.monotonic() > deadline:
                raise ScriptError(f"waited in vain for {step.until}; the answer is {answer.body!r}")
            time.sleep(_POLL_S)
            answer = wire.exchange(url, request, method)
        return shown, answer

    def _request(self, step: Step) -> tuple[bytes, str, str]:
        """The bytes of a request, its method, and itself in short."""
        if step.raw is not None:
            raw = filled(step.raw, self._kept)
            return raw.encode("latin-1"), raw.partition(" ")[0], raw.partition("\r\n")[0][:100]
        method, _, target = filled(step.send, self._kept).partition(" ")
        parts = urlsplit(target)
        if parts.scheme:  # an address that an answer gave
            target = parts.path + (f"?{parts.query}" if parts.query else "")
        body, kind = self._body(step)
        headers = self._headers(step, kind, body)
        host = urlsplit(self._system.url(step.to)).netloc
        shown = f"{method} {target}"
        return wire.head(method, target, host, headers) + (body or b""), method, shown[:200]

    def _body(self, step: Step) -> tuple[bytes | None, str | None]:
        if step.form is not None:
            return filled(step.form, self._kept).encode(), step.type or _FORM
        if step.json is not None:
            text = json.dumps(step.json, ensure_ascii=False, separators=(",", ":"))
            return filled(text, self._kept).encode(), "application/json"
        if step.body is not None:
            return filled(step.body, self._kept).encode("latin-1"), step.type
        return (b"" if step.send.startswith("POST") else None), step.type

    def _headers(self, step: Step, kind: str | None, body: bytes | None) -> list[tuple[str, str]]:
        headers = []
        if step.key != "none" and step.to != "sandbox":
            headers.append(("Authorization", f"Bearer {self._system.keys[step.key]}"))
        for name, given in step.headers.items():
            for value in [given] if isinstance(given, str) else given:
                headers.append((name, filled(value, self._kept)))
        if kind is not None:
            headers.append(("Content-Type", kind))
        if body is not None:
            headers.append(("Content-Length", str(len(body))))
        return headers


def _until_the_next_millisecond() -> None:
    """Ids sort by their milliseconds: what the next request makes shall sort after this one's."""
    now = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 <= now:
        time.sleep(0.0002)


def _document(answer: wire.Answer) -> Any:
    try:
        return json.loads(answer.body)
    except ValueError:
        return None


def _reached(document: Any, wanted: dict[str, Any]) -> bool:
    try:
        return all(member(document, path) == value for path, value in wanted.items())
    except ScriptError:
        return False


def written(answers: list[Said]) -> str:
    """The text of a file of recorded answers."""
    return "\n\n".join("\n".join([_MARK + said.name, *said.lines]) for said in answers) + "\n"


def read(text: str) -> list[Said]:
    """The inverse of ``written``."""
    found: list[Said] = []
    for line in text.split("\n"):
        if line.startswith(_MARK):
            found.append(Said(line.removeprefix(_MARK), []))
        elif found:
            found[-1].lines.append(line)
    for said in found:
        while said.lines and not said.lines[-1]:
            said.lines.pop()
    return found


def differences(recorded: list[Said], now: list[Said]) -> list[str]:
    """For each request that is answered otherwise than recorded: its name and the difference."""
    before = {said.name: said for said in recorded}
    found = []
    for said in now:
        old = before.pop(said.name, None)
        if old is None:
            found.append(f"request '{said.name}' has no recorded answer")
        elif old.lines != said.lines:
            changed = difflib.unified_diff(old.lines, said.lines, "recorded", "now", "", "", 3, "")
            found.append("\n".join([f"request '{said.name}'", *changed]))
    found += [f"request '{name}' is recorded, but not in the scene" for name in before]
    if not found and [said.name for said in recorded] != [said.name for said in now]:
        found.append("the requests come in another order than recorded")
    return found
