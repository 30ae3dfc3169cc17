"""``bailiwick usage``: every node's usage state, as one access process knows it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import click

from bailiwick.cli.client import fail

_TIMEOUT_S = 10.0
_BYTES_MAX = 16 << 20
_CLOCKS_APART_MS = 30_000


@click.command("usage")
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), default=Path("demo-data"),
    show_default=True, metavar="DIR", help="Folder of a running demo: gives the address.",
)  # fmt: skip
@click.option(
    "--url", metavar="URL", help="The status_listen of an access process, instead of --data."
)
@click.option(
    "--changes", type=click.IntRange(0, 100), default=5, show_default=True, metavar="N",
    help="The latest changes of each node to show.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON.")
def command(data: Path, url: str | None, changes: int, as_json: bool) -> None:
    """Show every node's usage state, since when and why, and how it changed.

    Each access process has its own view of the nodes: this is the one of the process asked.
    """
    found = _fetch(url or _of_demo(data))
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _show(found, changes)


def _of_demo(data: Path) -> str:
    try:
        demo = json.loads((data / "demo.json").read_text(encoding="utf-8"))
        return str(demo["access"][0]["status_url"])
    except (OSError, ValueError, LookupError, TypeError):
        fail(f"no demo runs in {data}: name its folder with --data, or give --url")


def _fetch(url: str) -> dict[str, Any]:
    address = url.rstrip("/") + "/usage"
    if not address.startswith(("http://", "https://")):
        fail(f"--url {url!r} must be like http://127.0.0.1:9010")
    try:
        with build_opener(ProxyHandler({})).open(address, timeout=_TIMEOUT_S) as answer:
            found = json.loads(answer.read(_BYTES_MAX))
    except (URLError, OSError) as error:
        fail(f"no answer from {address}: {error}")
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("object") != "usage":
        fail(f"{address} is no usage state: is this the status_listen of an access process?")
    return found


def _show(found: dict[str, Any], changes: int) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    console = Console(highlight=False)
    since = Column("since (UTC)", no_wrap=True)
    table = Table("node", "state", since, "why", "load", "own time", "database")
    for node in found["nodes"]:
        report = node["report"] or {}
        known = bool(report)
        table.add_row(
            node["name"],
            node["state"],
            _when(node["since_ms"]),
            "" if node["usage"] == "open" else node["usage"],
            f"{report['inflight']} of {report['capacity']}" if known else "",
            f"{report['queue_ms']} ms" if known else "",
            f"{report['database_lag_ms']} ms" if known else "",
        )
    console.print(table)
    for node in found["nodes"]:
        ahead_ms = node.get("clock_ahead_ms") or 0
        if abs(ahead_ms) > _CLOCKS_APART_MS:
            side = "ahead of" if ahead_ms > 0 else "behind"
            console.print(
                f"{node['name']}: its clock is {abs(ahead_ms) / 1000:.0f} s {side} that of access; "
                "set the clocks (NTP)",
                soft_wrap=True,
                markup=False,
            )
    for node in found["nodes"]:
        for change in node["changes"][:changes]:
            console.print(
                f"{_when(change['at_ms'])}  {node['name']}: {change['before']} -> "
                f"{change['after']}  {'' if change['why'] == 'open' else change['why']}".rstrip(),
                soft_wrap=True,
                markup=False,
            )


def _when(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
