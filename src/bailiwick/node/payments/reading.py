"""Retrieve: what clients read. All of it comes from the primary; lists are in ``listing``."""

import hmac
from typing import Any

from bailiwick.base.errors import ApiError
from bailiwick.base.tenancy import own
from bailiwick.jurisdiction.assign import assign
from bailiwick.jurisdiction.locate import Location
from bailiwick.node.payments import render
from bailiwick.node.payments.request_params import Retrieve
from bailiwick.node.service import Node
from bailiwick.store.rows import Payment
from bailiwick.topology.merchants import Principal
from bailiwick.wire.forms import Params, struct_from

OF_PAYMENT = frozenset({"latest_charge"})
OF_REFUND = frozenset({"payment_intent", "charge"})
OF_CHARGE = frozenset({"payment_intent"})
NOTHING: frozenset[str] = frozenset()
PUBLIC = NOTHING
"""What a publishable key may expand."""


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


def event_object(row: Any) -> render.Object:
    """An event of its stored columns."""
    body = render.event_body(row["body"], row["content"])
    return render.event(row["id"], row["type"], body, row["livemode"], row["payment"], row["seq"])


async def event(node: Node, who: Principal, identifier: str, params: Params) -> Any:
    """GET /v1/events/{id}"""
    check_expand(struct_from(params, Retrieve).expand, NOTHING)
    row = await node.store.row("event_find", who.merchant.id, who.livemode, identifier)
    if row is None:
        raise ApiError.missing("event", identifier)
    return event_object(row)


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
