"""``bailiwick listen``: events as they happen, forwarded to a server on this machine."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bailiwick.cli.client import fail, target

if TYPE_CHECKING:
    from bailiwick.cli.listen.forwarding import Happened


@click.command("listen")
@click.option("--forward-to", metavar="URL", help="Where events are posted; else they are shown.")
@click.option(
    "--events", "types", multiple=True, metavar="NAME",
    help="Only events of this type, or group of types (refund.*); may be repeated. By default all.",
)  # fmt: skip
@click.option(
    "--every", type=click.FloatRange(0.1, 60), default=1.0, show_default=True, metavar="SECONDS",
    help="How often is asked for new events.",
)  # fmt: skip
@click.option("--print-secret", is_flag=True, help="Print the signing secret only.")
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), default=Path("demo-data"),
    show_default=True, metavar="DIR", help="Folder of a running demo: gives address and key.",
)  # fmt: skip
@click.option(
    "--base-url", metavar="URL", envvar="BAILIWICK_BASE_URL",
    help="Address of the API, instead of --data.",
)  # fmt: skip
@click.option("--key", metavar="KEY", envvar="BAILIWICK_KEY", help="Secret API key.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each event.")
def command(
    forward_to: str | None,
    types: tuple[str, ...],
    every: float,
    print_secret: bool,
    data: Path,
    base_url: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Forward events to a server on this machine as they happen. For development.

    It asks GET /v1/events with the secret key, again and again, and posts what is new, signed as
    webhooks are. Nothing is tried again, no endpoint is made, and nobody else's webhooks change.
    Ctrl-C ends it.
    """
    from bailiwick.cli.listen.forwarding import Listener, Unusable, secret_of

    api = target(data, base_url, key)
    secret = secret_of(api.key)
    if print_secret:
        click.echo(secret)
        return
    total = 0
    try:
        listener = Listener(api, forward_to, types)
        listener.begin()
        _ready(secret, forward_to, as_json=as_json)
        while True:
            for each in listener.step():
                total += 1
                _show(each, forward_to, as_json=as_json)
            for word in listener.words():
                click.echo(f"bailiwick: {word}", err=True)
            time.sleep(every)
    except Unusable as error:
        fail(str(error))
    except KeyboardInterrupt:
        if not as_json:
            click.echo(f"\nStopped. {total} events.")


def _ready(secret: str, forward_to: str | None, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"ready": True, "secret": secret, "forward_to": forward_to}))
        return
    click.echo(f"Ready. Your webhook signing secret is {click.style(secret, bold=True)}")
    click.echo(
        f"Forwarding to {forward_to}." if forward_to else "Showing events (no --forward-to)."
    )
    click.echo("Ctrl-C ends it.")


def _show(happened: Happened, forward_to: str | None, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(happened._asdict()))
        return
    stamp = time.strftime("%H:%M:%S")
    name = click.style(happened.type, bold=True)
    click.echo(f"{stamp}  --> {name} [{happened.event}] {happened.about}")
    if forward_to is None:
        return
    if happened.status is None:
        said = click.style(f"no answer: {happened.failure}", fg="red")
    else:
        good = 200 <= happened.status < 300
        said = click.style(f"[{happened.status}]", fg="green" if good else "red")
    click.echo(f"{stamp}  <-- {said} {happened.duration_ms} ms")
