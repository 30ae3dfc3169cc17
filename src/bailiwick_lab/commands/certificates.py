"""`bailiwick certificates`: a private authority and certificates for trying out TLS."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click


@click.command("certificates")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--server", "servers", multiple=True, metavar="NAME=HOST,...",
    help="A server's certificate, with the DNS names and addresses that it is reached by.",
)  # fmt: skip
@click.option("--client", "clients", multiple=True, metavar="NAME", help="A client's certificate.")
@click.option(
    "--both", "boths", multiple=True, metavar="NAME=HOST,...",
    help="One that serves and calls, such as that of a NATS server among others.",
)  # fmt: skip
@click.option("--days", default=30, show_default=True, help="How long certificates are valid.")
@click.option("--ca-days", default=365, show_default=True, help="How long a new authority is.")
@click.option("--renew", is_flag=True, help="Replace certificates of the same names.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    folder: Path,
    servers: tuple[str, ...],
    clients: tuple[str, ...],
    boths: tuple[str, ...],
    days: int,
    ca_days: int,
    renew: bool,
    as_json: bool,
) -> None:
    """Make certificates signed by a private authority in FOLDER, which is made if need be.

    For trying out: the authority's key lies unencrypted in the folder. Nothing is overwritten
    without --renew; the authority never is.
    """
    from bailiwick_lab.authority import Authority, AuthorityError, Use

    wanted: list[tuple[str, list[str], Use]] = [(name, [], "client") for name in clients]
    wanted += [(*_named(text), "server") for text in servers]
    wanted += [(*_named(text), "both") for text in boths]
    try:
        authority = Authority(folder, days=ca_days)
        pairs = [
            authority.issue(name, hosts, use, days=days, renew=renew) for name, hosts, use in wanted
        ]
    except AuthorityError as error:
        if as_json:
            click.echo(json.dumps({"error": str(error)}))
        else:
            click.echo(f"bailiwick certificates: {error}", err=True)
        sys.exit(1)
    made = [authority.certificate_file] if authority.made else []
    made += [file for pair in pairs for file in pair]
    if as_json:
        ca = str(authority.certificate_file)
        click.echo(json.dumps({"ca": ca, "made": [str(file) for file in made]}))
        return
    for file in made:
        click.echo(f"made {file}")
    if not made:
        click.echo("Nothing to make: name a --server, --client or --both.")


def _named(text: str) -> tuple[str, list[str]]:
    name, _, hosts = text.partition("=")
    return name, [host for host in hosts.split(",") if host]
