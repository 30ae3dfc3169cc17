"""How tries ended, written many at a time over one connection: a flood of them does not take the
connections that payments read with."""

import asyncio

import msgspec
import structlog

from bailiwick.delivery.tries import KEPT_OF_DELIVERY, Try
from bailiwick.runtime.database_errors import DATABASE_ERRORS
from bailiwick.store.database import Store

log = structlog.get_logger()


class Note(msgspec.Struct, frozen=True):
    """How a delivery stands after a try, or without one where nothing is sent any more.

    Attributes:
        number: of the try. status: of HTTP, or 0. again_ms: until the next try; None: no more.
        tried: what is remembered of it.
    """

    event: str
    endpoint: str
    number: int
    status: int
    again_ms: int | None
    tried: Try | None = None


class Notes:
    """Writes notes in batches."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._notes: list[tuple[Note, asyncio.Future[None]]] = []
        self._written: asyncio.Task[None] | None = None

    async def write(self, note: Note) -> None:
        """Write and wait; a note that is lost is made again when its lease has run out."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._notes.append((note, future))
        if self._written is None:
            self._written = loop.create_task(self._write_all())
        await future

    async def _write_all(self) -> None:
        try:
            while self._notes:
                batch, self._notes = self._notes, []
                try:
                    await self._write([note for note, _ in batch])
                except DATABASE_ERRORS:
                    log.warning("webhook_notes_lost", count=len(batch))
                finally:
                    for _, future in batch:
                        if not future.done():
                            future.set_result(None)
        finally:
            self._written = None

    async def _write(self, notes: list[Note]) -> None:
        tried = [msgspec.structs.astuple(each.tried) for each in notes if each.tried is not None]
        await self._store.rows(
            "delivery_done",
            [each.event for each in notes],
            [each.endpoint for each in notes],
            [each.number for each in notes],
            [each.status for each in notes],
            [each.again_ms for each in notes],
            tried,
            KEPT_OF_DELIVERY,
        )
