"""`bailiwick access`: one process of the stateless front."""

from __future__ import annotations

import errno
import json
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bailiwick.access.config import AccessSettings
from bailiwick.cli.setting_options import setting_options

if TYPE_CHECKING:
    from bailiwick.runtime.tls import Incoming, Outgoing

_STATUS_PORTS = 16
_STATUS_CLIENTS = 64


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
    from bailiwick.runtime import settings, telemetry
    from bailiwick.topology.snapshot import WorldError
    from bailiwick.wire import server as http

    try:
        chosen = settings.layered(
            config, AccessSettings, options, source="options and BAILIWICK_* variables"
        )
        listen = address(chosen.listen)
        status = address(chosen.status_listen, "status_listen") if chosen.status_listen else None
        secret = settings.secret(
            f"file:{chosen.internal_secret_file}", base=Path(), field="internal_secret_file"
        ).encode()
        incoming, outgoing = _tls(chosen)
        if check:
            _check(chosen, secret)
            click.echo(json.dumps({"ok": True}) if as_json else "The settings are fine.")
            return
        telemetry.configure("access", level=chosen.log_level)
        http.run(_serve(chosen, listen, status, secret, incoming, outgoing))
    except WorldError as error:
        _fail("the world cannot be used", *error.problems)
    except (settings.SettingsError, OSError, ValueError) as error:
        _fail(*str(error).splitlines())


command.params.extend(setting_options(AccessSettings))


def address(text: str, field: str = "listen") -> tuple[str, int]:
    """Host and port of ``host:port`` or ``[v6]:port``. Raises ValueError with the remedy."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError(f"{field}: {text!r}: write HOST:PORT, for example 127.0.0.1:9000")
    return host, int(port)


def _tls(chosen: AccessSettings) -> tuple[Incoming | None, Outgoing | None]:
    """What clients are shown, and what nodes are shown and held against."""
    from bailiwick.runtime import tls

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
        "trust": _trust(chosen),
        "ip_file": Path(chosen.ip_file) if chosen.ip_file else None,
        "rate_per_second": chosen.rate,
        "public_rate_per_second": chosen.public_rate_per_second,
    }


def _status_socket(host: str, port: int, *, shared: bool) -> socket.socket:
    """Where operators ask. Processes that share the clients' port do not share this one: each
    tells of itself alone, so each takes the first port that is free.

    Raises:
        OSError: none is, or the address is not ours; the message has the remedy.
    """
    from bailiwick.wire import server as http

    ports = range(port, min(port + _STATUS_PORTS, 65_536)) if shared and port else (port,)
    said: str | None = ""
    for number in ports:
        try:
            return http.bind(host, number)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            said = error.strerror
    raise OSError(errno.EADDRINUSE, f"status_listen: {said}; give each process its own port")


def _check(chosen: AccessSettings, secret: bytes) -> None:
    """Look whether the world can be used, unless its first epoch is still to come by broker."""
    from bailiwick.access.front import Front
    from bailiwick.runtime.settings import SettingsError
    from bailiwick.topology.chain import ChainError
    from bailiwick.topology.epochs import Epochs

    epochs = Epochs(Path(chosen.world), _trust(chosen))
    try:
        if chosen.nats and epochs.signed and epochs.trust() and not epochs.numbers():
            return
    except ChainError as error:
        raise SettingsError(f"world_trust: {error}") from None
    Front(Path(chosen.world), secret, **_for_front(chosen))  # type: ignore[arg-type]


def _trust(chosen: AccessSettings) -> Path | None:
    return Path(chosen.world_trust) if chosen.world_trust else None


async def _serve(
    chosen: AccessSettings,
    listen: tuple[str, int],
    status: tuple[str, int] | None,
    secret: bytes,
    incoming: Incoming | None,
    outgoing: Outgoing | None,
) -> None:
    from bailiwick import resources
    from bailiwick.access.app import build
    from bailiwick.access.front import Front
    from bailiwick.access.status import build_status
    from bailiwick.bus.settings import bus_of
    from bailiwick.interlink.resource import larger_bodies
    from bailiwick.runtime import notify, telemetry, tls
    from bailiwick.topology.joining import first_epoch
    from bailiwick.wire import server as http

    host, port = listen
    bus = bus_of(chosen, f"access {host}:{port}", Path())
    await first_epoch(Path(chosen.world), bus, trust=_trust(chosen))
    sock = http.bind(host, port, shared=chosen.shared_port)
    status_sock = _status_socket(*status, shared=chosen.shared_port) if status else None
    front = Front(Path(chosen.world), secret, tls=outgoing, bus=bus, **_for_front(chosen))  # type: ignore[arg-type]
    limits = http.Limits(
        connections_per_address=chosen.connections_per_address,
        larger=larger_bodies(resources.every()),
    )
    server = http.HttpServer(build(front), limits, tls=incoming)
    files = tls.Watch(incoming, outgoing)
    await front.start()
    log = telemetry.logger()
    operators = None
    if status is not None and status_sock is not None:
        operators = http.HttpServer(build_status(front), http.Limits(connections=_STATUS_CLIENTS))
        await operators.start(sock=status_sock)
        log.info("status_listening", host=status[0], port=operators.port)
    await server.start(sock=sock)
    http.settle_memory()
    log.info("listening", host=host, port=server.port, epoch=front.world.epoch)

    def reload() -> None:
        front.reload()
        files.reload()

    async with files, notify.Service():
        await http.until_signalled(reload=reload)
        log.info("stopping")
    front.streams.close()
    await server.stop()
    if operators is not None:
        await operators.stop()
    await front.stop()


def _fail(*lines: str) -> None:
    for line in lines:
        click.echo(f"bailiwick access: {line}", err=True)
    sys.exit(1)
