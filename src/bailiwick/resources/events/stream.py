"""Events as they happen, over server-sent events: GET /v1/events with Accept: text/event-stream.

Access asks each node for batches and joins them; whoever asks a node gets that node's stream.
"""

import time
from typing import Any

from bailiwick.base.errors import ApiError
from bailiwick.base.ids import lowest_id
from bailiwick.base.objects import encode
from bailiwick.interlink import event_stream
from bailiwick.interlink.event_stream import Batch, Cursor, Place
from bailiwick.resources.events.params import StreamEvents
from bailiwick.resources.events.shown import bodies, event_object, types_of
from bailiwick.resources.payments.placing import keep_all
from bailiwick.runtime.database_errors import DATABASE_ERRORS
from bailiwick.serving import placed_records, route
from bailiwick.serving.context import NodeContext
from bailiwick.serving.route import Request, Response
from bailiwick.topology.merchants import Principal
from bailiwick.wire.answers import json_answer
from bailiwick.wire.event_streams import Round
from bailiwick.wire.forms import struct_from

WINDOW = 5_000
"""Transactions that are looked through at once."""


async def answer(node: NodeContext, request: Request, response: Response) -> bool:
    """Answer with a stream, or a batch, if that is what is wanted."""
    accept = request.get_header("Accept")
    if event_stream.wanted(accept):
        await _stream(node, request, response)
    elif event_stream.wanted(accept, event_stream.BATCH):
        reading = _reading(node, request)
        after = request.get_header(event_stream.AFTER) or ""
        json_answer(response, await reading.batch(await reading.begin(after)))
    else:
        return False
    return True


def _reading(node: NodeContext, request: Request) -> "Reading":
    wish = struct_from(route.query(request), StreamEvents)
    who = route.principal(request, node)
    return Reading(node, who, types_of(wish.type, wish.types), route.region(request))


async def _stream(node: NodeContext, request: Request, response: Response) -> None:
    reading = _reading(node, request)
    now_s = int(time.time())
    last = request.get_header(event_stream.LAST)
    cursor = event_stream.cursor_of(last, now_s) if last else None
    after = "" if cursor is None else cursor.places.get(node.number, f"@{cursor.at_s}")
    reading.place = await reading.begin(after)

    async def look() -> Round:
        route.principal(request, node)  # the key may have been revoked
        try:
            return await reading.round()
        except DATABASE_ERRORS:
            return Round([], reading.at, word="the database does not answer")

    owner = f"{reading.who.merchant.id} {reading.who.livemode}"
    response.sse = node.streams.admit(owner, look, await reading.round())


class Reading:
    """One node's events, read on and on."""

    def __init__(
        self, node: NodeContext, who: Principal, types: list[str] | None, region: int
    ) -> None:
        self.node = node
        self.who = who
        self._types = types
        self._region = region
        self.place = Place(0)

    @property
    def at(self) -> str:
        """Where it has come to, as clients are told."""
        return str(Cursor(int(time.time()), {self.node.number: str(self.place)}))

    async def begin(self, after: str) -> Place:
        """The place that is named. Raises ApiError: 400, this database has none such."""
        horizon = await self._horizon()
        if after == "":
            return Place(horizon)
        if after.startswith("@") and after[1:].isdecimal() and len(after) < 13:
            row = await self.node.store.row(
                "events_since",
                self.who.merchant.id,
                self.who.livemode,
                lowest_id("evt", (int(after[1:]) - event_stream.MARGIN_S) * 1000),
            )
            return Place(horizon if row is None else min(row["xact"], horizon))
        place = event_stream.place_of(after)
        if place.xact > horizon:
            raise ApiError.invalid(
                f"{event_stream.LAST} is of another database than node '{self.node.name}' has "
                "now. Read the list of events (created[gte]), and begin a stream without it.",
                param=event_stream.LAST,
                code="stream_too_old",
            )
        return place

    async def round(self) -> Round:
        """The next events, as a stream tells them."""
        found = await self.batch(self.place)
        events = []
        for raw, place in zip(found.data, found.places, strict=True):
            self.place = event_stream.place_of(place)
            events.append((self.at, bytes(raw)))
        self.place = event_stream.place_of(found.after)
        return Round(events, self.at, found.more)

    async def batch(self, place: Place) -> Batch:
        """What comes after a place."""
        horizon = await self._horizon()
        below = min(horizon, place.xact + WINDOW)
        if below <= place.xact:
            return Batch([], [], str(place), False)
        rows = await self.node.store.list_rows(
            "events_after",
            self.who.merchant.id,
            self.who.livemode,
            place.xact,
            place.told,
            below,
            event_stream.BATCH_EVENTS,
            self._types,
            event_stream.BATCH_BYTES,
        )
        wanted = [row for row in rows if row["wanted"]]
        await self._keep({row["subject"] for row in wanted})
        kinds = self.node.machine.kinds
        beside = await bodies(kinds, self.node.store, wanted)
        cut = bool(rows) and rows[0]["all_of"] > len(rows)
        after = _place(rows[-1]) if cut else str(Place(below))
        data = [encode(event_object(kinds, row, beside)) for row in wanted]
        return Batch(data, [_place(row) for row in wanted], after, cut or below < horizon)

    async def _keep(self, subjects: set[str]) -> None:
        """Raises ApiError (421): some of it stays in its region."""
        await keep_all(self.node, self._region, subjects)
        await placed_records.keep_all(self.node, self._region, subjects)

    async def _horizon(self) -> int:
        row = await self.node.store.row("events_horizon")
        assert row is not None, "a snapshot always is"
        return int(row["horizon"])


def _place(row: Any) -> str:
    return str(Place(row["xact"], row["place"]))
