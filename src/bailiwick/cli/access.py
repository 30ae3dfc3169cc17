"""`bailiwick access`: one process of the stateless front."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command("access")
@click.option(
    "--world",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    required=True,
    metavar="DIR",
    envvar="BAILIWICK_WORLD",
    help="Folder with topology.toml and merchants.toml; changes are taken up within a second.",
)
@click.option(
    "--listen",
    default="127.0.0.1:9000",
    show_default=True,
    metavar="HOST:PORT",
    envvar="BAILIWICK_LISTEN",
    help="Where clients connect.",
)
@click.option(
    "--internal-secret-file",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    envvar="BAILIWICK_INTERNAL_SECRET_FILE",
    help="The secret that access processes and nodes share.",
)
@click.option(
    "--region",
    metavar="NODE",
    envvar="BAILIWICK_REGION",
    help="The node whose region this process stands in: payments of places with strict "
    "residency elsewhere get 421 with the address to use.",
)
@click.option(
    "--ip-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    envvar="BAILIWICK_IP_FILE",
    help="A MaxMind DB file of countries, asked before the built-in IP data.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="N",
    envvar="BAILIWICK_RATE",
    help="Requests per second that one merchant may send (0: no bound).",
)
@click.option("--shared-port", is_flag=True, help="Let several processes listen on one port.")
@click.option("--log-level", default="info", show_default=True, envvar="BAILIWICK_LOG_LEVEL")
def command(
    world: Path,
    listen: str,
    internal_secret_file: Path,
    region: str | None,
    ip_file: Path | None,
    rate: float,
    shared_port: bool,
    log_level: str,
) -> None:
    """Run one access process: authenticate, locate, assign, forward. It keeps no state, so
    any number may run; SIGHUP reads the world again, SIGTERM finishes and ends."""
    from bailiwick.shell import http, settings, telemetry
    from bailiwick.world.snapshot import WorldError

    telemetry.configure("access", level=log_level)
    try:
        host, port = address(listen)
        secret = settings.secret(
            f"file:{internal_secret_file}", base=Path(), field="--internal-secret-file"
        )
        http.run(_serve(world, host, port, secret, region, ip_file, rate, shared_port))
    except WorldError as error:
        _fail("the world cannot be used", *error.problems)
    except (settings.SettingsError, OSError, ValueError) as error:
        _fail(str(error))


def address(text: str) -> tuple[str, int]:
    """Host and port of ``host:port`` or ``[v6]:port``. Raises ValueError with the remedy."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError(f"--listen {text!r}: write HOST:PORT, for example 127.0.0.1:9000")
    return host, int(port)


async def _serve(
    world: Path,
    host: str,
    port: int,
    secret: str,
    region: str | None,
    ip_file: Path | None,
    rate: float,
    shared_port: bool,
) -> None:
    from bailiwick.access.app import build
    from bailiwick.access.front import Front
    from bailiwick.shell import http, telemetry

    sock = http.bind(host, port, shared=shared_port)
    front = Front(world, secret.encode(), region=region, ip_file=ip_file, rate_per_second=rate)
    server = http.HttpServer(build(front))
    await front.start()
    await server.start(sock=sock)
    http.settle_memory()
    log = telemetry.logger()
    log.info("listening", host=host, port=server.port, epoch=front.world.epoch)
    await http.until_signalled(reload=front.reload)
    log.info("stopping")
    await server.stop()
    await front.stop()


def _fail(*lines: str) -> None:
    for line in lines:
        click.echo(f"bailiwick access: {line}", err=True)
    sys.exit(1)
