"""Print docs/states.md: states and changes of payments, payouts and setups, from their tables.

python tools/diagram.py > docs/states.md
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from bailiwick.resources.payments import states as payments
from bailiwick.resources.payouts import states as payouts
from bailiwick.resources.setup_intents import states as setups

_EVERYWHERE = ("edit", "late")
_HEAD = """# States of a payment

Generated from `TRANSITIONS` in `bailiwick.resources.payments.states`,
`bailiwick.resources.payouts.states` and `bailiwick.resources.setup_intents.states` by
`python tools/diagram.py`; do not edit.
A change that is not shown here does not happen: it is refused with the remedy.
"""
Table = Mapping[Any, StrEnum]


def diagram(transitions: Table, first: StrEnum, terminal: frozenset[Any]) -> str:
    """A table as a Mermaid state diagram, one arrow for each pair of states."""
    arrows: dict[tuple[StrEnum, StrEnum], list[str]] = {}
    for (state, change), to in transitions.items():
        if change not in _EVERYWHERE:
            arrows.setdefault((state, to), []).append(change.value)
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first}"]
    for (state, to), changes in arrows.items():
        lines.append(f"    {state} --> {to}: {', '.join(changes)}")
    lines += [f"    {state} --> [*]" for state in type(first) if state in terminal]
    return "\n".join([*lines, "```"])


def table(transitions: Table, states: type[StrEnum], shown: Callable[[str], str]) -> str:
    """Each state with what a client sees of it and the changes that it allows."""
    lines = ["| State | Shown as | Changes |", "|---|---|---|"]
    for state in states:
        found = [
            f"{change} → {to}"
            for (at, change), to in transitions.items()
            if at is state and change not in _EVERYWHERE
        ]
        lines.append(f"| `{state}` | `{shown(state)}` | {', '.join(found) or '(none)'} |")
    return "\n".join(lines)


def _part(of: Any) -> str:
    first = of.State.REQUIRES_PAYMENT_METHOD
    everywhere = " and ".join(f"`{change}`" for change in _EVERYWHERE)
    note = f"In every state {everywhere} may happen; they leave the state as it is."
    drawn = diagram(of.TRANSITIONS, first, of.TERMINAL)
    return f"{drawn}\n\n{note}\n\n{table(of.TRANSITIONS, of.State, of.shown)}"


def of_payouts() -> str:
    """The same of payouts, whose states are shown as they are."""
    arrows: dict[tuple[payouts.State, payouts.State], list[str]] = {}
    for (state, change), to in payouts.TRANSITIONS.items():
        if change not in payouts.ALWAYS:
            arrows.setdefault((state, to), []).append(change.value)
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {payouts.State.PENDING}"]
    lines += [f"    {a} --> {b}: {', '.join(found)}" for (a, b), found in arrows.items()]
    same = ", ".join(f"`{change}`" for change in payouts.ALWAYS)
    note = f"In every state {same} may happen; they leave the state as it is."
    return "\n".join([*lines, "```", "", note])


def page() -> str:
    """The whole page."""
    return (
        f"{_HEAD}\n{_part(payments)}\n\n## States of a payout\n\n{of_payouts()}\n\n"
        f"## States of a setup\n\n{_part(setups)}"
    )


if __name__ == "__main__":
    print(page())
