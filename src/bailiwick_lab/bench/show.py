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
    if "scaling" in report:
        _show_scaling(console, report["scaling"])
    else:
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
    if report.get("flood"):
        _show_flood(console, report["flood"])
    if report.get("standby"):
        _show_standby(console, report["standby"])
    if report.get("isolation"):
        _show_isolation(console, report["isolation"])
    if report.get("neighbour"):
        _show_neighbour(console, report["neighbour"])
    if report.get("heartbeat"):
        _show_heartbeat(console, report["heartbeat"])
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
    """One column for each run: there are more figures than runs."""
    table = Table(show_header=False)
    for _ in range(len(runs) + 1):
        table.add_column()
    columns = [_figures(run) for run in runs]
    for name in dict.fromkeys(name for each in columns for name in each):
        table.add_row(name, *(each.get(name, "") for each in columns))
    return table


def _show_flood(console: Console, found: dict[str, Any]) -> None:
    for each in found["rounds"]:
        console.print(
            f"flood: node {each['node']} does {each['capacity_per_s']:,.0f}/s; while "
            f"{each['arrived_per_s']:,.0f}/s arrived it did {each['goodput_per_s']:,.0f}/s "
            f"({each['goodput_by_capacity']:.0%}). Elsewhere: {each['served_elsewhere']:,}; told "
            f"to retry: {each['told_to_retry']:,}; found no connection: {each['never_sent']:,}"
        )
    share = found["node_share"]
    machine = "" if share is None else f", on {share:g} of a core"
    console.print(
        f"under flood the node does {found['goodput_by_capacity']:.0%} of its capacity at the "
        f"median of {len(found['rounds'])} rounds{machine}"
    )


def _show_standby(console: Console, found: dict[str, Any]) -> None:
    for name, words in (("payments_per_s", "payments/s"), ("added_ms_p50", "ms added, p50, open")):
        each = found[name]
        console.print(
            f"commits that wait for a standby: {each['median'][0]:g} {words}; that do not: "
            f"{each['median'][1]:g}; ratio {each['ratio']} (A/A {each['aa_spread']})"
        )
    console.print(f"standby: {found['standby_cpu_us_per_payment']:.0f} us of CPU per payment")


def _show_isolation(console: Console, found: dict[str, Any]) -> None:
    console.print(
        f"isolation: node {found['victim']} {found['how']} at {found['rate_per_s']:,.0f}/s, "
        f"{found['share']:.0%} of {found['capacity_per_s']:,.0f}/s; the other nodes' places:"
    )
    table = Table("", "pairs", "success", "its difference", "p99, ratio", "p99, spread of pairs")
    for kind in ("A/A", "A/B"):
        each = found[kind]
        ratio, pp = each["p99_ratio"], each["success_pp"]
        table.add_row(
            kind,
            str(each["pairs"]),
            " / ".join(f"{share:.3%}" for share in each["success"]),
            f"{pp['value']:+.3f} pp ({pp['low']:+.3f} to {pp['high']:+.3f})",
            f"{ratio['value']:.3f} ({ratio['low']:.3f} to {ratio['high']:.3f})",
            f"{each['p99_spread']:.3f}",
        )
    console.print(table)
    inside = "within" if found["p99_within_aa_spread"] else "[bold]beyond[/]"
    console.print(f"p99 with the node dead is {inside} the spread of A/A. {found['method']}.")
    for problem in found["accounts"]["problems"]:
        console.print(f"[bold red]wrong accounts:[/] {problem}")


def _show_neighbour(console: Console, found: dict[str, Any]) -> None:
    console.print(
        f"neighbour: one merchant pays {found['rate_per_s']:g}/s at node {found['node']}, "
        f"{found['share']:.0%} of {found['capacity_per_s']:,.0f}/s; ratios are to quiet phases of "
        "the same round, of quiet ones the higher by the lower (A/A):"
    )
    latency = Table("other merchant", "ms: p50", "p95", "p99", "p50, ratio", "p99, ratio", "rounds")
    costs = Table("it", "did", "failed payments of the first", "cores", "its client's", "others")
    for each in (found["quiet"], *found["troubles"]):
        away = each.get("where") == "elsewhere"
        name = "elsewhere" if away else each.get("trouble", "quiet")
        latency.add_row(name, *_latencies(each))
        costs.add_row(name, *_costs(each))
    console.print(latency, costs)
    shared = "machine and the access process" if found["shares_access"] else "machine"
    for trouble, ratios in found["here_by_elsewhere"].items():
        console.print(
            f"{trouble}: p99 {_span(ratios['p99'])} times that with the same at node "
            f"{found['elsewhere']}: what sharing more than the {shared} costs"
        )
    for each in (found["quiet"], *found["troubles"]):
        _show_failures(console, f"{each.get('trouble', 'quiet')} {each.get('where', '')}", each)
    for problem in found["accounts"]["problems"]:
        console.print(f"[bold red]wrong accounts:[/] {problem}")


