"""Files over HTTP."""

from collections.abc import Iterable, Set
from typing import Any
from urllib.parse import quote

import msgspec

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.objects import Object
from bailiwick.base.tenancy import Owner, own
from bailiwick.idempotency.requests import Answer, IdempotentRequest
from bailiwick.interlink.paging import Room as PageRoom
from bailiwick.orders.machine import Machine
from bailiwick.records import records
from bailiwick.records.record import Record
from bailiwick.resources.files import RESOURCE, commands, media, render
from bailiwick.resources.files.commands import Content, Kept
from bailiwick.resources.files.params import CreateFile, ListFiles
from bailiwick.resources.payments import placing
from bailiwick.serving import lists, placed_records, route
from bailiwick.serving.context import NodeContext
from bailiwick.serving.lists import Listed
from bailiwick.serving.params import Retrieve
from bailiwick.serving.route import Mounted, Request, Response, Route
from bailiwick.store.database import Store
from bailiwick.topology.merchants import Principal
from bailiwick.wire.forms import Params, struct_from
from bailiwick.wire.protocol import read_body
from bailiwick.wire.uploads import multipart
from bailiwick.wire.uploads.room import Room

AT_ONCE = 50
EVERY_S = 600.0
_residency = msgspec.json.Decoder(dict[str, Any])


class FileList(Route):
    """/v1/files"""

    def __init__(self, node: NodeContext) -> None:
        super().__init__(node)
        self._room = Room()

    async def on_post(self, request: Request, response: Response) -> None:
        """Upload, to the node of what the file is for."""
        who = route.principal(request, self.node)
        with self._room.one(who.merchant.id):
            body = await read_body(request, media.BODY_BYTES_MAX)
            params, files = multipart.parse(request.content_type, body)
            del body
            await self._take(request, response, who, params, files)

    async def _take(
        self,
        request: Request,
        response: Response,
        who: Principal,
        params: Params,
        files: dict[str, multipart.Part],
    ) -> None:
        node, part = self.node, files.get("file")
        names = {name: each.filename for name, each in files.items()}
        if "file" in params and part is None:
            raise ApiError.invalid(
                "file must be a part of a body of multipart/form-data, with a filename.",
                param="file",
            )
        said = {**params, **names}
        wish = route.typed(said, CreateFile)
        route.check_cards(said)
        assert part is not None, "it is required"
        node.expansion.wished(wish.expand, RESOURCE.object)
        what = await commands.content_of(part)
        asked = route.asked(
            request, who, "create_file", "", {**params, "file": what.identity}, wish.expand
        )
        if wish.dispute is not None:
            kept = await _with_dispute(node, who, wish, wish.dispute)
            await self.answer(
                response, asked, lambda: commands.create(node, asked, wish.purpose, what, kept)
            )
        else:
            await self._place(request, response, who, asked, wish, what)

    async def _place(
        self,
        request: Request,
        response: Response,
        who: Principal,
        asked: IdempotentRequest,
        wish: CreateFile,
        what: Content,
    ) -> None:
        """Keep it where the place that the request names has its node."""
        node = self.node
        location = placing.located(node, who, wish.location)
        assignment, otherwise = placing.here(node, request, asked, location)

        async def work() -> Answer:
            if otherwise is not None:
                return await placed_records.known(node, asked, otherwise)
            kept = Kept(*placed_records.found_at(location, assignment))
            return await commands.create(node, asked, wish.purpose, what, kept)

        await self.answer(response, asked, work)

    async def on_get(self, request: Request, response: Response) -> None:
        """A page of files."""
        await lists.answer(self.node, request, response, page)


async def _with_dispute(node: NodeContext, who: Principal, wish: CreateFile, dispute: str) -> Kept:
    """Where a dispute is. Raises ApiError (400, 404)."""
    if wish.location is not None:
        raise ApiError.invalid(
            "The file is kept where its dispute is: leave location out.", param="location"
        )
    row = await node.store.row("file_for", dispute, who.merchant.id, who.livemode)
    if row is None:
        raise ApiError.missing("dispute", dispute, param="dispute")
    assignment = _residency.decode(row["assignment"])
    strict = assignment.get("residency") == "strict"
    considered = [each["node"] for each in assignment["considered"]]
    return Kept({"node": node.name}, considered if strict else None)


