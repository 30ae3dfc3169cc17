"""Plans: what an operator is about to do, in words, and the steps that do it.

plan = await serving.drain(site, "europe")
print(*plan.preview.lines(), sep="\\n")
await carry_out(plan, say=print)
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

Say = Callable[[str], None]
_SECTIONS: Final = {
    "writes": "What is written",
    "in_flight": "Payments under way",
    "new": "New payments",
    "final": "Cannot be undone",
    "before": "Before you go on",
    "takes": "Time",
}


class ControlError(Exception):
    """A step could not be done, or a plan must not be carried out; the message has the remedy."""


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What will happen, for a person who decides.

    Attributes:
        writes: what is written where, in order.
        in_flight: what becomes of payments that are under way.
        new: where new payments go.
        final: what cannot be undone.
        before: what the person must know or have done.
        takes: how long it takes.
    """

    writes: list[str] = []
    in_flight: list[str] = []
    new: list[str] = []
    final: list[str] = []
    before: list[str] = []
    takes: list[str] = []

    def lines(self) -> list[str]:
        """For people."""
        found = []
        for field, title in _SECTIONS.items():
            said: list[str] = getattr(self, field)
            if said:
                found += [f"{title}:", *(f"  {line}" for line in said)]
        return found


class Step(msgspec.Struct, frozen=True):
    """One step. ``run`` returns what it did or found, in words; done before, it changes nothing.

    Raises ControlError.
    """

    title: str
    run: Callable[[Say], Awaitable[str]]


class Plan(msgspec.Struct, frozen=True):
    """An operation on one node.

    Attributes:
        confirm: what a person must type before it is carried out; "" where a yes will do.
        facts: what the steps find out, for programs.
    """

    operation: str
    node: str
    preview: Preview
    steps: list[Step]
    confirm: str = ""
    facts: dict[str, Any] = msgspec.field(default_factory=dict)


class Done(msgspec.Struct, frozen=True):
    """What became of a plan: one line a step, and seconds."""

    operation: str
    node: str
    steps: list[str]
    seconds: float
    facts: dict[str, Any]


async def carry_out(plan: Plan, say: Say = lambda line: None) -> Done:
    """Do a plan's steps in order. Raises ControlError: the same plan may be made and run again."""
    begun = time.monotonic()
    told: list[str] = []
    for step in plan.steps:
        say(f"{step.title} ...")
        line = await step.run(say)
        told.append(f"{step.title}: {line}")
        say(f"  {line}")
    return Done(plan.operation, plan.node, told, round(time.monotonic() - begun, 2), plan.facts)
