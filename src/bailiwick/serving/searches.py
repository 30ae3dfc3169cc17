"""Searches: a query is read, matches are found, and shown as they are now.

https://docs.stripe.com/search. What is found is what the table of entries knows, which is a little
behind; what is shown of it is read afresh.
"""

import functools
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from bailiwick.base.objects import Object
from bailiwick.interlink import paging, search_page
from bailiwick.interlink.paging import Room
from bailiwick.search import index
from bailiwick.search.declared import Searchable
from bailiwick.search.language import parse
from bailiwick.search.terms import Scope, Wanted, wanted
from bailiwick.serving import lists, route
from bailiwick.serving.context import NodeContext
from bailiwick.serving.params import SearchQuery
from bailiwick.serving.route import Request, Response, Route
from bailiwick.topology.merchants import Principal
from bailiwick.wire.answers import json_answer
from bailiwick.wire.forms import Params, struct_from

TOTAL = "total_count"
LIMIT_MAX = 100


Made = Callable[[], Object]


class Shown(msgspec.Struct, frozen=True):
    """An object that was found: its id, and how it is shown; None: it is gone by now."""

    id: str
    object: Made | None


Reader = Callable[[list[str]], Awaitable[Sequence[Shown]]]


class Searcher(Route):
    """A GET of a search of one resource."""

    def __init__(self, node: NodeContext, of: Searchable) -> None:
        super().__init__(node)
        self._of = of

    @abstractmethod
    async def read(self, ids: list[str], bytes_most: int, region: int) -> Sequence[Shown]:
        """Objects by their ids, newest first: all, or the first for whose stored texts there is
        room. ``region``: to whose access process the answer goes; raises ApiError (421) for what
        must stay in another."""

    async def on_get(self, request: Request, response: Response) -> None:
        """A page of what is found, newest first."""
        who = route.principal(request, self.node)
        by_access = request.get_header("Bailiwick-Epoch") is not None
        room = paging.told(request.get_header(paging.HEADER), by_access=by_access)
        page, following = await self._page(who, route.query(request), route.region(request), room)
        if following is not None:
            response.set_header(paging.NEXT, following)
        json_answer(response, page)

    async def _page(
        self, who: Principal, params: Params, region: int, room: Room
    ) -> tuple[Object, str | None]:
        asked = struct_from(params, SearchQuery)
        of = self._of
        expand = [wish for wish in asked.expand if wish != TOTAL]
        wished = self.node.expansion.wished(expand, of.resource.object, listed=True)
        query = parse(asked.query, of.fields, of.name)
        scope = Scope(of.resource.prefix, who.merchant.id, who.livemode)
        looked_for = wanted(query, scope, of.always)
        search = search_page.search_of(who.merchant.id, who.livemode, of.path, asked.query)
        after = None if asked.page is None else search_page.last_of(search, asked.page)
        store = self.node.store
        read = functools.partial(self.read, bytes_most=room.most, region=region)
        ids, found = await self._newest(scope, looked_for, after, asked.limit, read)
        there = [(at, each.object) for at, each in enumerate(found) if each.object is not None]
        objects = [made() for _, made in there[: asked.limit]]
        await wished.fill(store, who, region, objects)
        kept = await lists.fitting(objects, lambda each: each, room)
        # Up to where this page goes: what is gone belongs to the page on which it would have been.
        end = there[len(kept)][0] if len(kept) < len(there) else len(found)
        following = ids[end] if end < len(ids) else None
        more = following is not None
        page: Object = {
            "object": "search_result",
            "url": of.path,
            "has_more": more,
            "data": kept,
            "next_page": search_page.token(search, found[end - 1].id) if more and end else None,
        }
        if TOTAL in asked.expand:
            page[TOTAL] = await index.count(store, scope, looked_for)
        return page, following

    async def _newest(
        self, scope: Scope, looked_for: Wanted, below: str | None, size: int, read: Reader
    ) -> tuple[list[str], Sequence[Shown]]:
        """The ids of the newest matches and one more, and what there was room for of them; a page
        of which all is gone by now is passed over."""
        while True:
            ids = await index.find(self.node.store, scope, looked_for, below, size + 1)
            found = await read(ids[:size]) if ids else []
            if not found or any(each.object is not None for each in found):
                return ids, found
            below, size = found[-1].id, LIMIT_MAX
