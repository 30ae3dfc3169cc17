"""A stream of what happens at all nodes: each is asked for batches, and what it has is told.

Of one object the order is that of its node; over several nodes there is none.
"""

import asyncio
import time
from typing import Any
from urllib.parse import urlencode

import falcon.asgi
import msgspec

from bailiwick.access.fanout.lists import TIMEOUT_S, flat
from bailiwick.access.front import Front
from bailiwick.access.inbound import Inbound
from bailiwick.access.nodes.forward import Answer, HopError
from bailiwick.access.nodes.hop import give, misdirected, send
from bailiwick.base.errors import ApiError
from bailiwick.interlink import event_stream
from bailiwick.interlink.event_stream import Batch, Cursor
from bailiwick.interlink.regional import wrong_region
from bailiwick.topology.topology import Node
from bailiwick.wire.event_streams import Round
from bailiwick.wire.forms import parse_form

_batch = msgspec.json.Decoder(Batch)
_ACCEPT = f"accept: {event_stream.BATCH}\r\n".encode("ascii")
_AFTER = event_stream.AFTER.lower()


async def stream_all(
    front: Front, inbound: Inbound, request: falcon.asgi.Request, response: falcon.asgi.Response
) -> None:
    """GET of a list, as a stream.

    A node that is away is named in a comment, and goes on from its place when it is back.

    Raises:
        ApiError: 400, the place where the client left off; 421 as a list, unless
            ``partial=allow``; 429, there are enough streams.
    """
    params = parse_form(request.scope["query_string"])
    partial = params.pop("partial", "")
    if partial not in ("", "allow"):
        raise ApiError.invalid("Invalid partial: only 'allow' is possible.", param="partial")
    path: bytes = request.scope["raw_path"]
    query = urlencode(flat(params)).encode("ascii")
    now_s = int(time.time())
    last = request.get_header(event_stream.LAST)
    cursor = event_stream.cursor_of(last, now_s) if last else None
    target = path + b"?" + query if query else path
    joined = Joined(front, inbound, target, cursor, partial=partial == "allow")
    first = await joined.round()
    if joined.refusal is not None:
        give(response, joined.refusal)
        return
    who = inbound.principal
    owner = f"{who.merchant.id} {who.livemode}"
    response.sse = front.streams.admit(owner, joined.look, first)


class Joined:
    """The streams of all nodes as one.

    Attributes:
        refusal: a node's answer that is the answer to all: the request is wrong.
    """

    def __init__(
        self, front: Front, inbound: Inbound, target: bytes, cursor: Cursor | None, *, partial: bool
    ) -> None:
        self._front = front
        self._inbound = inbound
        self._target = target
        self._partial = partial
        self._places: dict[int, str] = {} if cursor is None else dict(cursor.places)
        self._since_s = int(time.time()) if cursor is None else cursor.at_s
        self._fresh = cursor is None
        self._missing: dict[int, str] = {}
        self.refusal: Answer | None = None

    async def look(self) -> Round:
        """The next events, once the stream has begun. Raises ApiError: it ends."""
        found = await self.round()
        if self.refusal is not None:
            raise _told(self.refusal)
        return found

    async def round(self) -> Round:
        """What is new at all nodes. Raises ApiError (421)."""
        nodes = self._front.world.topology.nodes
        self._missing = {}
        batches = await asyncio.gather(*(self._ask(node) for node in nodes))
        self._fresh = False
        events: list[tuple[str, bytes]] = []
        for node, batch in zip(nodes, batches, strict=True):
            if batch is None:
                continue
            for raw, place in zip(batch.data, batch.places, strict=True):
                self._places[node.number] = place
                events.append((self._at(), bytes(raw)))
            self._places[node.number] = batch.after
        if all(node.number in self._places for node in nodes):
            self._since_s = int(time.time())
        names = ", ".join(self._missing[number] for number in sorted(self._missing))
        more = any(batch is not None and batch.more for batch in batches)
        return Round(events, self._at(), more, f"without: {names}" if names else "")

    def _at(self) -> str:
        return str(Cursor(self._since_s, self._places))

    async def _ask(self, node: Node) -> Batch | None:
        """A node's next events, or None from one that is silent."""
        front = self._front
        watched = front.node_monitor
        if watched.report(node.number) is not None and node.number not in watched.answering():
            self._missing[node.number] = node.name
            return None
        start = "" if self._fresh else f"@{self._since_s}"
        after = self._places.get(node.number, start)
        lines = [front.epoch_line, front.region_line, _ACCEPT]
        lines.append(f"{_AFTER}: {after}\r\n".encode("ascii"))
        try:
            answer: Answer | None = await send(
                front, node, self._inbound, "GET", self._target, b"", lines, timeout=TIMEOUT_S
            )
        except HopError:
            answer = None
        return self._taken(node, answer)

    def _taken(self, node: Node, answer: Answer | None) -> Batch | None:
        """What a node has answered. Raises ApiError (421)."""
        if answer is not None and answer.status == 200:
            try:
                return _batch.decode(answer.body)
            except msgspec.DecodeError:
                answer = None  # a node of an earlier release: it has a list, and no streams
        elsewhere = None if answer is None else misdirected(answer)
        if elsewhere is not None and elsewhere.stays and not self._partial:
            what = f"Events of node {node.name} are read (partial=allow tells the others)"
            raise wrong_region(what, node.url)
        if answer is None or answer.status >= 500 or elsewhere is not None:
            self._missing[node.number] = node.name
        else:
            self.refusal = self.refusal or answer
        return None


def _told(answer: Answer) -> ApiError:
    """A node's refusal as an error of ours."""
    found: dict[str, Any] = msgspec.json.decode(answer.body)
    error = found.get("error", {})
    kind = str(error.get("type", "api_error"))
    return ApiError(answer.status, kind, str(error.get("message", "")), code=error.get("code"))
