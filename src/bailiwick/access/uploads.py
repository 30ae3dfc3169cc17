"""Files at access: brought to a node whole, and from it."""

import falcon.asgi

from bailiwick.access.front import Front
from bailiwick.access.inbound import receive, target_of
from bailiwick.access.naming import named
from bailiwick.access.nodes.hop import give, require_region, send_home
from bailiwick.access.payments import Create
from bailiwick.interlink.resource import ById, Uploaded
from bailiwick.wire.protocol import read_body
from bailiwick.wire.uploads import multipart
from bailiwick.wire.uploads.room import Room

Request = falcon.asgi.Request
Response = falcon.asgi.Response


class Upload:
    """A file on its way to the node of what it is for, else to the one with jurisdiction."""

    def __init__(self, front: Front, where: Uploaded) -> None:
        self.front = front
        self._where = where
        self._placed = Create(front, moves=False)
        self._room = Room()

    async def on_post(self, request: Request, response: Response) -> None:
        front, where = self.front, self._where
        inbound = receive(front, request, response)
        with self._room.one(inbound.principal.merchant.id):
            body = await read_body(request, where.body_bytes)
            params, _ = multipart.parse(request.content_type, body)
            found = named(front, where.names, params)
            if found is None:
                await self._placed.deliver(request, response, inbound, body, params)
                return
            node, identifier = found
            await require_region(front, node, inbound, identifier)
            target = target_of(request)
            give(response, await send_home(front, node, inbound, "POST", target, body))


class Download:
    """A file on its way back."""

    def __init__(self, front: Front, where: ById) -> None:
        self.front = front
        self._where = where
        self._room = Room()

    async def on_get(self, request: Request, response: Response, identifier: str, **_: str) -> None:
        front, where = self.front, self._where
        inbound = receive(front, request, response)
        node = front.node_for(identifier, where.prefix, where.object)
        with self._room.one(inbound.principal.merchant.id):
            await require_region(front, node, inbound, identifier)
            target, most = target_of(request), where.answer_bytes
            answer = await send_home(front, node, inbound, "GET", target, answer_bytes=most)
            give(response, answer)
