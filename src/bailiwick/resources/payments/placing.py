"""Whether a new payment is in its place: where the payer is, and which node has jurisdiction."""

from collections.abc import Iterable
from typing import Any, Protocol

import falcon.asgi
import msgspec

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.tenancy import Owner
from bailiwick.idempotency.requests import Answer, IdempotentRequest
from bailiwick.interlink.refusals import moved_for, on_behalf
from bailiwick.interlink.regional import wrong_region
from bailiwick.jurisdiction.assign import OPEN, Assignment, assign
from bailiwick.jurisdiction.home_history import (
    CLEAR,
    MOVED,
    Held,
    PriorHomeCheck,
    age_unknown,
    ask_first,
    binding,
    explained,
)
from bailiwick.jurisdiction.locate import NO_EVIDENCE, Evidence, Location, locate
from bailiwick.resources.payments.params import CreatePayment
from bailiwick.serving.context import NodeContext
from bailiwick.topology.merchants import Principal


def located(node: NodeContext, who: Principal, place: Evidence | None) -> Location:
    """Where the payer is, by the request's own evidence. Raises ApiError."""
    topology = node.world.topology
    default = who.merchant.default_country
    return locate(place or NO_EVIDENCE, node.atlas, topology.overrides, default)


class Moving(Protocol):
    """What is read of a request that may move money: whether it does, and where."""

    @property
    def confirm(self) -> bool: ...
    @property
    def location(self) -> Evidence | None: ...


Otherwise = str | ApiError | None
"""What to do instead of taking a request whose key is not known here: commit a tombstone with this
reason, or answer this. None: take it."""


def asked_for_another(node: NodeContext, request: falcon.asgi.Request) -> str | None:
    """The tombstone's reason when access asks, for a later home, to refuse a key that is not
    known here."""
    if request.headers.get("bailiwick-ask") != MOVED:
        return None
    return on_behalf(_epoch(request), node.world.epoch)


def placed(
    node: NodeContext,
    request: falcon.asgi.Request,
    asked: IdempotentRequest,
    wish: Moving,
    location: Location,
) -> tuple[Assignment, Otherwise]:
    """The assignment as this node computes it itself, never taken on trust, and what to do if
    that does not let it take the request.

    What may move money is passed over by committed refusals only, and needs those of its
    earlier homes.
    """
    world = node.world
    held = _held(node, request, asked)
    found = _matched(node, request, location, held, moves=wish.confirm)
    if found.node != node.number:
        if wish.confirm and 0 < _epoch(request) < world.epoch:
            return found, moved_for(world.epoch)
        return found, _misdirected(node, found)
    if wish.confirm and world.earlier:
        looked = _look(node, asked, asked.key, wish, location, found, held)
        if looked.gone:
            return found, age_unknown(looked.gone[0])
        if looked.missing:
            return found, ask_first(looked.missing, world.epoch)
        if looked.homes:
            found = msgspec.structs.replace(found, earlier_homes=looked.homes)
    return found, None


async def refused_here(node: NodeContext, asked: IdempotentRequest, why: str | ApiError) -> Answer:
    """A request is not for this node to take: what it knows of the key, else a tombstone with the
    reason, or this error. Raises ApiError, Refused."""
    if isinstance(why, str):
        with node.load.tombstone():
            return await node.machine.tombstones.refuse(asked, why)
    replayed = await node.machine.keys.replay(asked)
    if replayed is None:
        raise why
    return replayed


def here(
    node: NodeContext, request: falcon.asgi.Request, asked: IdempotentRequest, location: Location
) -> tuple[Assignment, ApiError | None]:
    """The assignment of what moves no money, as this node computes it itself, and what to answer
    unless the key is known here: 421 where another node has jurisdiction, with its address."""
    held = _held(node, request, asked)
    found = _matched(node, request, location, held, moves=False)
    return found, None if found.node == node.number else _misdirected(node, found)


