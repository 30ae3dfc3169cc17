"""Ask a running overview: ``find``, ``totals``, ``lag``, ``duplicates``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import click

_TIMEOUT_S = 30.0
_ANSWER_BYTES_MAX = 64 << 20
_LINE = 180


class Target(tuple[str, str]):
    """Address of an overview, and the operators' token."""


def where(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which overview."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON."),
        click.option(
            "--token-file", type=click.Path(path_type=Path, dir_okay=False, exists=True),
            envvar="BAILIWICK_OPERATOR_TOKEN_FILE", metavar="FILE",
            help="File with the operators' token, with --url.",
        ),
        click.option(
            "--url", metavar="URL", envvar="BAILIWICK_OVERVIEW_URL",
            help="Address of the overview, instead of --data.",
        ),
        click.option(
            "--data", type=click.Path(path_type=Path, file_okay=False),
            default=Path("demo-data"), show_default=True, metavar="DIR",
            help="Folder of a demo that runs with --overview.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


def target(data: Path, url: str | None, token_file: Path | None) -> Target:
    """The overview to ask. Raises ClickException with the remedy."""
    if url is not None:
        if token_file is None:
            raise click.ClickException("--url needs --token-file, the operators' token")
        if not url.startswith(("http://", "https://")):
            raise click.ClickException(f"--url {url!r} must be like http://127.0.0.1:9300")
        return Target((url.rstrip("/"), token_file.read_text(encoding="utf-8").strip()))
    try:
        demo = json.loads((data / "demo.json").read_text(encoding="utf-8"))
        shown = demo["overview"]
    except (OSError, ValueError, KeyError, TypeError):
        shown = None
    if shown is None:
        raise click.ClickException(
            f"no demo with an overview runs in {data}: start one with "
            "'bailiwick demo --overview', or give --url and --token-file"
        )
    return Target((shown["url"], shown["token"]))


def get(asked: Target, path: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
    """The overview's answer. Raises ClickException with its message."""
    url, token = asked
    given = {name: value for name, value in (params or {}).items() if value is not None}
    query = "?" + urlencode(given) if given else ""
    request = Request(url + path + query, headers={"Authorization": f"Bearer {token}"})
    try:
        with urlopen(request, timeout=_TIMEOUT_S) as answer:
            found: dict[str, Any] = json.loads(answer.read(_ANSWER_BYTES_MAX))
    except HTTPError as error:
        try:
            message = json.loads(error.read())["error"]["message"]
        except (ValueError, KeyError, TypeError):
            message = f"{url} answered {error.code}: is it an overview?"
        raise click.ClickException(message) from None
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise click.ClickException(f"no answer from {url}: {reason}") from None
    return found


def _echo(document: Any) -> None:
    click.echo(json.dumps(document, ensure_ascii=False, indent=2))


def _table(*columns: str) -> Any:
    from rich.table import Table

    return Table(*columns, box=None, pad_edge=False)


def _show(table: Any) -> None:
    from rich.console import Console

    # An id that is cut off is of no use: rather a long line.
    console = Console(highlight=False)
    console.width = max(console.width, _LINE)
    console.print(table, crop=False)


@click.command("find")
@where
@click.argument("identifier", required=False, metavar="[ID]")
@click.option("--merchant")
@click.option("--state", help="Such as succeeded.")
@click.option("--node", type=click.IntRange(1, 65535), metavar="N")
@click.option("--currency")
@click.option("--amount", type=int, help="Exactly so many minor units.")
@click.option("--amount-min", type=int)
@click.option("--amount-max", type=int)
@click.option("--since-ms", type=int, help="Made at or after; milliseconds since 1970.")
@click.option("--until-ms", type=int, help="Made at or before.")
@click.option("--gap", is_flag=True, default=None, help="Only those of which an event is missing.")
@click.option("--after", metavar="ID", help="The last id of the page before.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
def find(
    data: Path, url: str | None, token_file: Path | None, as_json: bool,
    identifier: str | None, gap: bool | None, **filters: Any,
) -> None:  # fmt: skip
    """Find payments over all nodes, newest first, by id or its beginning and by filters."""
    params = {**filters, "id": identifier, "gap": "true" if gap else None}
    answer = get(target(data, url, token_file), "/overview/payments", params)
    if as_json:
        _echo(answer)
        return
    table = _table("Payment", "Node", "Merchant", "State", "Amount", "Received", "Refunded", "")
    for row in answer["data"]:
        missing = row["highest"] - row["seen"]
        table.add_row(
            row["id"], str(row["node"]), row["merchant"], row["state"],
            f"{row['amount']} {row['currency']}", str(row["amount_received"]),
            str(row["amount_refunded"]), f"{missing} events missing" if missing > 0 else "",
        )  # fmt: skip
    _show(table)
    if answer["has_more"]:
        click.echo(f"There are more: --after {answer['data'][-1]['id']}")


@click.command("totals")
@where
@click.option("--since", metavar="DAY", help="YYYY-MM-DD, UTC; 31 days by default.")
@click.option("--until", metavar="DAY", help="Included; today by default.")
@click.option("--merchant")
@click.option("--node", type=click.IntRange(1, 65535), metavar="N")
@click.option("--currency")
def totals(
    data: Path, url: str | None, token_file: Path | None, as_json: bool, **filters: Any
) -> None:
    """Sums by node, merchant, currency, day and state, over all nodes."""
    answer = get(target(data, url, token_file), "/overview/totals", filters)
    if as_json:
        _echo(answer)
        return
    table = _table(
        "Day", "Node", "Merchant", "Mode", "State", "Payments", "Amount", "Received", "Refunded", ""
    )
    for row in answer["data"]:
        table.add_row(
            row["day"], str(row["node"]), row["merchant"], "live" if row["livemode"] else "test",
            row["state"], str(row["payments"]), str(row["amount"]), str(row["amount_received"]),
            str(row["amount_refunded"]), row["currency"],
        )  # fmt: skip
    _show(table)


@click.command("lag")
@where
def lag(data: Path, url: str | None, token_file: Path | None, as_json: bool) -> None:
    """How far behind each node the overview is."""
    answer = get(target(data, url, token_file), "/overview/lag")
    if as_json:
        _echo(answer)
        return
    table = _table("Node", "Events", "Last event", "Gaps", "Relay", "Waiting", "Parked", "Heard")
    for row in answer["nodes"]:
        relay = row["relay"] or {}
        age = row["last_event_age_ms"]
        doing = (
            "sends all again" if relay.get("sweeping") else f"{relay.get('lag_ms', 0)} ms behind"
        )
        table.add_row(
            str(row["node"]), str(row["events"]), "none" if age is None else f"{age} ms ago",
            str(row["gaps"]), doing if relay else "never heard of", str(relay.get("waiting", "")),
            str(relay.get("parked", "")),
            f"{relay['heard_ms_ago']} ms ago" if relay else "",
        )  # fmt: skip
    _show(table)
    click.echo(f"{answer['pending']} messages wait at the broker.")
    if not answer["connected"]:
        click.echo("The broker does not answer: this is what was known before.")


@click.command("duplicates")
@where
def duplicates(data: Path, url: str | None, token_file: Path | None, as_json: bool) -> None:
    """Keys that were used for payments at two nodes, and contradictory histories of a node."""
    answer = get(target(data, url, token_file), "/overview/duplicates")
    if as_json:
        _echo(answer)
        return
    for key in answer["keys"]:
        click.echo(f"One key, {len(key['payments'])} payments:")
        for each in key["payments"]:
            click.echo(
                f"  {each['id']}  node {each['node']}  {each['merchant']}  {each['state']}  "
                f"{each['amount']} {each['currency']}, received {each['amount_received']}, "
                f"refunded {each['amount_refunded']}"
            )
    for each in answer["forks"]:
        click.echo(f"{each['payment']}: event {each['seq']} came as {', '.join(each['events'])}")
    if not answer["keys"] and not answer["forks"]:
        click.echo("No duplicate.")
