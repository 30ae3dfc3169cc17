"""Retrieve and list: what clients read. All of it comes from the primary."""

import hmac
from typing import Any

import msgspec

from bailiwick.access.assign import assign
from bailiwick.access.locate import Location
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import is_id
from bailiwick.node import render, residency
from bailiwick.node.requests import (
    ListEvents,
    ListPayments,
    ListQuery,
    ListRefunds,
    Retrieve,
    Span,
)
from bailiwick.node.service import Node
from bailiwick.node.tenancy import own
from bailiwick.shell.forms import Params, struct_from
from bailiwick.store.database import HIGHEST_ID, LOWEST_ID, Page
from bailiwick.store.rows import Payment
from bailiwick.world.merchants import Principal

OF_PAYMENT = frozenset({"latest_charge"})
OF_REFUND = frozenset({"payment_intent", "charge"})
OF_CHARGE = frozenset({"payment_intent"})
NOTHING: frozenset[str] = frozenset()
PUBLIC = NOTHING
"""What a publishable key may expand."""
_FOREVER_MS = 2**53


def check_expand(expand: list[str], allowed: frozenset[str]) -> None:
    """Refuse what cannot be expanded. Raises ApiError (400)."""
    for wish in expand:
        if wish not in allowed:
            able = ", ".join(sorted(allowed)) or "nothing here"
            raise ApiError.invalid(
                f"This property cannot be expanded ({wish}). You can expand: {able}.",
                param="expand",
            )


async def _owned(node: Node, who: Principal, identifier: str) -> Payment:
    return own(await node.store.payment(identifier), who, "payment_intent", identifier)


async def check_client_secret(
    node: Node, who: Principal, identifier: str, secret: str | None
) -> Payment:
    """A publishable key opens a payment only together with its client secret.

    Raises:
        ApiError: 404 for a wrong secret too, so that ids cannot be tried out.
    """
    payment = await _owned(node, who, identifier)
    given = (secret or "").encode("utf-8", "replace")
    if not hmac.compare_digest(payment.details.client_secret.encode(), given):
        raise ApiError.missing("payment_intent", identifier)
    return payment


async def payment(node: Node, who: Principal, identifier: str, params: Params) -> Any:
    """GET /v1/payment_intents/{id}"""
    query = struct_from(params, Retrieve)
    public = who.kind != "secret"
    if public or query.client_secret is not None:
        found = await check_client_secret(node, who, identifier, query.client_secret)
    else:
        found = await _owned(node, who, identifier)
    check_expand(query.expand, PUBLIC if public else OF_PAYMENT)
    if public:
        return render.payment_intent(found, public=True)
    return await _payment_object(node, found, query.expand)


async def _payment_object(node: Node, found: Payment, expand: list[str]) -> render.Object:
    charged = None
    if "latest_charge" in expand and found.charge_attempt is not None:
        attempt = await node.store.attempt(found.charge_attempt)
        assert attempt is not None
        charged = render.charge(found, render.charge_view(attempt))
    return render.payment_intent(found, charge=charged)


def _page(query: ListQuery) -> Page:
    """The part of a list that a query asks for, and one more to know whether that is all."""
    for name in ("starting_after", "ending_before"):
        cursor = getattr(query, name)
        if cursor is not None and not is_id(cursor):
            raise ApiError.invalid(f"Invalid {name}: not an id of this list.", param=name)
    if query.starting_after is not None and query.ending_before is not None:
        raise ApiError.invalid(
            "Only one of starting_after and ending_before can be given.", param="ending_before"
        )
    since_ms, until_ms = _span(query.created)
    return Page(
        limit=query.limit + 1,
        below=query.starting_after or HIGHEST_ID,
        above=query.ending_before or LOWEST_ID,
        oldest_first=query.ending_before is not None,
        since_ms=since_ms,
        until_ms=until_ms,
    )


def _paged(query: ListQuery, rows: list[Any], url: str, shown: list[render.Object]) -> Any:
    more = len(rows) > query.limit
    shown = shown[: query.limit]
    if query.ending_before is not None:
        shown.reverse()
    return render.page(shown, url, more)


def _span(created: Any) -> tuple[int, int]:
    """``created`` as milliseconds from and to: a number of seconds or a range."""
    if created is None:
        return 0, _FOREVER_MS
    if isinstance(created, dict):
        span = struct_from(created, Span, prefix="created")
        low = max((span.gte or 0), (span.gt + 1 if span.gt is not None else 0))
        high = _FOREVER_MS // 1000 - 1
        if span.lte is not None:
            high = min(high, span.lte)
        if span.lt is not None:
            high = min(high, span.lt - 1)
        return low * 1000, high * 1000 + 999
    exact = struct_from({"created": created}, _Exact).created
    return exact * 1000, exact * 1000 + 999


