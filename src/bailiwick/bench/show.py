"""The report as tables for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

ROLES = ("access", "node", "postgres", "sandbox", "generator", "idle nodes")


def show(report: dict[str, Any]) -> None:
    """Print a report."""
    console = Console(highlight=False)
    machine = report["machine"]
    console.print(
        f"{machine['cpu']}, {machine['cores']} cores for everything; Python {machine['python']}, "
        f"PostgreSQL {report['postgres']['server_version']} with fsync, synchronous_commit and "
        f"full_page_writes on; load average before: {machine['load_average'][0]}"
    )
    console.print(_runs(report["runs"]))
    for run in report["runs"]:
        for name, count in run["errors"].items():
            console.print(f"[yellow]{count} x {name}[/]")
        for problem in run["accounts"]["problems"]:
            console.print(f"[bold red]wrong accounts:[/] {problem}")
    for target, found in report["comparison"].items():
        if target == "access_by_node":
            console.print(f"access by node, round by round: {found}")
        elif len(found["payments_per_s"]) > 1:
            console.print(
                f"{target}: best {found['best']}/s, median {found['median']}/s; the same thing "
                f"again differs by up to {found['spread']} (A/A)"
            )
    if report.get("locate"):
        times = report["locate"]
        console.print(
            "locate + assign, p50: "
            + ", ".join(
                f"{kind} {times['locate_assign_' + kind]['p50_us']} us"
                for kind in ("country", "coordinates", "ip", "mixed")
            )
        )
    _show_floor(console, report.get("pgbench"))


def _runs(runs: list[dict[str, Any]]) -> Table:
    table = Table(title="CPU in microseconds per payment; commits are transactions that wrote")
    for name in ("target", "load", "payments/s", "added p50 / p99 ms", "dropped", "errors"):
        table.add_column(name, justify="left" if name in ("target", "load") else "right")
    for name in (*ROLES, "commits", "others' CPU"):
        table.add_column(name, justify="right")
    for run in runs:
        table.add_row(*_cells(run))
    return table


def _cells(run: dict[str, Any]) -> list[str]:
    scenario = run["scenario"]
    load = f"{scenario['clients']} clients"
    if scenario["rate"]:
        load = f"{scenario['rate']:g}/s open"
    if scenario["delay"] != "zero":
        load += f", {scenario['delay']}"
    if scenario["spread"]:
        load += f", over {len(run['loaded_nodes'])} nodes"
    added, cpu = run["added_ms"], run["cpu_us_per_payment"]
    return [
        scenario["target"],
        load,
        f"{run['payments_per_s']:,.0f}",
        f"{added['p50']:.1f} / {added['p99']:.1f}",
        str(run["dropped"]),
        str(sum(run["errors"].values())),
        *(f"{cpu[role]:.0f}" if role in cpu else "-" for role in ROLES),
        f"{run['commits_per_payment']['written']:.3f}",
        f"{run['others_share']:.0%}",
    ]


def _show_floor(console: Console, floor: Any) -> None:
    if isinstance(floor, str):
        console.print(f"pgbench: {floor}")
    for case in floor if isinstance(floor, list) else []:
        console.print(
            f"pgbench, same statements, batches of {case['batch']} on {case['connections']} "
            f"connections: {case['payments_per_s']:,.0f} payments/s, "
            f"PostgreSQL {case['postgres_us_per_payment']} us each"
        )
