"""``bailiwick node``: run one regional transaction node, or act on one as its operator."""

import importlib
from pathlib import Path

import click

_COMMANDS = {
    "gateways": "Show, add, change, drain and disable a node's gateways while it runs.",
    "status": "Show how every node stands, and what to do about it.",
    "drain": "Have a node take no new payments, and wait for those under way.",
    "fence": "Have nothing written at a node any more.",
    "adopt": "Serve a fenced node from another host, on its own database.",
    "evacuate": "Serve a fenced node's places without its database.",
    "return": "Bring a fenced or evacuated node back.",
    "join": "Add a node with an empty database.",
    "remove": "Take a drained node out of the topology.",
}


class _Lazy(click.Group):
    """Imports the commands only when one runs: a node needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        if cmd_name == "gateways":
            found = importlib.import_module("bailiwick.cli.gateways").command
        else:
            module = importlib.import_module("bailiwick.cli.node_commands")
            found = getattr(module, cmd_name.replace("return", "come_back"))
        if not isinstance(found, click.Command):
            raise TypeError(f"node {cmd_name} is no click command")
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("For its operator"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group("node", cls=_Lazy, invoke_without_command=True, subcommand_metavar="[COMMAND]")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The node's settings, node.toml.",
)
@click.option("--check", is_flag=True, help="Only read and check the settings, then end.")
@click.option("--json", "as_json", is_flag=True, help="Say when it listens as one JSON line.")
@click.pass_context
def command(context: click.Context, config: Path | None, check: bool, as_json: bool) -> None:
    """Run one regional transaction node; or, with a command, act on nodes as their operator."""
    if context.invoked_subcommand is not None:
        if config is not None or check or as_json:
            raise click.UsageError("options of a command stand after it", context)
        return
    if config is None:
        raise click.MissingParameter(ctx=context, param_hint="'--config'", param_type="option")
    _run(config, check, as_json)


def _run(config: Path, check: bool, as_json: bool) -> None:
    from bailiwick.node.config import load
    from bailiwick.runtime import telemetry
    from bailiwick.runtime.settings import SettingsError
    from bailiwick.wire.server import run

    try:
        loaded = load(config)
    except SettingsError as error:
        raise click.ClickException("\n".join(error.problems)) from None
    if check:
        click.echo('{"ok": true}' if as_json else "The settings are fine.")
        return
    telemetry.configure(f"node {loaded.settings.name}")
    try:
        run(_serve(loaded, as_json))
    except SettingsError as error:
        raise click.ClickException("\n".join(error.problems)) from None


async def _serve(loaded, as_json: bool) -> None:  # type: ignore[no-untyped-def]
    import json
    import os

    from bailiwick import resources
    from bailiwick.bus.settings import bus_of
    from bailiwick.interlink.resource import larger_bodies
    from bailiwick.node.app import build
    from bailiwick.node.public import build_public
    from bailiwick.node.service import Node
    from bailiwick.runtime import telemetry
    from bailiwick.runtime.notify import Service
    from bailiwick.runtime.settings import SettingsError
    from bailiwick.runtime.tls import Watch
    from bailiwick.topology.joining import first_epoch
    from bailiwick.topology.snapshot import WorldError
    from bailiwick.wire.server import HttpServer, Limits, settle_memory, until_signalled

    bus = bus_of(loaded.settings, f"node {loaded.settings.name}", loaded.folder)
    await first_epoch(loaded.world, bus, trust=loaded.world_trust)
    try:
        node = Node(loaded, bus)
    except WorldError as error:
        raise SettingsError(*error.problems) from None
    await node.start()
    settings = loaded.settings
    limits = Limits(
        connections_per_address=settings.connections_per_address,
        larger=larger_bodies(resources.every()),
    )
    server = HttpServer(build(node), limits, tls=loaded.incoming)
    await server.start(*_address(loaded.settings.listen))
    callbacks = None
    if loaded.settings.callback_listen:
        limits = Limits(connections_per_address=settings.callback_connections_per_address)
        callbacks = HttpServer(build_public(node), limits, tls=loaded.callback_incoming)
        await callbacks.start(*_address(loaded.settings.callback_listen))
    settle_memory()
    telemetry.logger().info("listening", port=server.port, epoch=node.world.epoch)
    if as_json:
        line = {"event": "listening", "port": server.port, "pid": os.getpid()}
        click.echo(json.dumps(line))
    files = Watch(loaded.incoming, loaded.callback_incoming, more=node.live.held)
    async with files, Service():
        await until_signalled(reload=files.reload)
    if callbacks is not None:
        await callbacks.stop()
    node.streams.close()
    await server.stop()
    await node.stop()


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)
