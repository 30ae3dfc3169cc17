"""`bailiwick access`: one process of the stateless front."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bailiwick.access.config import AccessSettings
from bailiwick.cli.setting_options import setting_options

if TYPE_CHECKING:
    from bailiwick.shell.tls import Incoming, Outgoing


@click.command("access")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Settings file, access.toml; variables go over it, and options over both.",
)
@click.option("--check", is_flag=True, help="Only read and check the settings, then end.")
@click.option("--json", "as_json", is_flag=True, help="With --check: answer in JSON.")
def command(config: Path | None, check: bool, as_json: bool, **options: str | bool | None) -> None:
    """Run one access process: authenticate, locate, assign, forward. It keeps no state, so
    any number may run; SIGHUP reads world and certificates again, SIGTERM finishes and ends."""
    from bailiwick.shell import http, settings, telemetry
    from bailiwick.world.snapshot import WorldError

    try:
        chosen = settings.layered(
            config, AccessSettings, options, source="options and BAILIWICK_* variables"
        )
        host, port = address(chosen.listen)
        secret = settings.secret(
            f"file:{chosen.internal_secret_file}", base=Path(), field="internal_secret_file"
        ).encode()
        incoming, outgoing = _tls(chosen)
        if check:
            from bailiwick.access.front import Front

            Front(Path(chosen.world), secret, **_for_front(chosen))  # type: ignore[arg-type]
            click.echo(json.dumps({"ok": True}) if as_json else "The settings are fine.")
            return
        telemetry.configure("access", level=chosen.log_level)
        http.run(_serve(chosen, host, port, secret, incoming, outgoing))
    except WorldError as error:
        _fail("the world cannot be used", *error.problems)
    except (settings.SettingsError, OSError, ValueError) as error:
        _fail(*str(error).splitlines())


command.params.extend(setting_options(AccessSettings))


def address(text: str) -> tuple[str, int]:
    """Host and port of ``host:port`` or ``[v6]:port``. Raises ValueError with the remedy."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError(f"--listen {text!r}: write HOST:PORT, for example 127.0.0.1:9000")
    return host, int(port)


def _tls(chosen: AccessSettings) -> tuple[Incoming | None, Outgoing | None]:
    """What clients are shown, and what nodes are shown and held against."""
    from bailiwick.shell import tls

    incoming = tls.incoming(
        chosen.tls_certificate, chosen.tls_key, fields=("tls_certificate", "tls_key")
    )
    outgoing = tls.outgoing(
        chosen.node_ca,
        chosen.node_certificate,
        chosen.node_key,
        fields=("node_ca", "node_certificate", "node_key"),
    )
    return incoming, outgoing


def _for_front(chosen: AccessSettings) -> dict[str, object]:
    return {
        "region": chosen.region or None,
        "ip_file": Path(chosen.ip_file) if chosen.ip_file else None,
        "rate_per_second": chosen.rate,
    }


async def _serve(
    chosen: AccessSettings,
    host: str,
    port: int,
    secret: bytes,
    incoming: Incoming | None,
    outgoing: Outgoing | None,
) -> None:
    from bailiwick.access.app import build
    from bailiwick.access.front import Front
    from bailiwick.shell import http, notify, telemetry, tls
    from bailiwick.shell.bus_settings import bus_of, first_epoch

    bus = bus_of(chosen, f"access {host}:{port}", Path())
    await first_epoch(Path(chosen.world), bus)
    sock = http.bind(host, port, shared=chosen.shared_port)
    front = Front(Path(chosen.world), secret, tls=outgoing, bus=bus, **_for_front(chosen))  # type: ignore[arg-type]
    limits = http.Limits(connections_per_address=chosen.connections_per_address)
    server = http.HttpServer(build(front), limits, tls=incoming)
    files = tls.Watch(incoming, outgoing)
    await front.start()
    await server.start(sock=sock)
    http.settle_memory()
    log = telemetry.logger()
    log.info("listening", host=host, port=server.port, epoch=front.world.epoch)

    def reload() -> None:
        front.reload()
        files.reload()

    async with files, notify.Service():
        await http.until_signalled(reload=reload)
        log.info("stopping")
    await server.stop()
    await front.stop()


def _fail(*lines: str) -> None:
    for line in lines:
        click.echo(f"bailiwick access: {line}", err=True)
    sys.exit(1)
