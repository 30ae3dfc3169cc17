"""Tests steer a payer: by the source of a charge, or by ``[sandbox: word]`` in its description."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from bailiwick_sandbox.bank.checks import source_of
from bailiwick_sandbox.bank.records import ChargeRequest, Refusal
from bailiwick_sandbox.bank.sources import PLAIN, SOURCES, STEERING, Ending, Source
from bailiwick_sandbox.families.expiry import USUAL_MS

_WAITS_MS: Final = 86_400_000
_NOTE: Final = re.compile(r"\[sandbox: *([A-Za-z0-9_]{1,64}) *\]")


class Course(NamedTuple):
    """How a charge that waits goes on by itself, and when the payer's time is up."""

    ends: Ending
    at: int
    until: int


def steered(request: ChargeRequest) -> str:
    """The test source by which a charge is steered; empty if it is not."""
    if request.flow == "token" or request.source:
        return request.source
    note = _NOTE.search(request.description or "")
    return f"pm_sandbox_{note[1]}" if note else ""


def source_if_known(request: ChargeRequest) -> Source | None:
    """What the source of a charge does, if there is such a source."""
    name = steered(request)
    if request.flow != "token" and name in ("", *STEERING):
        return PLAIN
    return SOURCES.get(name)


def source_asked(request: ChargeRequest) -> Source:
    """The same. Raises Refusal 400 for a source that is none, or a word that is none."""
    found = source_if_known(request)
    if found is not None:
        return found
    if request.source or request.flow == "token":
        return source_of(request.source)
    message = "There is no such word; docs/sandbox.md lists them."
    raise Refusal(400, "source_unknown", message, "description")


def course(request: ChargeRequest, source: Source, now: int, settle_ms: int) -> Course:
    """How a charge goes on whose payer is asked to act at ``now``. Where the request does not say
    until when, the payer has the usual time of the flow; one who never acts, ``settle_ms``. A
    provider that waits goes on for a day, whatever the request says: until it is told to give up.
    """
    word = "" if request.flow == "token" else steered(request)
    until = request.expires_at
    if word == "pm_sandbox_waits":
        until = now + _WAITS_MS
    if until is None:
        silent = word == "pm_sandbox_silent"
        until = now + (settle_ms if silent else USUAL_MS.get(request.flow, 0))
    ends: Ending = STEERING.get(word, "")
    if source.effect == "pending":
        ends = source.then
    if ends and now + settle_ms < until:
        return Course(ends, now + settle_ms, until)
    return Course("declined", until, until)
