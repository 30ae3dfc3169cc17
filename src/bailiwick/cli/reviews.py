"""``bailiwick reviews``: what a person must decide, with what to do, and closing it."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import Any

import click

from bailiwick.cli.over_nodes import fail, over_nodes, where

REMEDIES = {
    "late_success": "The provider took money after it had said no. Refund it there by its "
    "reference, or agree with the merchant to keep it; it is booked as unexpected receipts.",
    "late_authorization": "The provider holds money after it had said no. Release the hold at the "
    "provider by its reference; if nothing is done it expires.",
    "amount_mismatch": "The provider confirmed another amount than was asked for. Compare the "
    "reference in its dashboard; nothing is booked until its answer agrees.",
    "amount_missing": "The provider confirmed without saying how much. Compare the reference in "
    "its dashboard; nothing is booked until its answer says.",
    "contradiction": "The provider said no after it had said yes. Compare the payment with its "
    "dashboard: the money may have been taken back.",
    "done_elsewhere": "A refund, capture or void of this charge was made at the provider, and not "
    "by us. Compare the payment with its dashboard: our books do not know of it.",
    "unwritable": "An outcome could not be written. Report the detail as a defect; compare the "
    "payment with the provider's dashboard.",
    "late_void": "The provider voided after it had said no. Compare the payment with its "
    "dashboard.",
    "late_refund": "The provider refunded after it had said no. Agree with the merchant: its "
    "balance does not know of the refund.",
    "currency_mismatch": "The provider confirmed another currency than was asked for. Compare the "
    "reference in its dashboard; nothing is booked until its answer agrees.",
    "reference_mismatch": "The provider answered, or called back, about another reference or "
    "object. Look up ours in its dashboard, and what the detail names; report the mix-up to it.",
    "unresolved": "The provider has given no definite answer. Look up the reference in its "
    "dashboard; the node goes on asking and closes this when it hears.",
    "gateway_missing": "The attempt's gateway is not configured any more. Configure it again until "
    "its attempts have ended.",
}
_OTHER = "Look up the attempt's reference at the provider and compare it with the payment."
_LIST = """
SELECT r.subject AS payment, r.attempt, r.reason, r.detail, r.opened_at, r.closed_at, r.closed_by,
       r.note,
       a.gateway, a.operation, a.amount, a.currency, a.state, a.provider_ref
  FROM review r LEFT JOIN attempt a ON a.id = r.attempt
 WHERE $1 OR r.closed_at IS NULL ORDER BY r.opened_at"""
_CLOSE = """
UPDATE review SET closed_at = now(), closed_by = $4, note = $5
 WHERE subject = $1 AND attempt = $2 AND reason = $3 AND closed_at IS NULL RETURNING subject"""


@click.group("reviews", invoke_without_command=True)
@where
@click.option("--all", "everything", is_flag=True, help="Closed ones too.")
@click.pass_context
def command(
    context: click.Context, data: Path, dsn: str | None, as_json: bool, everything: bool
) -> None:
    """List what a person must decide, oldest first, with what to do about it."""
    context.obj = (data, dsn)
    if context.invoked_subcommand is not None:
        return
    found = over_nodes(data, dsn, lambda node, db: _listed(node, db, everything))
    rows = sorted((row for rows in found for row in rows), key=lambda row: str(row["opened_at"]))
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for row in rows:
        _show(row)
    still = sum(row["closed_at"] is None for row in rows)
    click.echo(f"{still} open reviews." if still else "No open review.")


@command.command()
@where
@click.option("--payment", required=True, metavar="ID")
@click.option("--attempt", required=True, metavar="ID")
@click.option("--reason", required=True, help="As it is listed.")
@click.option("--note", required=True, help="What was found and done; kept with it.")
@click.option("--by", metavar="WHO", help="Who closes it; you, by default.")
@click.pass_context
def close(
    context: click.Context,
    data: Path,
    dsn: str | None,
    as_json: bool,
    payment: str,
    attempt: str,
    reason: str,
    note: str,
    by: str | None,
) -> None:
    """Close a review once it has been dealt with. Money is moved by none of this."""
    from bailiwick.base.cards import has_card_number

    if has_card_number(note):
        fail("the note holds a card number: leave it out")
    data, dsn = _inherited(context, data, dsn)
    who = by or _user()

    async def closing(_: str, db: Any) -> bool:
        return await db.fetchval(_CLOSE, payment, attempt, reason, who, note) is not None

    done = any(over_nodes(data, dsn, closing))
    if as_json:
        click.echo(json.dumps({"closed": done}))
    if not done:
        fail("there is no such open review; 'bailiwick reviews' lists them")
    if not as_json:
        click.echo("Closed.")


def _inherited(context: click.Context, data: Path, dsn: str | None) -> tuple[Path, str | None]:
    """The group's --data and --dsn count where the subcommand has none of its own."""
    given = context.get_parameter_source
    group_data, group_dsn = context.obj
    if given("data") is click.core.ParameterSource.DEFAULT:
        data = group_data
    return data, dsn or group_dsn


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"


async def _listed(node: str, db: Any, everything: bool) -> list[dict[str, Any]]:
    rows = []
    for found in await db.fetch(_LIST, everything):
        row = {"node": node, **dict(found)}
        for name in ("opened_at", "closed_at"):
            row[name] = None if row[name] is None else row[name].isoformat(timespec="seconds")
        rows.append({**row, "remedy": REMEDIES.get(row["reason"], _OTHER)})
    return rows


def _show(row: dict[str, Any]) -> None:
    detail = f": {row['detail']}" if row["detail"] else ""
    click.echo(f"{row['opened_at']}  {row['reason']}{detail}  {row['node']}")
    click.echo(f"  payment {row['payment']}, attempt {row['attempt']}")
    if row["gateway"] is not None:
        at = f"{row['operation']} of {row['amount']} {row['currency']} at {row['gateway']}"
        known = f", there {row['provider_ref']}" if row["provider_ref"] else ""
        click.echo(f"  {at}, {row['state']}{known}")
    if row["closed_at"] is not None:
        click.echo(f"  closed {row['closed_at']} by {row['closed_by']}: {row['note'] or ''}")
    else:
        click.echo(f"  {row['remedy']}")
    click.echo()
