"""``bailiwick overview``: run the read side over all nodes, ask it, and have it filled again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bailiwick.cli.overview.asking import duplicates, find, lag, totals
from bailiwick.cli.overview.rebuilding import compare, rebuild
from bailiwick.cli.setting_options import setting_options
from bailiwick.overview.config import OverviewSettings

if TYPE_CHECKING:
    from bailiwick.overview.config import Loaded


@click.group("overview", invoke_without_command=True)
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Settings file, overview.toml; variables go over it, and options over both.",
)
@click.option("--check", is_flag=True, help="Only read and check the settings, then end.")
@click.pass_context
def command(
    context: click.Context, /, config: Path | None, check: bool, **options: str | bool | None
) -> None:
    """Run the overview: it reads what all nodes' relays send, and answers operators. With a
    command: ask a running one, or compare and rebuild it."""
    if context.invoked_subcommand is not None:
        return
    import asyncpg

    from bailiwick.overview.config import load
    from bailiwick.runtime import telemetry
    from bailiwick.runtime.settings import SettingsError
    from bailiwick.store.migrate import MigrationError
    from bailiwick.wire.server import run

    try:
        loaded = load(config, options)
        if check:
            click.echo("The settings are fine.")
            return
        telemetry.configure("overview", level=loaded.settings.log_level)
        run(_serve(loaded))
    except (SettingsError, MigrationError) as error:
        raise click.ClickException(str(error)) from None
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        said = str(error) or type(error).__name__
        raise click.ClickException(f"the overview cannot start: {said}") from None


command.params.extend(setting_options(OverviewSettings))
for _each in (find, totals, lag, duplicates, compare, rebuild):
    command.add_command(_each)


async def _serve(loaded: Loaded) -> None:
    from bailiwick.overview.app import build
    from bailiwick.overview.service import Overview
    from bailiwick.runtime import telemetry
    from bailiwick.runtime.notify import Service
    from bailiwick.runtime.tls import Watch
    from bailiwick.wire.server import HttpServer, settle_memory, until_signalled

    overview = Overview(loaded)
    server = HttpServer(build(overview), tls=loaded.incoming)
    await overview.start()
    host, _, port = loaded.settings.listen.rpartition(":")
    await server.start(host.removeprefix("[").removesuffix("]"), int(port))
    settle_memory()
    telemetry.logger().info("listening", port=server.port)
    files = Watch(loaded.incoming)
    async with files, Service():
        await until_signalled(reload=files.reload)
    await server.stop()
    await overview.stop()
