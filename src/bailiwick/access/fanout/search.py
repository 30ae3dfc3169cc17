"""Searches over all nodes: each finds among its own, and what they find is merged by id."""

from typing import Any
from urllib.parse import urlencode

import falcon.asgi
import msgspec

from bailiwick.access.fanout.lists import TIMEOUT_S, Asking, Named, flat, limit_of
from bailiwick.access.front import Front
from bailiwick.access.inbound import Inbound
from bailiwick.access.nodes.hop import give, send_home
from bailiwick.base.errors import ApiError
from bailiwick.interlink import paging, search_page
from bailiwick.interlink.paging import Room
from bailiwick.wire.answers import json_answer
from bailiwick.wire.forms import parse_form

COUNT_MAX = 10_000
"""``total_count`` is accurate up to here, as documented."""
_named = msgspec.json.Decoder(Named)


async def search_all(
    front: Front, inbound: Inbound, request: falcon.asgi.Request, response: falcon.asgi.Response
) -> None:
    """GET of a search: every node reads the query, and refuses what is wrong with it.

    Raises:
        ApiError: 400, no such page; unless ``partial=allow``: 503 naming the nodes that are
            unavailable, or 421 naming those whose payments must be read in their own region.
    """
    path: bytes = request.scope["raw_path"]
    params = parse_form(request.scope["query_string"])
    limit = limit_of(params)
    partial = params.pop("partial", "")
    if partial not in ("", "allow"):
        raise ApiError.invalid("Invalid partial: only 'allow' is possible.", param="partial")
    search = _search_of(inbound, request.path, params)
    query = urlencode(flat(params)).encode("ascii")
    target = path + b"?" + query if query else path
    nodes = front.world.topology.nodes
    if len(nodes) == 1 and partial != "allow":
        inbound.lines += front.region_line, Room().line
        give(response, await send_home(front, nodes[0], inbound, "GET", target))
        return
    asking = Asking(front, inbound, target, limit, backwards=False)
    room = paging.share(len(nodes), limit)
    try:
        async with front.pages.holding(room.most * len(nodes), TIMEOUT_S):
            data, more = await asking.page(nodes, room)
            if asking.refusal is not None:
                give(response, asking.refusal)
                return
            asking.check(partial=partial == "allow")
            merged: dict[str, Any] = {
                "object": "search_result",
                "url": path.decode("ascii"),
                "has_more": more,
                "data": data,
                "next_page": None,
            }
            if more and data:
                merged["next_page"] = search_page.token(search, _named.decode(data[-1]).id)
            if asking.counts:
                merged["total_count"] = min(sum(asking.counts), COUNT_MAX)
            if partial == "allow":
                merged |= asking.holes
            json_answer(response, merged)
    except TimeoutError:
        raise ApiError.unavailable(
            "Too many lists are being read. Retry, with a smaller limit.", code="overloaded"
        ) from None


def _search_of(inbound: Inbound, path: str, params: dict[str, Any]) -> str:
    """What tells this search from others; a page of another one is refused. Raises ApiError."""
    who = inbound.principal
    query = params.get("query")
    search = search_page.search_of(
        who.merchant.id, who.livemode, path, query if isinstance(query, str) else ""
    )
    page = params.get("page")
    if isinstance(page, str) and page:
        search_page.last_of(search, page)
    return search
