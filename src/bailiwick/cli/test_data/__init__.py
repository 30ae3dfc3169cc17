"""``bailiwick test-data``: what a merchant's test mode has, deleted."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from bailiwick.cli.over_nodes import Chosen, agreed, carried_out, chosen, databases, fail, user
from bailiwick.cli.test_data import words


@click.group("test-data")
def command() -> None:
    """Delete what a merchant's test mode has."""


@command.command("delete")
@click.option("--merchant", required=True, metavar="ID", help="Whose test data.")
@databases
@agreed("deleted")
def delete(
    merchant: str,
    fleet_file: Path | None,
    data: Path | None,
    dsns: tuple[str, ...],
    names: tuple[str, ...],
    by: str | None,
    preview: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Delete all test data of a merchant: payments, refunds, disputes, payouts, setups, customers,
    payment methods, files, test clocks, events, idempotency keys, the log of deliveries.

    Nothing of live mode is touched. API keys, webhook endpoints and configurations stay. Refused
    while an attempt is open. May be repeated.
    """
    from bailiwick.deletion.batch import DeletionError

    if as_json and not (yes or preview):
        fail("--json does not ask: add --yes or --preview")
    if not merchant.startswith("acct_"):
        fail("--merchant: the id of a merchant is expected, such as acct_demo")
    where = chosen(fleet_file, data, dsns, names)
    work = _delete(merchant, where, by or user(), preview, yes, as_json)
    shown = carried_out(work, DeletionError, "deleted")
    if as_json:
        click.echo(json.dumps(shown, ensure_ascii=False))
    if shown["open"] or any(node["left"] for node in shown["nodes"]):
        sys.exit(1)


async def _delete(
    merchant: str, where: Chosen, by: str, preview: bool, yes: bool, as_json: bool
) -> dict[str, Any]:
    from contextlib import AsyncExitStack

    from bailiwick.base.ids import new_request_id
    from bailiwick.deletion.node_deletion import opened

    run = new_request_id().replace("req_", "td_")
    shown: dict[str, Any] = {
        "run": run,
        "merchant": merchant,
        "done": False,
        "nodes": [],
        "nodes_not_looked_at": where.others,
        "open": [],
        "stays": list(words.STAYS),
    }
    async with AsyncExitStack() as stack:
        nodes = {
            name: await stack.enter_async_context(opened(dsn, merchant, run, by))
            for name, dsn in where.nodes.items()
        }
        seen = {name: await node.look() for name, node in nodes.items()}
        for name, each in seen.items():
            told = {"node": name, "number": nodes[name].number, "found": words.summed(each.counts)}
            shown["nodes"].append({**told, "deleted": {}, "left": {}})
            shown["open"] += [{"node": name, "id": one} for one in each.open]
        if not as_json:
            words.preview(shown, len(nodes) == 1)
        if preview or shown["open"]:
            return shown
        if not yes and not click.confirm("Delete it, for ever?"):
            fail("nothing was changed")
        for told, (name, node) in zip(shown["nodes"], nodes.items(), strict=True):
            done = msgspec.to_builtins(await node.delete(seen[name]))
            told["deleted"] = words.summed(done["deleted"])
            told["left"] = words.summed(done["left"])
            shown["open"] += [{"node": name, "id": one} for one in done["open"]]
    shown["done"] = not any(node["left"] for node in shown["nodes"])
    if not as_json:
        words.said(shown)
    return shown