class _Exact(msgspec.Struct, frozen=True):
    created: int


def _wishes(query: ListQuery, allowed: frozenset[str]) -> list[str]:
    """``data.x`` of a list as ``x`` of its entries."""
    wishes = [wish.removeprefix("data.") for wish in query.expand]
    check_expand(wishes, allowed)
    return wishes


async def payments(node: Node, who: Principal, params: Params, region: int = 0) -> Any:
    """GET /v1/payment_intents; ``region``: to whose access process the answer goes."""
    query = struct_from(params, ListPayments)
    wishes = _wishes(query, OF_PAYMENT)
    rows = await node.store.payments(who.merchant.id, who.livemode, _page(query), query.customer)
    residency.keep(node, region, rows)
    shown = [await _payment_object(node, row, wishes) for row in rows]
    return _paged(query, rows, "/v1/payment_intents", shown)


async def refunds(node: Node, who: Principal, params: Params, region: int = 0) -> Any:
    """GET /v1/refunds"""
    query = struct_from(params, ListRefunds)
    _wishes(query, NOTHING)
    of = query.payment_intent
    if query.charge is not None:
        attempt = await node.store.attempt(query.charge)
        of = "none" if attempt is None else attempt.payment
    rows = await node.store.refunds(who.merchant.id, who.livemode, _page(query), of)
    shown = []
    for row in rows:
        owner = await node.store.payment(row.payment)
        assert owner is not None
        residency.keep(node, region, [owner])
        shown.append(render.refund(row, owner))
    return _paged(query, rows, "/v1/refunds", shown)


async def refund(node: Node, who: Principal, identifier: str, params: Params) -> Any:
    """GET /v1/refunds/{id}"""
    query = struct_from(params, Retrieve)
    check_expand(query.expand, OF_REFUND)
    row = own(await node.store.refund(identifier), who, "refund", identifier)
    owner = await node.store.payment(row.payment)
    assert owner is not None
    expanded: render.Object = {}
    if "payment_intent" in query.expand:
        expanded["payment_intent"] = render.payment_intent(owner)
    if "charge" in query.expand and owner.charge_attempt is not None:
        expanded["charge"] = await charge(node, who, owner.charge_attempt, {})
    return render.refund(row, owner, expanded=expanded)


async def charge(node: Node, who: Principal, identifier: str, params: Params) -> Any:
    """GET /v1/charges/{id}: an attempt to charge."""
    query = struct_from(params, Retrieve)
    check_expand(query.expand, OF_CHARGE)
    attempt = own(await node.store.attempt(identifier), who, "charge", identifier)
    if attempt.operation != "charge":
        raise ApiError.missing("charge", identifier)
    owner = await node.store.payment(attempt.payment)
    assert owner is not None
    shown = render.charge(owner, render.charge_view(attempt))
    if "payment_intent" in query.expand:
        shown["payment_intent"] = render.payment_intent(owner)
    return shown


def _event(row: Any) -> render.Object:
    body = render.event_body(row["body"], row["content"])
    return render.event(row["id"], row["type"], body, row["livemode"], row["payment"], row["seq"])


async def events(node: Node, who: Principal, params: Params, region: int = 0) -> Any:
    """GET /v1/events"""
    query = struct_from(params, ListEvents)
    _wishes(query, NOTHING)
    types = query.types or ([query.type] if query.type else None)
    rows = await node.store.events(who.merchant.id, who.livemode, _page(query), types)
    if region:
        owners = [await node.store.payment(each) for each in {row["payment"] for row in rows}]
        residency.keep(node, region, [each for each in owners if each is not None])
    return _paged(query, rows, "/v1/events", [_event(row) for row in rows])


async def event(node: Node, who: Principal, identifier: str, params: Params) -> Any:
    """GET /v1/events/{id}"""
    check_expand(struct_from(params, Retrieve).expand, NOTHING)
    row = await node.store.row("event_find", who.merchant.id, who.livemode, identifier)
    if row is None:
        raise ApiError.missing("event", identifier)
    return _event(row)


def elsewhere(node: Node, location: Location) -> dict[str, Any] | None:
    """What to record of a confirmation from another jurisdiction; None from our own.

    Raises:
        ApiError: 400 where the payer's place wants its payments to stay with its own nodes.
    """
    found = assign(location, node.world.topology)
    if found.home == node.number:
        return None
    allowed = {each.node for each in found.considered if each.verdict != "not_allowed"}
    if found.residency == "strict" and node.number not in allowed:
        raise ApiError.invalid(
            f"The payer is in {location.country}, whose payments must stay with its own nodes. "
            "Create a new PaymentIntent with this location and cancel this one.",
            param="location",
            code="residency_refused",
        )
    return {"country": location.country, "source": location.source, "home": found.home}
