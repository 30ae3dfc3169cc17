"""The options that several benchmarks share, and what is said of an option of another one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bailiwick_lab.bench.run import Scenario

_Function = Callable[..., None]


@dataclass(frozen=True)
class Common:
    """What every benchmark is told; times in seconds."""

    data: Path | None
    nodes: int
    access: int | None
    clients: int
    seconds: float
    delay: str
    warmup: float
    repeat: int
    as_json: bool

    def scenario(
        self,
        target: str = "access",
        *,
        payments: int | None = None,
        rate: float | None = None,
        spread: bool = False,
    ) -> Scenario:
        """What to run; ``rate`` in payments/s for open load."""
        from bailiwick_lab.bench.run import Scenario

        return Scenario(
            "node" if target == "node" else "access",
            clients=self.clients,
            seconds=self.seconds,
            payments=payments,
            rate=rate,
            delay=self.delay,
            spread=spread,
            warmup=self.warmup,
        )


_COMMON = (
    click.option(
        "--data", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
        help="Folder of a running demo that nobody else uses; without it one is started and "
        "removed.",
    ),
    click.option(
        "--nodes", type=click.IntRange(1, 6), default=3, show_default=True, metavar="N",
        help="Nodes of the demo that is started.",
    ),
    click.option(
        "--access", type=click.IntRange(1, 16), metavar="N",
        help="Access processes of the demo that is started (1; for scaling as many as nodes; for "
        "neighbour 2).",
    ),
    click.option(
        "--clients", type=click.IntRange(1, 4096), default=64, show_default=True, metavar="N",
        help="Connections, each with one payment at a time.",
    ),
    click.option(
        "--seconds", type=click.FloatRange(0.1, 3600), default=10.0, show_default=True,
        metavar="S", help="How long to measure.",
    ),
    click.option(
        "--delay", type=click.Choice(["zero", "lognormal"]), default="zero", show_default=True,
        help="The providers' own time; lognormal: p50 120, p99 380 ms.",
    ),
    click.option(
        "--warmup", type=click.FloatRange(0, 600), default=3.0, show_default=True, metavar="S",
        help="Load before each measurement, which only the accounts include.",
    ),
    click.option(
        "--repeat", type=click.IntRange(1, 100), default=1, show_default=True, metavar="K",
        help="Rounds: measure the same K times and show how far equal runs differ.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON document."),
)  # fmt: skip


def _once(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> str:
    if len(given) > 1:
        raise click.BadParameter("is of one node here: once")
    return given[0] if given else "access"


targets = click.option(
    "--target", "targets", type=click.Choice(["access", "node"]), multiple=True,
    help="Through access (the default) or at a node alone; given twice: by turns.",
)  # fmt: skip
target = click.option(
    "--target", type=click.Choice(["access", "node"]), multiple=True, callback=_once,
    help="Through access (the default) or at the node alone.",
)  # fmt: skip
payments = click.option(
    "--payments", type=click.IntRange(min=1), metavar="N",
    help="How many payments to measure, instead of --seconds.",
)  # fmt: skip
spread = click.option(
    "--spread", is_flag=True, help="Payers of three regions instead of one country."
)


def common(function: _Function) -> _Function:
    """Give a command the options of every benchmark, as one `Common` before its own."""

    @functools.wraps(function)
    def call(**options: Any) -> None:
        shared = Common(**{each.name: options.pop(each.name) for each in fields(Common)})
        function(shared, **options)

    made: _Function = call
    for option in reversed(_COMMON):
        made = option(made)
    return made


class Mode(click.Command):
    """A benchmark's command: an option of another one is refused with the name of that one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            hint = _whose(ctx, error.option_name)
            raise click.UsageError(hint, ctx) if hint else error from None


class Modes(Mode, click.Group):
    """The benchmark of most use, and a command for each further one."""

    command_class = Mode


def _whose(ctx: click.Context, option: str) -> str | None:
    """Which benchmarks have an option; None if none has."""
    above = ctx if isinstance(ctx.command, Modes) or ctx.parent is None else ctx.parent
    group, path = above.command, above.command_path
    if not isinstance(group, Modes):
        return None
    modes = {f"{path} {name}": command for name, command in group.commands.items()}
    if option == "--mode":
        return f"--mode: each mode is a command: {', '.join(modes)}; closed load: {path}"
    having = [
        where
        for where, command in {path: group, **modes}.items()
        if any(option in (*each.opts, *each.secondary_opts) for each in command.params)
    ]
    return f"{option} is an option of: {', '.join(having)}" if having else None
