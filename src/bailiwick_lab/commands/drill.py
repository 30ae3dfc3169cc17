"""``bailiwick drill``: the whole system on many hosts, real faults under load, and the checker."""

from __future__ import annotations

import json
import sys

import click


@click.command("drill")
@click.option(
    "--scenario", "names", multiple=True, metavar="NAME",
    help="Only this one; may be given several times, and ends with * for all that begin so.",
)  # fmt: skip
@click.option("--list", "listing", is_flag=True, help="List the scenarios and end.")
@click.option(
    "--times", type=click.IntRange(1, 1000), default=1, show_default=True, metavar="N",
    help="Rounds; each runs every chosen scenario once on a cluster made for it.",
)  # fmt: skip
@click.option("--sample", is_flag=True, help="Short runs, as in continuous integration.")
@click.option(
    "--rate", type=click.FloatRange(1, 2000), metavar="N",
    help="Payments per second over all places.",
)  # fmt: skip
@click.option(
    "--hold", "hold_s", type=click.FloatRange(0.5, 600), metavar="SECONDS",
    help="How long a fault lasts once it is proven.",
)  # fmt: skip
@click.option(
    "--any-outage", is_flag=True,
    help="Judge money alone, on a busy machine: a place may be out for as long as it takes.",
)  # fmt: skip
@click.option("--victim", metavar="NODE", help="The node that suffers; without it by turns.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the arrivals.")
@click.option("--loopback", is_flag=True, help="No namespaces: addresses in 127.0.0.0/8.")
@click.option("--no-standbys", is_flag=True, help="Primaries alone.")
@click.option("--keep", is_flag=True, help="Leave logs, histories and databases.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    names: tuple[str, ...],
    listing: bool,
    times: int,
    sample: bool,
    rate: float | None,
    hold_s: float | None,
    any_outage: bool,
    victim: str | None,
    seed: int,
    loopback: bool,
    no_standbys: bool,
    keep: bool,
    as_json: bool,
) -> None:
    """Break the system on purpose and check that money stays exact.

    Hosts are network namespaces of this machine (root and iproute2), else addresses of its
    loopback interface. The status is 0 only if every run held.
    """
    import msgspec

    from bailiwick_lab.drill.engine import SHORT, Pace
    from bailiwick_lab.drill.hosts.cluster import COUNTRIES
    from bailiwick_lab.drill.rounds import Orders, hold

    if listing:
        _list(as_json)
        return
    if victim is not None and victim not in COUNTRIES:
        raise click.UsageError(f"--victim {victim!r}: one of {', '.join(COUNTRIES)}")
    pace = msgspec.structs.replace(SHORT if sample else Pace(), any_outage=any_outage)
    if rate is not None:
        pace = msgspec.structs.replace(pace, rate=rate)
    if hold_s is not None:
        pace = msgspec.structs.replace(pace, hold_s=hold_s)
    orders = Orders(
        scenarios=_chosen(names), times=times, seed=seed, pace=pace, victim=victim or "",
        loopback=loopback, replicate=not no_standbys, keep=keep,
    )  # fmt: skip
    outcome = hold(orders, lambda line: click.echo(line, err=True))
    _tell(outcome, as_json)
    sys.exit(0 if outcome.held else 1)


def _tell(outcome, as_json: bool) -> None:  # type: ignore[no-untyped-def]
    from rich.console import Console

    from bailiwick_lab.drill import report

    if as_json:
        click.echo(json.dumps(report.document(outcome), ensure_ascii=False, indent=2))
    else:
        report.show(outcome, Console(highlight=False, soft_wrap=True))


def _chosen(names: tuple[str, ...]):  # type: ignore[no-untyped-def]
    """The scenarios of these names, in their own order. Raises UsageError."""
    from fnmatch import fnmatchcase

    from bailiwick_lab.drill.scenarios.catalogue import SCENARIOS

    for name in names:
        if not any(fnmatchcase(each, name) for each in SCENARIOS):
            raise click.UsageError(f"--scenario {name!r} is unknown; see --list")
    return [
        kind
        for each, kind in SCENARIOS.items()
        if not names or any(fnmatchcase(each, name) for name in names)
    ]


def _list(as_json: bool) -> None:
    from bailiwick_lab.drill.scenarios.catalogue import SCENARIOS

    if as_json:
        click.echo(json.dumps({name: kind.about for name, kind in SCENARIOS.items()}, indent=2))
        return
    width = max(map(len, SCENARIOS))
    for name, kind in SCENARIOS.items():
        click.echo(f"{name:<{width}}  {kind.about}")