def explainable(
    node: NodeContext,
    request: falcon.asgi.Request,
    asked: IdempotentRequest,
    wish: CreatePayment,
    location: Location,
) -> Assignment:
    """The assignment with the earlier homes that would be asked.

    Raises:
        ApiError: 421, another node has jurisdiction; names it and its address.
    """
    moves = "bailiwick-passed-over" not in request.headers
    held = _held(node, request, asked)
    found = _matched(node, request, location, held, moves=moves)
    if found.node != node.number:
        raise _misdirected(node, found)
    # As for a key that may have been used before: an explanation comes without one.
    return explained(found, _look(node, asked, "", wish, location, found, held))


def _held(
    node: NodeContext, request: falcon.asgi.Request, asked: IdempotentRequest
) -> dict[int, Held]:
    """The committed refusals of other nodes that a request shows."""
    header = request.headers.get("bailiwick-refusals")
    return {} if header is None else node.refusals.read(header, asked.named)


def _matched(
    node: NodeContext,
    request: falcon.asgi.Request,
    location: Location,
    held: dict[int, Held],
    *,
    moves: bool,
) -> Assignment:
    refused = binding(held, node.world.epoch) if held else {}
    usage = None if moves else _passed_over(node, request)
    topology = node.world.topology
    found = assign(location, topology, refused=refused, usage=usage)
    if found.node is None and usage is not None:
        found = assign(location, topology, refused=refused)
    return found


def _look(
    node: NodeContext,
    asked: IdempotentRequest,
    key: str,
    wish: Moving,
    location: Location,
    found: Assignment,
    held: dict[int, Held],
) -> PriorHomeCheck:
    """How the request stands with its earlier homes."""
    if not wish.confirm or not node.world.earlier:
        return CLEAR
    said = wish.location or NO_EVIDENCE
    past = node.home_histories.of(node.world)
    return past.look(said, location, asked.merchant, key, found.node, held, now_ms())


def _epoch(request: falcon.asgi.Request) -> int:
    """The epoch by which access placed a request; 0 when it did not come through access."""
    text = request.headers.get("bailiwick-epoch", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else 0


def _passed_over(node: NodeContext, request: falcon.asgi.Request) -> dict[int, str] | None:
    header = request.headers.get("bailiwick-passed-over")
    if not header:
        return None
    try:
        passed: dict[str, str] = msgspec.json.decode(header, type=dict[str, str])
    except msgspec.DecodeError:
        return None
    numbers = node.world.topology.by_number
    return {number: passed.get(str(number), OPEN)[:200] for number in numbers}


def _misdirected(node: NodeContext, found: Assignment) -> ApiError:
    wanted = node.world.topology.by_number.get(found.node or found.home)
    extra: dict[str, Any] = {"epoch": found.epoch}
    message = "This node has no jurisdiction over the payment's place."
    if wanted is not None:
        extra |= {"node": wanted.name, "url": wanted.url}
        message += f" Send it to node '{wanted.name}' at {wanted.url}, or through access."
    error = ApiError.invalid(message, param="location", code="wrong_node", status=421)
    error.extra = extra
    return error


def must_stay(payment: Any, region: int) -> bool:
    """Whether an order may not be shown to, or changed through, the region of node ``region``; 0:
    of none."""
    return stays(payment.details.assignment, region)


def seen(payment: Any, who: Owner, region: int) -> bool:
    """Whether a payment may be shown to somebody, in the region of node ``region``."""
    theirs = payment.merchant == who.merchant.id and payment.livemode == who.livemode
    return theirs and not must_stay(payment, region)


def stays(assignment: dict[str, Any], region: int) -> bool:
    """The same of a payment that was assigned so."""
    if not region or assignment.get("residency") != "strict":
        return False
    return all(each["node"] != region for each in assignment["considered"])


def keep(node: NodeContext, region: int, assignments: Iterable[dict[str, Any]]) -> None:
    """Raises ApiError (421) if a payment of one of these assignments must stay."""
    if region and any(stays(each, region) for each in assignments):
        here = node.world.topology.by_number.get(node.number)
        raise wrong_region("Some of these payments are read", "" if here is None else here.url)


async def keep_all(node: NodeContext, region: int, payments: set[str]) -> None:
    """The same of these payments, by their ids."""
    if not region or not payments:
        return
    found = await node.store.rows("assignments_find", list(payments))
    keep(node, region, [msgspec.json.decode(row["assignment"]) for row in found])


def elsewhere(node: NodeContext, location: Location) -> dict[str, Any] | None:
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
