"""What a drill showed: a table for people, one document for programs."""

from __future__ import annotations

from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bailiwick import __version__
from bailiwick.checker.run import commit
from bailiwick_lab.drill.engine import Result
from bailiwick_lab.drill.measure import Phase
from bailiwick_lab.drill.rounds import Outcome

_COLOUR = {"held": "green", "broken": "bold red", "error": "red"}


def document(outcome: Outcome) -> dict[str, Any]:
    """Everything, with what it takes to run the same again."""
    orders = outcome.orders
    return {
        "ok": outcome.held,
        "problem": outcome.problem,
        "mode": outcome.mode,
        "why_loopback": outcome.why_loopback,
        "seed": orders.seed,
        "times": orders.times,
        "pace": msgspec.to_builtins(orders.pace),
        "standbys": orders.replicate,
        "version": __version__,
        "commit": commit(),
        "seconds": round(outcome.seconds, 3),
        "kept": outcome.kept,
        "skipped": outcome.skipped,
        "summary": [msgspec.to_builtins(each) for each in summary(outcome.results)],
        "runs": [msgspec.to_builtins(each) for each in outcome.results],
    }


class Line(msgspec.Struct, frozen=True):
    """All runs of one scenario. ``rate_below``: with no failure in n runs, failures are rarer
    than this with 95 % confidence (3/n); None when there was one. ``compared``: invariant ->
    rows over all runs."""

    scenario: str
    runs: int
    held: int
    requests: int
    ok: int
    in_doubt: int
    lost: int
    violations: int
    longest_gap_s: float | None
    recover_s: float | None
    compared: dict[str, int]
    rate_below: float | None


def summary(results: list[Result]) -> list[Line]:
    """One line for each scenario, in the order of their first runs."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.scenario, []).append(result)
    return [_line(name, group) for name, group in groups.items()]


def _line(name: str, group: list[Result]) -> Line:
    seen = [each.figures for each in group if each.figures is not None]
    victims = [each.figures.nodes[each.victim] for each in group if each.figures is not None]
    held = sum(each.verdict == "held" for each in group)
    compared: dict[str, int] = {}
    for each in group:
        for invariant in (each.check or {}).get("invariants", []):
            known = compared.get(invariant["name"], 0)
            compared[invariant["name"]] = known + invariant["compared"]
    gaps = [each.longest_gap_s for each in victims if each.longest_gap_s is not None]
    recoveries = [each.recover_s for each in victims if each.recover_s is not None]
    return Line(
        scenario=name,
        runs=len(group),
        held=held,
        requests=sum(each.requests for each in seen),
        ok=sum(each.ok for each in seen),
        in_doubt=sum(each.in_doubt for each in seen),
        lost=sum(len(each.lost) for each in group),
        violations=sum((each.check or {}).get("violations", 0) for each in group),
        longest_gap_s=max(gaps, default=None),
        recover_s=max(recoveries, default=None),
        compared=compared,
        rate_below=3 / len(group) if held == len(group) else None,
    )


def show(outcome: Outcome, console: Console) -> None:
    """Print it."""
    table = Table(box=None, pad_edge=False)
    table.add_column("Scenario")
    table.add_column("Victim")
    for name in ("Requests", "Ok", "In doubt", "Lost"):
        table.add_column(name, justify="right")
    table.add_column("Good %: victim\nbefore/during/after", justify="right")
    table.add_column("others\nbefore/during/after", justify="right")
    table.add_column("p50/p99 ms", justify="right")
    table.add_column("Gap s", justify="right")
    table.add_column("Recover s", justify="right")
    table.add_column("Rows", justify="right")
    table.add_column("Violations", justify="right")
    for result in outcome.results:
        table.add_row(*_cells(result))
    console.print(table)
    _show_rows(outcome, console)
    for result in outcome.results:
        if result.why:
            console.print(f"[red]{result.scenario} at {result.victim}[/]: {escape(result.why)}")
    for name, why in outcome.skipped.items():
        console.print(f"{name}: not run, {why}")
    _show_end(outcome, console)


def _cells(result: Result) -> list[str]:
    name = f"[{_COLOUR[result.verdict]}]{result.scenario}[/]"
    seen = result.figures
    if seen is None:
        return [name, result.victim, *("-" for _ in range(11))]
    victim = seen.nodes[result.victim]
    others = [node for each, node in seen.nodes.items() if each != result.victim]
    checked = result.check or {}
    rows = sum(each["compared"] for each in checked.get("invariants", []))
    return [
        name,
        result.victim,
        str(seen.requests),
        str(seen.ok),
        str(seen.in_doubt),
        str(len(result.lost)),
        _good([victim.before], [victim.during], [victim.after]),
        _good(*([getattr(n, phase) for n in others] for phase in ("before", "during", "after"))),
        f"{_number(seen.p50_ms, 0)}/{_number(seen.p99_ms, 0)}",
        _number(victim.longest_gap_s, 1),
        _number(victim.recover_s, 1),
        str(rows),
        str(checked.get("violations", "-")),
    ]


def _good(*phases: list[Phase]) -> str:
    """The share of good first answers in each phase, in per cent."""
    shown = []
    for nodes in phases:
        requests = sum(each.requests for each in nodes)
        good = sum((each.good or 0.0) * each.requests for each in nodes)
        shown.append(f"{100 * good / requests:.1f}" if requests else "-")
    return "/".join(shown)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _show_rows(outcome: Outcome, console: Console) -> None:
    """Rows that each invariant compared, over all runs."""
    total: dict[str, list[int]] = {}
    for result in outcome.results:
        for invariant in (result.check or {}).get("invariants", []):
            entry = total.setdefault(invariant["name"], [0, 0])
            entry[0] += invariant["compared"]
            entry[1] += invariant["count"]
    if not total:
        return
    table = Table("Invariant", "Compared", "Violations", box=None, pad_edge=False)
    table.columns[1].justify = table.columns[2].justify = "right"
    for name, (compared, count) in total.items():
        table.add_row(name, str(compared), f"[bold red]{count}[/]" if count else "[green]0[/]")
    console.print()
    console.print(table)


def _show_end(outcome: Outcome, console: Console) -> None:
    runs = len(outcome.results)
    held = sum(each.verdict == "held" for each in outcome.results)
    facts = [
        f"{held} of {runs} runs held",
        outcome.mode,
        f"seed {outcome.orders.seed}",
        f"version {__version__}",
        f"commit {(commit() or 'unknown')[:12]}",
        f"{outcome.seconds:.0f} s",
    ]
    console.print()
    console.print("; ".join(facts))
    if outcome.problem:
        console.print(f"[red]It ended early: {escape(outcome.problem)}[/]")
    elif outcome.held:
        console.print(
            f"[bold green]No violation[/] in {runs} runs: that bounds the rate at about "
            f"{min(1.0, 3 / runs):.1%}, it does not prove 'never'."
        )
