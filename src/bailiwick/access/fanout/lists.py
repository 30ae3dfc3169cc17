"""Lists over all nodes: the same query to each, merged by id, which sorts by time."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import urlencode

import falcon.asgi
import msgspec

from bailiwick import resources
from bailiwick.access.front import Front
from bailiwick.access.inbound import Inbound
from bailiwick.access.nodes.forward import Answer, HopError
from bailiwick.access.nodes.hop import give, misdirected, send, send_home
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import is_id, node_of
from bailiwick.interlink import paging, resource
from bailiwick.interlink.paging import Room
from bailiwick.interlink.regional import wrong_region
from bailiwick.topology.topology import Node
from bailiwick.wire.answers import json_answer
from bailiwick.wire.forms import parse_form

LIMIT_DEFAULT, LIMIT_MAX = 10, 100
LISTED = resource.lists(resources.every())
TIMEOUT_S = 5.0


class Page(msgspec.Struct):
    """One node's list; the objects stay undecoded bytes.

    Attributes:
        next: the id of the object that comes after these at that node.
        total_count: of a search that asked for it.
    """

    data: list[msgspec.Raw]
    has_more: bool
    next: str | None = None
    total_count: int | None = None


class Named(msgspec.Struct):
    id: str


_page = msgspec.json.Decoder(Page)
_named = msgspec.json.Decoder(Named)


def merge(
    pages: Collection[Page],
    limit: int,
    *,
    backwards: bool = False,
    bytes_most: int = paging.ANSWER_BYTES,
) -> tuple[list[msgspec.Raw], bool]:
    """Merge pages of objects sorted by id, newest first, into one page.

    Each page holds the objects nearest to the cursor of its node: ``limit`` of them, or what it
    had room for. Nothing is shown that lies beyond what a node has left out, else whoever goes on
    from there would never see that. ``backwards``: the cursor was ``ending_before``, so the oldest
    of what there is are the nearest. Returns the objects, newest first, and whether there are more
    beyond them; none at all, when the nearest one is larger than its node had room for.
    """
    found = sorted(
        ((_named.decode(raw).id, raw) for page in pages for raw in page.data),
        key=lambda pair: pair[0],
        reverse=not backwards,
    )
    border = nearest(pages, backwards=backwards)
    kept: list[msgspec.Raw] = []
    taken = 0
    for identifier, raw in found[:limit]:
        taken += len(memoryview(raw)) + 1
        beyond = border is not None and (identifier > border if backwards else identifier < border)
        if beyond or (kept and taken > bytes_most):
            break
        kept.append(raw)
    more = len(kept) < len(found) or any(page.has_more for page in pages)
    if backwards:
        kept.reverse()
    return kept, more


def nearest(pages: Collection[Page], *, backwards: bool = False) -> str | None:
    """Of the objects that nodes have left out, the id of the one nearest to the cursor."""
    left_out = [page.next for page in pages if page.next is not None]
    if not left_out:
        return None
    return min(left_out) if backwards else max(left_out)


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
        ApiError: 400, no such cursor; unless ``partial=allow``: 503 naming the nodes that are
            unavailable, or 421 naming those whose payments in this list must be read in their own
            region.
    """
    path: bytes = request.scope["raw_path"]
    params = parse_form(request.scope["query_string"])
    limit = limit_of(params)
    partial = params.pop("partial", "")
    if partial not in ("", "allow"):
        raise ApiError.invalid("Invalid partial: only 'allow' is possible.", param="partial")
    _check_cursors(front, request.path, params)
    query = urlencode(flat(params)).encode("ascii")
    target = path + b"?" + query if query else path
    nodes = _nodes_with(front, request.path, params)
    if len(nodes) == 1 and partial != "allow":
        inbound.lines += front.region_line, Room().line
        give(response, await send_home(front, nodes[0], inbound, "GET", target))
        return
    asking = Asking(front, inbound, target, limit, backwards=bool(params.get("ending_before")))
    room = paging.share(len(nodes), limit)
    try:
        async with front.pages.holding(room.most * len(nodes), TIMEOUT_S):
            data, more = await asking.page(nodes, room)
            if asking.refusal is not None:
                give(response, asking.refusal)
                return
            asking.check(partial=partial == "allow")
            merged = {
                "object": "list",
                "url": path.decode("ascii"),
                "has_more": more,
                "data": data,
            }
            if partial == "allow":
                merged |= asking.holes
            json_answer(response, merged)
    except TimeoutError:
        raise ApiError.unavailable(
            "Too many lists are being read. Retry, with a smaller limit.", code="overloaded"
        ) from None


