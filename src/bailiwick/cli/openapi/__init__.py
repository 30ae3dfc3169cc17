"""`bailiwick openapi`: the description of the API as this version serves it."""

from __future__ import annotations

import click


@click.command("openapi")
def command() -> None:
    """Print the description of the API: OpenAPI 3.1, in JSON. Access serves the same at
    /openapi.json.

    \b
    bailiwick openapi > openapi.json
    """
    from bailiwick.openapi.document import written

    click.echo(written().decode())
