"""Lists over all nodes: the same query to each, merged by id, which sorts by time."""

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import falcon.asgi
import msgspec

from bailiwick.access.forward import Answer, HopError
from bailiwick.access.front import Front
from bailiwick.access.hop import give, misdirected, send, send_home
from bailiwick.access.inbound import Inbound
from bailiwick.access.regional import wrong_region
from bailiwick.base.errors import ApiError
from bailiwick.shell.answers import json_answer
from bailiwick.shell.forms import parse_form
from bailiwick.world.topology import Node

LIMIT_DEFAULT, LIMIT_MAX = 10, 100
TIMEOUT_S = 5.0


class Page(msgspec.Struct):
    """One node's list; the objects stay undecoded bytes."""

    data: list[msgspec.Raw]
    has_more: bool


class _Named(msgspec.Struct):
    id: str


_page = msgspec.json.Decoder(Page)
_named = msgspec.json.Decoder(_Named)


def merge(
    pages: Sequence[Page], limit: int, *, backwards: bool = False
) -> tuple[list[msgspec.Raw], bool]:
    """Merge pages of objects sorted by id, newest first, into one page.

    Each page holds the ``limit`` objects nearest to the cursor of its node. ``backwards``: the
    cursor was ``ending_before``, so the oldest of what there is are the nearest. Returns the
    objects, newest first, and whether there are more beyond them.
    """
    found = sorted(
        ((_named.decode(raw).id, raw) for page in pages for raw in page.data),
        key=lambda pair: pair[0],
        reverse=True,
    )
    more = len(found) > limit or any(page.has_more for page in pages)
    kept = found[-limit:] if backwards else found[:limit]
    return [raw for _, raw in kept], more


def limit_of(params: dict[str, Any]) -> int:
    """The page size asked for. Raises ApiError (400)."""
    text = params.get("limit", "")
    if text == "":
        return LIMIT_DEFAULT
    if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= 4:
        limit = int(text)
        if 1 <= limit <= LIMIT_MAX:
            return limit
    raise ApiError.invalid(
        f"Invalid integer in limit: from 1 to {LIMIT_MAX} is expected.",
        param="limit",
        code="parameter_invalid_integer",
    )


def flat(params: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested parameters as name and value pairs in bracket notation."""
    pairs: list[tuple[str, str]] = []
    for name, value in params.items():
        where = f"{prefix}[{name}]" if prefix else name
        if isinstance(value, dict):
            pairs += flat(value, where)
        else:
            pairs.append((where, value))
    return pairs


async def list_all(
    front: Front, inbound: Inbound, request: falcon.asgi.Request, response: falcon.asgi.Response
) -> None:
    """GET of a list: from the one node that can have them, else from all.

    Raises:
        ApiError: unless ``partial=allow``: 503 naming the nodes that are unavailable, or 421 naming
            those whose payments in this list must be read in their own region.
    """
    path: bytes = request.scope["raw_path"]
    params = parse_form(request.scope["query_string"])
    limit = limit_of(params)
    partial = params.pop("partial", "")
    if partial not in ("", "allow"):
        raise ApiError.invalid("Invalid partial: only 'allow' is possible.", param="partial")
    if params.get("starting_after") and params.get("ending_before"):
        raise ApiError.invalid(
            "starting_after and ending_before cannot be given together.", param="ending_before"
        )
    query = urlencode(flat(params)).encode("ascii")
    target = path + b"?" + query if query else path
    nodes = _nodes_with(front, params)
    if len(nodes) == 1:
        inbound.lines.append(front.region_line)
        give(response, await send_home(front, nodes[0], inbound, "GET", target))
        return
    answers = await asyncio.gather(*(_ask(front, node, inbound, target) for node in nodes))
    pages: list[Page] = []
    missing: list[str] = []
    staying: list[Node] = []
    for node, answer in zip(nodes, answers, strict=True):
        if answer is None or answer.status >= 500:
            missing.append(node.name)
        elif (elsewhere := misdirected(answer)) is not None and elsewhere.stays:
            staying.append(node)
        elif answer.status != 200:
            give(response, answer)
            return
        else:
            pages.append(_page.decode(answer.body))
    if missing and (partial != "allow" or not pages):
        raise ApiError.unavailable(
            f"Unavailable: {', '.join(missing)}. Retry, or list the other nodes alone with "
            "partial=allow.",
            code="node_unavailable",
        )
    if staying and partial != "allow":
        names = ", ".join(node.name for node in staying)
        raise wrong_region(
            f"Payments of node {names} in this list are read (partial=allow lists the others)",
            staying[0].url,
        )
    data, more = merge(pages, limit, backwards=bool(params.get("ending_before")))
    merged: dict[str, Any] = {
        "object": "list",
        "url": path.decode("ascii"),
        "has_more": more,
        "data": data,
    }
    if partial == "allow":
        merged["unavailable_nodes"] = missing
        if staying:
            merged["nodes_of_other_regions"] = [node.name for node in staying]
    json_answer(response, merged)


def _nodes_with(front: Front, params: dict[str, Any]) -> tuple[Node, ...]:
    """A filter by payment or charge names the only node that can have matches."""
    for name, prefix, kind in (
        ("payment_intent", "pi_", "payment_intent"),
        ("charge", "ch_", "charge"),
    ):
        identifier = params.get(name)
        if isinstance(identifier, str) and identifier:
            return (front.node_for(identifier, prefix, kind),)
    return front.world.topology.nodes


async def _ask(front: Front, node: Node, inbound: Inbound, target: bytes) -> Answer | None:
    """A node's page; None when it is silent, without waiting where that is known already."""
    report = front.board.report(node.number)
    if report is not None and node.number not in front.board.answering():
        return None
    lines = [front.epoch_line, front.region_line]
    try:
        return await send(front, node, inbound, "GET", target, b"", lines, timeout=TIMEOUT_S)
    except HopError:
        return None
