"""``bailiwick erase``: what is personal of a payer goes, what is money stays."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from bailiwick.cli.erase import words
from bailiwick.cli.over_nodes import Chosen, agreed, carried_out, chosen, databases, fail, user


@click.command("erase")
@click.option(
    "--customer", "customers", multiple=True, metavar="ID", help="A customer; repeatable."
)
@click.option("--payment", "payments", multiple=True, metavar="ID", help="A payment; repeatable.")
@click.option("--email", metavar="ADDRESS", help="What the payer gave; - reads it from the input.")
@click.option("--merchant", metavar="ID", help="Whose payer it is; with --email.")
@databases
@agreed("erased")
def command(
    customers: tuple[str, ...],
    payments: tuple[str, ...],
    email: str | None,
    merchant: str | None,
    fleet_file: Path | None,
    data: Path | None,
    dsns: tuple[str, ...],
    names: tuple[str, ...],
    by: str | None,
    preview: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Erase what is personal of a payer: customer, payment methods, payments with their charges,
    refunds and disputes, events, stored answers, the log of deliveries.

    Amounts, ids, states, times, postings and the country stay. Refused while anything of it is
    open. May be repeated: what is erased already is found so.
    """
    from bailiwick.erasure.order import ErasureError
    from bailiwick.erasure.payer import Asked

    if not (customers or payments or email):
        fail("say who: --customer ID, --payment ID, or --email ADDRESS --merchant ID")
    if (email is None) != (merchant is None):
        fail("--email and --merchant go together: a payer is one merchant's")
    if as_json and not (yes or preview):
        fail("--json does not ask: add --yes or --preview")
    if email == "-":
        email = sys.stdin.readline().strip()
    if email is not None and "@" not in email:
        fail("--email: a name, an @ and a domain are expected")
    asked = Asked(customers, payments, email, merchant)
    where = chosen(fleet_file, data, dsns, names)
    work = _erase(asked, where, by or user(), preview, yes, as_json)
    found = carried_out(work, ErasureError, "erased")
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
    if found["open"] or found["unknown"]:
        sys.exit(1)


async def _erase(
    asked: Any, where: Chosen, by: str, preview: bool, yes: bool, as_json: bool
) -> dict[str, Any]:
    from contextlib import AsyncExitStack

    from bailiwick.base.ids import new_request_id
    from bailiwick.erasure.node_erasure import opened

    run = new_request_id().replace("req_", "er_")
    shown: dict[str, Any] = {
        "run": run,
        "done": False,
        "nodes": [],
        "nodes_not_looked_at": where.others,
        "open": [],
        "unknown": [],
        "limits": list(words.LIMITS),
    }
    async with AsyncExitStack() as stack:
        nodes = {
            name: await stack.enter_async_context(opened(dsn, run, by))
            for name, dsn in where.nodes.items()
        }
        seen = {name: await node.look(asked) for name, node in nodes.items()}
        for name, each in seen.items():
            told = {"node": name, "number": nodes[name].number, "before": each.before}
            shown["nodes"].append({**told, **msgspec.to_builtins(each.payer), "erased": []})
            shown["open"] += [_open(name, one) for one in each.open]
        shown["unknown"] = _unknown(asked, seen)
        if not as_json:
            words.preview(shown, bool(where.others) or len(nodes) == 1)
        if preview or shown["open"] or shown["unknown"]:
            return shown
        if not yes and not click.confirm("Erase it, for ever?"):
            fail("nothing was changed")
        for told, (name, node) in zip(shown["nodes"], nodes.items(), strict=True):
            done = await node.erase(asked, seen[name].payer)
            told["erased"] = done.erased
            shown["open"] += [_open(name, one) for one in done.open]
    shown["done"] = not shown["open"]
    if not as_json:
        words.said(shown)
    return shown


def _open(node: str, found: Any) -> dict[str, str]:
    return {"node": node, "id": found.subject, "open": found.what, "words": found.words}


def _unknown(asked: Any, seen: dict[str, Any]) -> list[str]:
    """Ids that nobody knows at any node that was looked at."""
    known = {each for one in seen.values() for each in (*one.payer.customers, *one.payer.orders)}
    return [each for each in (*asked.customers, *asked.orders) if each not in known]