class Asking:
    """One list, asked of several nodes.

    Attributes:
        refusal: a node's answer that is the answer to all: the request is wrong.
    """

    def __init__(
        self, front: Front, inbound: Inbound, target: bytes, limit: int, *, backwards: bool
    ) -> None:
        self._front = front
        self._inbound = inbound
        self._target = target
        self._limit = limit
        self._backwards = backwards
        self._pages: dict[int, Page] = {}
        self._missing: list[Node] = []
        self._staying: list[Node] = []
        self.refusal: Answer | None = None

    async def page(self, nodes: Sequence[Node], room: Room) -> tuple[list[msgspec.Raw], bool]:
        """Ask all nodes and merge what they have; see ``merge``."""
        await asyncio.gather(*(self._ask(node, room) for node in nodes))
        for _ in nodes if self.refusal is None else ():
            data, more = merge(self._pages.values(), self._limit, backwards=self._backwards)
            first = nearest(self._pages.values(), backwards=self._backwards)
            if data or first is None:
                return data, more
            # The first object of all is larger than a node's share: its node gives it whole.
            home = next(node for node in nodes if self._left_out(node) == first)
            del self._pages[home.number]
            await self._ask(home, Room())
        return merge(self._pages.values(), self._limit, backwards=self._backwards)

    def _left_out(self, node: Node) -> str | None:
        page = self._pages.get(node.number)
        return None if page is None else page.next

    async def _ask(self, node: Node, room: Room) -> None:
        """Take in a node's page, or that it is silent; without waiting where that is known."""
        front = self._front
        report = front.node_monitor.report(node.number)
        if report is not None and node.number not in front.node_monitor.answering():
            self._missing.append(node)
            return
        lines = [front.epoch_line, front.region_line, room.line]
        try:
            answer = await send(
                front, node, self._inbound, "GET", self._target, b"", lines, timeout=TIMEOUT_S
            )
        except HopError:
            self._missing.append(node)
            return
        elsewhere = misdirected(answer)
        if answer.status >= 500:
            self._missing.append(node)
        elif elsewhere is not None and elsewhere.stays:
            self._staying.append(node)
        elif answer.status != 200:
            self.refusal = self.refusal or answer
        else:
            page = _page.decode(answer.body)
            page.next = answer.header(paging.NEXT.lower().encode("ascii"))
            self._pages[node.number] = page

    def check(self, *, partial: bool) -> None:
        """Refuse a list with a hole, unless ``partial`` accepts it. Raises ApiError (503, 421)."""
        if self._missing and not (partial and self._pages):
            raise ApiError.unavailable(
                f"Unavailable: {', '.join(_names(self._missing))}. Retry, or list the other nodes "
                "alone with partial=allow.",
                code="node_unavailable",
            )
        if self._staying and not partial:
            raise wrong_region(
                f"Payments of node {', '.join(_names(self._staying))} in this list are read "
                "(partial=allow lists the others)",
                self._staying[0].url,
            )

    @property
    def counts(self) -> list[int]:
        """How many matches each node has, where that was asked."""
        return [it.total_count for it in self._pages.values() if it.total_count is not None]

    @property
    def holes(self) -> dict[str, list[str]]:
        """What is not in the list, as its answer tells."""
        found = {"unavailable_nodes": _names(self._missing)}
        if self._staying:
            found["nodes_of_other_regions"] = _names(self._staying)
        return found


def _names(nodes: list[Node]) -> list[str]:
    return [node.name for node in sorted(nodes, key=lambda node: node.number)]


def _check_cursors(front: Front, path: str, params: dict[str, Any]) -> None:
    """Refuse cursors that no node can have; the home of any other one checks it.

    Raises:
        ApiError: 400.
    """
    of = LISTED[path]
    for name, cursor in paging.given(params):
        home = paging.home_of(name, of.object, of.prefix, cursor)
        if home not in front.world.topology.by_number:
            raise paging.no_such(name, of.object, cursor)


def _nodes_with(front: Front, path: str, params: dict[str, Any]) -> tuple[Node, ...]:
    """A filter may name the only node that can have matches."""
    for name, prefix in resource.narrowed(LISTED[path]).items():
        identifier = params.get(name)
        if isinstance(identifier, str) and identifier:
            home = node_of(identifier) if is_id(identifier, prefix) else 0
            node = front.world.topology.by_number.get(home)
            if node is None:
                raise ApiError.missing(name, identifier, param=name)
            return (node,)
    return front.world.topology.nodes
