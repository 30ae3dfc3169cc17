"""How a charge begins whose payer meets the bank other than by a token, and how its time ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from bailiwick_sandbox.bank.records import Charge, ChargeRequest, Decline
from bailiwick_sandbox.bank.sources import ABSENT, PAYER, Source, agreed, source_behind
from bailiwick_sandbox.families import codes
from bailiwick_sandbox.families.expiry import EXPIRED
from bailiwick_sandbox.families.flows import action_of
from bailiwick_sandbox.families.steering import course, steered
from bailiwick_sandbox.families.wire import Family

if TYPE_CHECKING:
    from bailiwick_sandbox.bank.books import Books
    from bailiwick_sandbox.bank.ledger import Ledger

REFUSED = Decline("payment_method_customer_decline", None, "The payer declined the payment.")
Why = Literal["time", "payer", "bank"]
"""What ends a charge that waits: its time, the payer who declines, or the bank though the payer
agreed."""
_LATE = "pm_sandbox_late"


def family_of(request: ChargeRequest) -> Family | None:
    """What the charge keeps of the request; nothing where it has none of these fields."""
    family = Family(
        request.method or "", request.flow, request.code, request.payer, request.expires_at
    )
    if family == Family():
        return None
    return replace(family, steered=steered(request), completes=request.completes)


def begin(
    books: Books, ledger: Ledger, row: Charge, request: ChargeRequest, source: Source, url: str
) -> Charge:
    """A new charge as it is at first: approved, declined, under way, or waiting for the payer, who
    acts on the page ``url``."""
    token = request.flow == "token"
    refused = codes.problem(row.family, ledger.codes) if row.family is not None else None
    if refused is not None:
        return replace(row, status="declined", decline=refused)
    approves = source.effect == "approve"
    if row.family is not None and approves and codes.at_once(row.family):
        return books.approved(ledger, row, row.created)
    absent = token and source.effect == "action" and request.off_session
    waits = source.effect == "action" if token else source.effect != "decline"
    if (token and approves) or (absent and agreed(source, row)):
        row = books.approved(ledger, row, row.created)
    elif absent:
        row = replace(row, status="declined", decline=ABSENT)
    elif waits:
        return _wait(books.settle_ms, ledger.provider.title, row, request, source, url)
    elif source.effect == "decline":
        row = replace(row, status="declined", decline=source.decline)
    if source.then and source.effect != "action":
        row = replace(row, next_status=source.then, next_at=row.created + books.settle_ms)
    return row


def _wait(
    settle_ms: int, title: str, row: Charge, request: ChargeRequest, source: Source, url: str
) -> Charge:
    family, on_page = row.family, request.flow in ("token", "redirect")
    row = replace(row, status="action_required", redirect_url=url if on_page else None)
    if family is None:
        return row
    if request.flow != "token" or request.expires_at is not None:
        ends, at, until = course(request, source, row.created, settle_ms)
        family = replace(family, until=until)
        row = replace(row, next_status=ends, next_at=at)
    action = action_of(row, url, family.until, title)
    return replace(row, family=replace(family, url=url, action=action))


def decline_of(row: Charge, why: Why) -> Decline:
    """Why a charge that waits is declined; ``why``: what ended it."""
    family, given = row.family, source_behind(row).decline
    refused = PAYER if family is None or family.flow == "token" else REFUSED
    if why == "payer":
        return refused
    if why == "time" and family is not None and family.until and row.next_at >= family.until:
        return EXPIRED
    return given or refused


def after_decline(before: Charge, row: Charge, at: int) -> Charge:
    """What time has declined, as it goes on: steered so, it is paid at ``at`` after all."""
    family = before.family
    waited = before.status == "action_required"
    if family is None or family.flow == "token" or family.steered != _LATE or not waited:
        return row
    return replace(row, next_status="approved", next_at=at)