def _latencies(row: dict[str, Any]) -> tuple[str, ...]:
    ratio = row["p99"]
    return (
        *(f"{row['ms'][name]:.1f}" for name in ("p50", "p95", "p99")),
        *(f"{row[name]['median'] or 0.0:.2f}" for name in ("p50", "p99")),
        f"{ratio['lowest'] or 0.0:.2f}-{ratio['highest'] or 0.0:.2f}",
    )


def _costs(row: dict[str, Any]) -> tuple[str, ...]:
    did, cores = row["did"], row["cores"]
    words = f"{did['per_s']:,.0f}/s" if did else ""
    if "owed" in did:
        words += f", {did['owed']:,.0f} owed, {did['tries']:,.0f} tries"
    return (
        words,
        f"{row['arrived'] - row['succeeded']:,} of {row['arrived']:,}",
        f"{sum(cores.values()):.2f}",
        f"{cores.get('neighbour', 0.0):.2f}",
        f"{row['others_share']:.0%}",
    )


def _span(ratios: dict[str, Any]) -> str:
    if ratios["median"] is None:
        return "?"
    return f"{ratios['median']:.2f} ({ratios['lowest']:.2f} to {ratios['highest']:.2f})"


def _show_failures(console: Console, where: str, row: dict[str, Any]) -> None:
    for name, count in row["errors"].items():
        console.print(f"[yellow]{where}: {count} x {name}[/]")
    for name, count in row["did_errors"].items():
        console.print(f"{where}: the other merchant got {count} x {name}")


def _show_scaling(console: Console, found: dict[str, Any]) -> None:
    costs = found["cpu_us_per_payment"]
    counts = list(next(iter(costs.values()))["median"])
    table = Table(f"CPU, us per payment; {found['rate_per_node']:g}/s for each node")
    for count in counts:
        table.add_column(f"{count} loaded")
    table.add_column("A/A spread")
    for role, each in costs.items():
        cells = [f"{each['median'][n]:.0f} ({each['to_one'][n]:.3f})" for n in counts]
        inside = "" if each["within_aa_spread"] else ", exceeded"
        table.add_row(role, *cells, f"{each['aa_spread']:.3f}{inside}")
    console.print(table)
    added = found["access_adds_p50"]
    console.print(
        f"access adds {added['median_ms']} ms at the median of {len(added['added_ms'])} rounds "
        f"({added['added_ms']}); equal runs differ by up to {added['aa_spread_ms']} ms"
    )


def _show_heartbeat(console: Console, found: dict[str, Any]) -> None:
    for each in found["idle"]:
        console.print(
            f"idle, {each['nodes']} nodes, {each['accesses']} access: access {each['access']:.3f} %"
            f", node {each['node']:.3f} % of a core; node that nobody asks "
            f"{each['node_unasked']:.3f} %"
        )
    asking = found["access_per_node"]
    console.print(
        f"a heartbeat every {found['every_ms']} ms costs access "
        f"{'?' if asking is None else f'{asking:.3f}'} % of a core for each node, and a node "
        f"{found['node_per_access']:.3f} % for each access process"
    )


def _figures(run: dict[str, Any]) -> dict[str, str]:
    scenario = run["scenario"]
    rate = scenario["rate"]
    added, cpu, commits = run["added_ms"], run["cpu_us_per_payment"], run["commits_per_payment"]
    return {
        "target": scenario["target"],
        "load": f"{rate:g}/s, open" if rate else f"{scenario['clients']} clients, closed",
        "payments go to": ", ".join(run["loaded_nodes"]),
        "provider's delay": scenario["delay"],
        "payments/s": f"{run['payments_per_s']:,.0f}",
        "added latency, p50 / p99": f"{added['p50']:.1f} / {added['p99']:.1f} ms",
        "dropped, errors": f"{run['dropped']}, {sum(run['errors'].values())}",
        **{f"{role}, CPU": f"{cpu[role]:.0f} us" for role in ROLES if role in cpu},
        "commits per payment": f"{commits['written']:.3f}",
        "largest node process": f"{largest(run['memory_mb'], 'node '):.0f} MB",
        "cores used": f"{run['cores_used']:.2f}",
        "CPU of other programs": f"{run['others_share']:.0%}",
        "accounts": "differ" if run["accounts"]["problems"] else "agree",
    }


def largest(memory: dict[str, float], prefix: str) -> float:
    """The most memory of the roles that begin so."""
    return max((size for role, size in memory.items() if role.startswith(prefix)), default=0.0)


def _show_floor(console: Console, floor: Any) -> None:
    if isinstance(floor, str):
        console.print(f"pgbench: {floor}")
    for case in floor if isinstance(floor, list) else []:
        console.print(
            f"pgbench, same statements, batches of {case['batch']} on {case['connections']} "
            f"connections: {case['payments_per_s']:,.0f} payments/s, "
            f"PostgreSQL {case['postgres_us_per_payment']} us each"
        )
