"""The command line of the sandbox."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import click

from bailiwick_sandbox import config as settings
from bailiwick_sandbox.bank.journal import JournalError
from bailiwick_sandbox.web import server


@click.command("sandbox")
@click.option(
    "--config",
    "path",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The settings file (sandbox.toml).",
)
@click.option(
    "--listen", default="127.0.0.1:9400", show_default=True, help="HOST:PORT; port 0 takes any."
)
@click.option("--fd", type=int, help="Use this inherited listening socket instead.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line once listening.")
@click.option("--init", is_flag=True, help="Write default settings first if there are none.")
def command(path: Path, listen: str, fd: int | None, as_json: bool, init: bool) -> None:
    """Play several payment providers for tests and demonstrations."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")

    def listening(url: str, hosts: dict[str, str]) -> None:
        if as_json:
            told = {"event": "listening", "url": url, "pid": os.getpid()}
            click.echo(json.dumps({**told, "iso8583": hosts} if hosts else told))
        else:
            click.echo(f"The sandbox listens at {url} (books: {url}/books)")
            for name, address in hosts.items():
                click.echo(f"{name} takes ISO 8583 at {address}")

    try:
        config = settings.write_default(path) if init else settings.load(path)
        sock = server.listen(listen, fd)
        server.run(config, path.parent, sock, listening)
    except (settings.ConfigError, JournalError) as error:
        raise click.ClickException(str(error)) from error


def main() -> None:
    """Run the command."""
    command()
