"""What the node reads of a request: who asks, for which key, and whether it is in its place."""

from typing import Any, TypeVar

import falcon.asgi
import msgspec

from bailiwick.base.cards import is_card_key, maybe_card
from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.keys import check_key, fresh_key, of_payer, request_hash
from bailiwick.idempotency.requests import IdempotentRequest
from bailiwick.interlink.authenticate import authenticate
from bailiwick.interlink.refusals import moved_for, on_behalf
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
from bailiwick.node.payments.card_check import refuse_cards
from bailiwick.node.payments.request_params import CreatePayment
from bailiwick.node.service import Node
from bailiwick.topology.merchants import Principal
from bailiwick.wire.forms import Params, parse_body, parse_form, struct_from
from bailiwick.wire.protocol import read_body

T = TypeVar("T", bound=msgspec.Struct)


_REFUSED_CHARS_MAX = 4_096
"""How much of a request that is wrong anyway is searched for a card number, to tell that first."""


async def parameters(request: falcon.asgi.Request, kind: type[T]) -> tuple[Params, T]:
    """The parameters of a body, raw and typed: names and lengths are checked, texts not yet read.

    Raises:
        ApiError: 400 naming the field; for a card number where none is expected, what to send
            instead.
    """
    params = parse_body(request.content_type, await read_body(request))
    try:
        return params, struct_from(params, kind)
    except ApiError:
        refuse_cards(params, chars_max=_REFUSED_CHARS_MAX)
        raise


async def checked(request: falcon.asgi.Request, kind: type[T]) -> tuple[Params, T]:
    """The same, without card numbers. Raises ApiError."""
    params, wish = await parameters(request, kind)
    check_cards(params)
    return params, wish


def check_cards(params: Params) -> None:
    """Refuse card numbers in parameters that are as long as they may be. Raises ApiError."""
    if params and maybe_card(str(params)):
        refuse_cards(params)


def query(request: falcon.asgi.Request) -> Params:
    """The parameters of a query string. Raises ApiError."""
    return parse_form(request.query_string.encode("latin-1")) if request.query_string else {}


def principal(request: falcon.asgi.Request, node: Node, *, public: bool = False) -> Principal:
    """On whose behalf a request comes; ``public``: a publishable key will do.

    Raises:
        ApiError: 401 without a known key, 403 for a publishable one where it may not be used.
    """
    header = request.get_header("Authorization")
    return authenticate(header, node.world.merchants, public=public)


def asked(
    request: falcon.asgi.Request,
    who: Principal,
    operation: str,
    target: str,
    params: Params,
    expand: list[str],
) -> IdempotentRequest:
    """The identity of an idempotent request; without a key it gets one of its own.

    The keys of a publishable key are those of the payer of one payment: nobody else's request is
    taken for a repetition of theirs, and they use up no key of the merchant's server.

    Raises:
        ApiError: 400, the key is none (see ``check_key``), or holds a card number.
    """
    key = request.get_header("Idempotency-Key")
    if key is None:
        key = fresh_key(now_ms())
    else:
        check_key(key)
        if is_card_key(key):
            raise ApiError.invalid(
                "Idempotency-Key holds a card number: make it of something else, such as a UUID.",
                param="Idempotency-Key",
                code="idempotency_key_invalid",
            )
        if who.kind != "secret":
            key = of_payer(target, key)
    return IdempotentRequest(
        who.merchant,
        who.livemode,
        key,
        request_hash(operation, target, params),
        operation,
        expand,
        request.get_header("request-id") or "",
    )


def located(node: Node, who: Principal, place: Evidence | None) -> Location:
    """Where the payer is, by the request's own evidence. Raises ApiError."""
    topology = node.world.topology
    default = who.merchant.default_country
    return locate(place or NO_EVIDENCE, node.atlas, topology.overrides, default)


Otherwise = str | ApiError | None
"""What to do instead of taking a request whose key is not known here: commit a tombstone with this
reason, or answer this. None: take it."""


def asked_for_another(node: Node, request: falcon.asgi.Request) -> str | None:
    """The tombstone's reason when access asks, for a later home, to refuse a key that is not
    known here."""
    if request.get_header("Bailiwick-Ask") != MOVED:
        return None
    return on_behalf(_epoch(request), node.world.epoch)


def placed(
    node: Node,
    request: falcon.asgi.Request,
    asked: IdempotentRequest,
    wish: CreatePayment,
    location: Location,
) -> tuple[Assignment, Otherwise]:
    """The assignment as this node computes it itself, never taken on trust, and what to do if
    that does not let it take the request.

    What may move money is passed over by committed refusals only, and needs those of its
    earlier homes.
    """
    world = node.world
    held = node.refusals.read(request.get_header("Bailiwick-Refusals"), asked.named)
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


def explainable(
    node: Node,
    request: falcon.asgi.Request,
    asked: IdempotentRequest,
    wish: CreatePayment,
    location: Location,
) -> Assignment:
    """The assignment with the earlier homes that would be asked.

    Raises:
        ApiError: 421, another node has jurisdiction; names it and its address.
    """
    moves = request.get_header("Bailiwick-Passed-Over") is None
    held = node.refusals.read(request.get_header("Bailiwick-Refusals"), asked.named)
    found = _matched(node, request, location, held, moves=moves)
    if found.node != node.number:
        raise _misdirected(node, found)
    # As for a key that may have been used before: an explanation comes without one.
    return explained(found, _look(node, asked, "", wish, location, found, held))


def _matched(
    node: Node,
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
    node: Node,
    asked: IdempotentRequest,
    key: str,
    wish: CreatePayment,
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
    text = request.get_header("Bailiwick-Epoch") or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else 0


def region(request: falcon.asgi.Request) -> int:
    """In whose region the access process stands that asks; 0 where none was told."""
    text = request.get_header("Bailiwick-Region") or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0


def _passed_over(node: Node, request: falcon.asgi.Request) -> dict[int, str] | None:
    header = request.get_header("Bailiwick-Passed-Over")
    if not header:
        return None
    try:
        passed: dict[str, str] = msgspec.json.decode(header, type=dict[str, str])
    except msgspec.DecodeError:
        return None
    numbers = node.world.topology.by_number
    return {number: passed.get(str(number), OPEN)[:200] for number in numbers}


def _misdirected(node: Node, found: Assignment) -> ApiError:
    wanted = node.world.topology.by_number.get(found.node or found.home)
    extra: dict[str, Any] = {"epoch": found.epoch}
    message = "This node has no jurisdiction over the payment's place."
    if wanted is not None:
        extra |= {"node": wanted.name, "url": wanted.url}
        message += f" Send it to node '{wanted.name}' at {wanted.url}, or through access."
    error = ApiError.invalid(message, param="location", code="wrong_node", status=421)
    error.extra = extra
    return error
