"""Print docs/states.md: states and changes of payments and payouts, made from their tables.

python tools/diagram.py > docs/states.md
"""

from bailiwick.resources.payments.states import TERMINAL, TRANSITIONS, Change, State, shown
from bailiwick.resources.payouts import states as payouts

_EVERYWHERE = (Change.EDIT, Change.LATE)
_HEAD = """# States of a payment

Generated from `TRANSITIONS` in `bailiwick.resources.payments.states` by
`python tools/diagram.py`; do not edit.
A change that is not shown here does not happen: it is refused with the remedy.
"""


def diagram() -> str:
    """The table as a Mermaid state diagram, one arrow for each pair of states."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for (state, change), to in TRANSITIONS.items():
        if change not in _EVERYWHERE:
            arrows.setdefault((state, to), []).append(change.value)
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {State.REQUIRES_PAYMENT_METHOD}"]
    for (state, to), changes in arrows.items():
        lines.append(f"    {state} --> {to}: {', '.join(changes)}")
    lines += [f"    {state} --> [*]" for state in State if state in TERMINAL]
    return "\n".join([*lines, "```"])


def table() -> str:
    """Each state with what a client sees of it and the changes that it allows."""
    lines = ["| State | Shown as | Changes |", "|---|---|---|"]
    for state in State:
        found = [
            f"{change} → {to}"
            for (at, change), to in TRANSITIONS.items()
            if at is state and change not in _EVERYWHERE
        ]
        lines.append(f"| `{state}` | `{shown(state)}` | {', '.join(found) or '(none)'} |")
    return "\n".join(lines)


def of_payouts() -> str:
    """The same of payouts, whose states are shown as they are."""
    arrows: dict[tuple[payouts.State, payouts.State], list[str]] = {}
    for (state, change), to in payouts.TRANSITIONS.items():
        if change not in payouts.ALWAYS:
            arrows.setdefault((state, to), []).append(change.value)
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {payouts.State.PENDING}"]
    lines += [f"    {a} --> {b}: {', '.join(found)}" for (a, b), found in arrows.items()]
    return "\n".join([*lines, "```"])


def page() -> str:
    """The whole page."""
    everywhere = " and ".join(f"`{change}`" for change in _EVERYWHERE)
    note = f"In every state {everywhere} may happen; they leave the state as it is."
    same = ", ".join(f"`{change}`" for change in payouts.ALWAYS)
    return (
        f"{_HEAD}\n{diagram()}\n\n{note}\n\n{table()}\n\n## States of a payout\n\n"
        "From `TRANSITIONS` in `bailiwick.resources.payouts.states`.\n\n"
        f"{of_payouts()}\n\nIn every state {same} may happen; they leave the state as it is."
    )


if __name__ == "__main__":
    print(page())
