"""The way of a payment as a tree for people: located, assigned, routed, attempted, result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.tree import Tree

_GOOD = {"chosen", "succeeded", "requires_capture", "processing", "requires_action"}
_SIGN = {"chosen": "[green]✓[/]", "in reserve": "[dim]·[/]", "not_reached": "[dim]·[/]"}


Steps = Mapping[str, float]
_UNTIMED: Steps = {}


def _took(steps: Steps, *names: str) -> str:
    """How long these steps took together, if that is known."""
    known = [steps[name] for name in names if name in steps]
    return f"  [cyan]{sum(known):.2f} ms[/]" if known else ""


def located(tree: Tree, location: dict[str, Any] | None, steps: Steps = _UNTIMED) -> None:
    """Where the payer is, and by what."""
    if not location:
        return
    place = location.get("subdivision") or location.get("country")
    branch = tree.add(
        f"[bold]located[/]   {_text(place)}  "
        f"[dim]by {_text(location.get('source'))}, "
        f"confidence {_text(location.get('confidence'))}[/]{_took(steps, 'located')}"
    )
    for name, said in (location.get("evidence") or {}).items():
        branch.add(f"[dim]{_text(name)} says {_text(said)}[/]")
    for line in location.get("contradictions") or ():
        branch.add(f"[yellow]contradiction: {_text(line)}[/]")


def assigned(
    tree: Tree, assignment: dict[str, Any] | None, steps: Steps = _UNTIMED, *, full: bool
) -> None:
    """Which node has jurisdiction; with ``full`` also the nodes that were passed over."""
    if not assignment:
        return
    considered = assignment.get("considered") or []
    chosen = next((c for c in considered if c.get("node") == assignment.get("node")), None)
    name = chosen["name"] if chosen else assignment.get("name") or "nobody"
    branch = tree.add(
        f"[bold]assigned[/]  {_text(name)}  [dim]rule {_text(assignment.get('rule'))}, residency "
        f"{_text(assignment.get('residency'))}, epoch {_text(assignment.get('epoch'))}[/]"
        f"{_took(steps, 'assigned')}"
    )
    for each in considered:
        if full or each.get("verdict") in ("refused", "not_open"):
            _considered(branch, each["name"], each)
    for home in assignment.get("earlier_homes") or ():
        branch.add(
            f"[dim]earlier home {_text(home.get('name'))}, epoch {_text(home.get('epoch'))}: "
            f"{_text(home.get('answer'))}[/]"
        )
    for line in assignment.get("passed_rules") or ():
        branch.add(f"[dim]passed over: {_text(line)}[/]")


def routed(
    tree: Tree, routing: dict[str, Any] | None, steps: Steps = _UNTIMED, *, full: bool
) -> None:
    """Which gateway was matched; with ``full`` also the others."""
    if not routing:
        return
    branch = tree.add(
        f"[bold]routed[/]    {_text(routing.get('gateway') or 'no gateway')}  "
        f"[dim]strategy {_text(routing.get('strategy'))}[/]{_took(steps, 'routed')}"
    )
    if routing.get("rule"):
        says = f": [dim]{_text(routing['rule_says'])}[/]" if routing.get("rule_says") else ""
        branch.add(f"rule {_text(routing.get('rule'))}{says}")
    for each in routing.get("considered") or ():
        if full or each.get("verdict") != "in reserve":
            _considered(branch, each.get("gateway"), each)


def _considered(branch: Tree, name: Any, each: dict[str, Any]) -> None:
    verdict = str(each.get("verdict"))
    sign = _SIGN.get(verdict, "[yellow]✗[/]")
    words = verdict.replace("_", " ")
    branch.add(f"{sign} {_text(name)}  [dim]{_text(words)}: {_text(each.get('reason'))}[/]")


def result(
    tree: Tree,
    intent: dict[str, Any],
    error: dict[str, Any] | None,
    steps: Steps = _UNTIMED,
) -> None:
    """The attempt and how it ended."""
    charge = intent.get("latest_charge")
    if isinstance(charge, dict):
        charge = charge.get("id")
    if charge:
        gateway = (intent.get("routing") or {}).get("gateway")
        attempted = tree.add(f"[bold]attempted[/] {_text(charge)}  [dim]on {_text(gateway)}[/]")
        if steps:
            attempted.add(f"[dim]committed, the permit to send[/]{_took(steps, 'committed')}")
            attempted.add(f"[dim]sent and answered[/]{_took(steps, 'answered')}")
    status = str(intent.get("status"))
    colour = "green" if status in _GOOD and error is None else "yellow"
    branch = tree.add(f"[bold]result[/]    [{colour}]{_text(status)}[/]{_took(steps, 'settled')}")
    if error is not None:
        code = error.get("decline_code") or error.get("code")
        branch.add(f"[yellow]{_text(code)}: {_text(error.get('message'))}[/]")
    action = intent.get("next_action") or {}
    url = (action.get("redirect_to_url") or {}).get("url")
    if url:
        branch.add(f"the payer must go to {_text(url)}")


def _text(value: Any) -> str:
    """Answers are data: nothing in them is markup."""
    return escape("none" if value is None else str(value))
