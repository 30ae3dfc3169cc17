"""`bailiwick bench`: load the system, measure it, and check that every payment is there."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from click.core import ParameterSource

from bailiwick_lab.bench import options
from bailiwick_lab.bench.options import Common, Modes, common

if TYPE_CHECKING:
    from bailiwick_lab.bench.session import Load


@click.group("bench", cls=Modes, invoke_without_command=True, subcommand_metavar="[MODE]")
@options.targets
@options.payments
@options.spread
@click.option(
    "--pgbench", "floor", is_flag=True, help="Run the node's own statements in pgbench too."
)
@click.option(
    "--locate/--no-locate", "locating", default=True, show_default=True,
    help="Time locating and assigning too.",
)  # fmt: skip
@common
@click.pass_context
def command(
    context: click.Context,
    shared: Common,
    targets: tuple[str, ...],
    payments: int | None,
    spread: bool,
    floor: bool,
    locating: bool,
) -> None:
    """Load the system with one-shot payments and measure it.

    Without a mode: closed load, as fast as answers come. Every payment measured is counted at
    the clients, in the nodes' databases and in the providers' books; when they differ, or a
    database is not durable, the status is 1.

    \b
    bailiwick bench --target node --target access --repeat 3
    bailiwick bench open --rate 100 --delay lognormal
    """
    if context.invoked_subcommand is not None:
        _nothing_before(context, context.invoked_subcommand)
        return
    load = _turns(shared, targets, payments, None, spread)
    floor_s = shared.seconds if floor else None
    _report(shared, load, floor_s=floor_s, locating=locating)


@command.command("open")
@click.option(
    "--rate", type=click.FloatRange(0.1, 100_000), default=100.0, show_default=True, metavar="R",
    help="Payments that arrive per second.",
)  # fmt: skip
@options.targets
@options.payments
@options.spread
@common
def open_load(
    shared: Common, rate: float, targets: tuple[str, ...], payments: int | None, spread: bool
) -> None:
    """Latency under payments that arrive at a rate.

    They arrive whether or not those before them have been answered. One that finds all
    connections busy is dropped and counted.
    """
    _report(shared, _turns(shared, targets, payments, rate, spread))


@command.command()
@click.option(
    "--times", type=click.FloatRange(1.1, 20), default=3.0, show_default=True, metavar="X",
    help="How many times the capacity arrives.",
)  # fmt: skip
@click.option(
    "--node-share", type=click.FloatRange(0.1, 1), metavar="X",
    help="Of one core, what the flooded node with its database may use (root, control groups).",
)  # fmt: skip
@options.target
@common
def flood(shared: Common, times: float, node_share: float | None, target: str) -> None:
    """What a node still does under more than it can do.

    Its capacity is measured before and after; what it does not take, the next nodes serve.
    """
    from bailiwick_lab.bench.modes import flood

    scenario = shared.scenario(target)
    _report(shared, lambda bench: flood.run(bench, scenario, times, shared.repeat, node_share))


@command.command()
@click.option(
    "--share", type=click.FloatRange(0.01, 0.9), default=0.3, show_default=True, metavar="X",
    help="Of the capacity of all nodes, how much is loaded.",
)  # fmt: skip
@click.option(
    "--dead", type=click.Choice(["killed", "frozen"]), default="killed", show_default=True,
    help="How the node is made silent.",
)  # fmt: skip
@common
def isolation(shared: Common, share: float, dead: Literal["killed", "frozen"]) -> None:
    """What payments of other places notice of a dead node.

    Pairs of runs over the places of all nodes, two at least: both without a dead node, or one
    of them with.
    """
    from bailiwick_lab.bench.modes import isolation

    if shared.data is None and shared.nodes == 1:
        raise click.UsageError("isolation takes two nodes at least: raise --nodes")
    scenario = shared.scenario()
    _report(
        shared,
        lambda bench: isolation.run(bench, scenario, share=share, pairs=shared.repeat, how=dead),
    )


@command.command()
@click.option(
    "--rate", type=click.FloatRange(0.1, 100_000), default=100.0, show_default=True, metavar="R",
    help="Payments per second of each loaded node.",
)  # fmt: skip
@click.option(
    "--idle", "idle_s", type=click.FloatRange(0, 3600), default=20.0, show_default=True,
    metavar="S",
    help="How long to watch idle processes, twice for each number of nodes; 0: not at all.",
)  # fmt: skip
@common
def scaling(shared: Common, rate: float, idle_s: float) -> None:
    """CPU per payment with more and more nodes loaded.

    Before that, what idle processes use.
    """
    from bailiwick_lab.bench.modes import scaling

    scenario = shared.scenario(rate=rate)
    _report(
        shared,
        lambda bench: scaling.run(bench, scenario, rounds=shared.repeat),
        access=shared.nodes,
        idle_s=idle_s,
    )


@command.command()
@options.target
@common
def standby(shared: Common, target: str) -> None:
    """What waiting for a synchronous standby costs.

    Commits that wait for one by turns with commits that do not, under closed load and at 100/s.
    """
    from bailiwick_lab.bench.modes import replicated

    scenario = shared.scenario(target)
    _report(shared, lambda bench: replicated.run(bench, scenario, rounds=shared.repeat))


@command.command()
@click.option(
    "--rate", type=click.FloatRange(0.1, 100_000), default=100.0, show_default=True, metavar="R",
    help="Payments per second of the measured merchant: well below half of what the machine does.",
)  # fmt: skip
@click.option(
    "--neighbour-rate", type=click.FloatRange(0.1, 100_000), default=50.0, show_default=True,
    metavar="R", help="Payments per second of which silent endpoints are owed the events.",
)  # fmt: skip
@click.option(
    "--connections", type=click.IntRange(1, 4096), default=64, show_default=True, metavar="N",
    help="Of the neighbour, to flood and to list.",
)  # fmt: skip
@click.option(
    "--flood-rate", type=click.FloatRange(0.1, 100_000), metavar="R",
    help="Payments per second of the flood, instead of as many as its connections get answered.",
)  # fmt: skip
@click.option(
    "--listed", type=click.IntRange(1, 1_000_000), default=3000, show_default=True, metavar="N",
    help="Payments that the neighbour has at each node before, to list.",
)  # fmt: skip
@common
def neighbour(
    shared: Common,
    rate: float,
    neighbour_rate: float,
    connections: int,
    flood_rate: float | None,
    listed: int,
) -> None:
    """What one merchant's troubles cost another's payments.

    Rounds of phases: its neighbour at the same node does nothing (twice), has silent webhook
    endpoints, floods, lists without pause; and does the same at another node of this machine,
    which takes processors and nothing else.
    """
    from bailiwick_lab.bench.modes import neighbour

    scenario = shared.scenario(rate=rate)
    bounds = neighbour.Bounds(neighbour_rate, connections, flood_rate, listed)
    _report(
        shared,
        lambda bench: neighbour.run(bench, scenario, bounds, rounds=shared.repeat),
        access=2,
    )


@command.command()
@click.option("--seed", type=click.IntRange(0, 2**31), default=1, show_default=True, metavar="N")
@click.option(
    "--hours", type=click.FloatRange(0.1, 24), default=2.0, show_default=True, metavar="H",
    help="Of simulated time.",
)  # fmt: skip
@click.option(
    "--plots", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Also draw pictures into this folder (SVG).",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def routing(seed: int, hours: float, plots: Path | None, as_json: bool) -> None:
    """How well payments are routed, in a simulated world.

    Several markets, chances of success that drift, brown-outs, outcomes that come late. Nothing is
    started, and the same seed gives the same figures.
    """
    _simulate(seed, hours, plots, as_json)


def _simulate(seed: int, hours: float, plots: Path | None, as_json: bool) -> None:
    """Simulate and print; exits with 1 if pictures are wanted and cannot be drawn."""
    from bailiwick_lab.bench.routes import report
    from bailiwick_lab.bench.routes.choosing import choosing_us
    from bailiwick_lab.bench.routes.plots import NoPlots, draw

    world, played = report.simulate(seed, hours)
    found = report.document(world, played) | {"choosing_p50_us": choosing_us()}
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo("\n".join(report.lines(found)))
    if plots is not None:
        try:
            draw(world, played, plots)
        except NoPlots as problem:
            click.echo(f"bailiwick bench: {problem}", err=True)
            sys.exit(1)


def _nothing_before(context: click.Context, mode: str) -> None:
    """Refuse options that stand before a mode: it would not see them. Raises UsageError."""
    for each in context.command.params:
        if each.name and context.get_parameter_source(each.name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"options of a mode stand after it: {context.command_path} {mode} {each.opts[0]}",
                context,
            )


def _turns(
    shared: Common,
    targets: tuple[str, ...],
    payments: int | None,
    rate: float | None,
    spread: bool,
) -> Load:
    from bailiwick_lab.bench import session

    scenarios = [
        shared.scenario(target, payments=payments, rate=rate, spread=spread)
        for target in targets or ("access",)
    ] * shared.repeat
    return lambda bench: session.turns(bench, scenarios)


def _report(shared: Common, load: Load, **how: Any) -> None:
    """Measure and print; exits with 1 if that failed or the accounts differ."""
    from bailiwick_lab.bench import session
    from bailiwick_lab.bench.show import show

    try:
        report = session.measure(shared, load, **how)
    except session.EXPECTED as error:
        click.echo(f"bailiwick bench: {error}", err=True)
        sys.exit(1)
    if shared.as_json:
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        show(report)
    if not session.adds_up(report):
        sys.exit(1)