class FileItem(Route):
    """/v1/files/{identifier}"""

    def __init__(self, node: NodeContext) -> None:
        super().__init__(node)
        self._room = Room()

    async def on_get(self, request: Request, response: Response, identifier: str) -> None:
        """Retrieve."""
        who = route.principal(request, self.node)
        struct_from(route.query(request), Retrieve)
        row = await _owned(self.node, who, identifier)
        await route.show(self.node, request, response, who, render.file(row))

    async def on_get_contents(self, request: Request, response: Response, identifier: str) -> None:
        """What is in it."""
        who = route.principal(request, self.node)
        struct_from(route.query(request), Nothing)
        row = await _owned(self.node, who, identifier)
        with self._room.one(who.merchant.id):
            found = await self.node.store.rows("file_contents", [identifier])
            if row.erased or not found:
                raise ApiError.invalid(
                    "This file has expired, or was erased: nothing of it is kept.",
                    param="id",
                    code="file_gone",
                    status=404,
                )
            response.data = found[0]["content"]
        response.content_type = media.NAMES[row.details["type"]]
        name = quote(row.details["filename"] or row.id, safe="")
        response.set_header("content-disposition", f"attachment; filename*=UTF-8''{name}")
        response.set_header("x-content-type-options", "nosniff")


class Nothing(msgspec.Struct, frozen=True):
    """What may be said of a content that is read: nothing."""


async def _owned(node: NodeContext, who: Principal, identifier: str) -> Record:
    row = own(await records.find(node.store, identifier), who, "file", identifier)
    if not row.id.startswith("file_"):
        raise ApiError.missing("file", identifier)
    return row


async def page(
    node: NodeContext, who: Principal, params: Params, region: int, room: PageRoom
) -> Listed:
    """GET /v1/files"""
    query = struct_from(params, ListFiles)
    fill = lists.filling(node, query, RESOURCE, who, region)
    part = await lists.page_of(node, who, query, RESOURCE, room)
    found, following = await records.page(node.store, "file", who.merchant.id, who.livemode, part)
    if query.purpose not in (None, "dispute_evidence"):  # there are no others
        found, following = [], None
    placed_records.keep(node, region, found)
    return await lists.paged(
        query, RESOURCE, room, found, following, render.file, lambda row: row.id, fill
    )


async def load(store: Store, who: Owner, region: int, identifiers: Set[str]) -> dict[str, Object]:
    """Files by their ids, as ``expand`` shows them; see ``serving.expansion.Load``."""
    found = await placed_records.seen(store, who, region, "file", identifiers)
    return {it.id: render.file(it) for it in found}


LOADS = {"file": load}


class Expiring:
    """Deletes the content of files whose time is over."""

    def __init__(self, machine: Machine) -> None:
        self._store = machine.store

    async def step(self) -> float:
        """Look once; seconds until the next look."""
        gone = await self._store.rows("files_expire", now_ms(), AT_ONCE, self._store.epoch())
        return 0.0 if len(gone) == AT_ONCE else EVERY_S


TASKS = {"files": Expiring}
"""What is done without anybody asking."""


async def _itself(node: NodeContext, who: Principal, identifier: str) -> Any:
    return identifier


PAYMENT_OF = {"file": _itself}
"""By the prefix of an id, how that is found which says where it must stay."""


def routes(node: NodeContext) -> Iterable[Mounted]:
    """Where files are served."""
    one = FileItem(node)
    yield "/v1/files", FileList(node), ""
    yield "/v1/files/{identifier}", one, ""
    yield "/v1/files/{identifier}/contents", one, "contents"
    yield from route.refusals(node, RESOURCE)
