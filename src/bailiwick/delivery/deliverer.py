"""Delivers what is owed to webhook endpoints: at least once, in order, nobody at another's expense.

Only what has a slot (``slots``) is claimed, so that a lease covers a try and nothing else. Several
processes of one node may do so at once: each has slots of its own, and a claim skips what another
holds.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import asyncpg
import structlog

from bailiwick.base.clock import now_ms
from bailiwick.base.ids import node_of
from bailiwick.base.objects import Object, encode, text
from bailiwick.delivery.notes import Note, Notes
from bailiwick.delivery.post import Poster
from bailiwick.delivery.schedule import again_ms
from bailiwick.delivery.slots import TOTAL, Slots
from bailiwick.delivery.tries import Told, Try, new_name, oldest_kept
from bailiwick.delivery.webhooks import Endpoint, Endpoints
from bailiwick.interlink.copies import TOMBSTONE_MS
from bailiwick.runtime.database_errors import DATABASE_ERRORS
from bailiwick.runtime.loops import end, forever
from bailiwick.store.changes import change
from bailiwick.store.database import Store

ROUND_MAX = 128
"""Deliveries that are claimed at once."""
LOOKED_AT_MAX = 500
"""Endpoints that are looked at in one round; the next one goes on after them."""
CLAIM_MAX = 40
"""What `deliveries_due` claims of one endpoint at most."""
GONE_ENDPOINTS_MAX = 2
"""Endpoints that are no more, of which what is owed is ended in one round."""
SPACING_S = 0.02
LEASE_MS = 60_000
GONE = 410
FORGET_EVERY_S = 60.0
FORGET_MAX = 2_000
"""Old tries that are forgotten in one statement."""

log = structlog.get_logger()


class Deliverer:
    """Delivers what is owed; a slow endpoint delays only itself.

    ``shown``: an event as an object, from the columns of ``deliveries_due`` and the version of the
    format that the endpoint has; ``every_s``: how often all endpoints are looked at, in seconds.
    """

    def __init__(
        self,
        store: Store,
        endpoints: Endpoints,
        shown: Callable[[asyncpg.Record, str], Awaitable[Object]],
        *,
        private: bool,
        every_s: float,
    ) -> None:
        self._store = store
        self._shown = shown
        self._endpoints = endpoints
        self._private = private
        self._every_s = every_s
        self._poster: Poster | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._random = random.Random()
        self._notes = Notes(store)
        self._wake = asyncio.Event()
        self._after = ""
        self._look_at_s = 0.0
        self._gone: list[str] = []
        self.slots = Slots()
        self.delivered = 0
        self.failed = 0

    async def run(self) -> None:
        """Deliver for ever."""
        forgetting = asyncio.create_task(forever("webhook_tries", self._forget))
        try:
            async with Poster(private=self._private) as self._poster:
                await forever("webhooks", self._step)
        finally:
            await end(forgetting, *self._running)

    async def _forget(self) -> float:
        """Let go of tries, and of endpoints that were deleted, that are older than is kept."""
        oldest = oldest_kept(now_ms())
        gone = await self._store.rows("delivery_tries_forget", oldest, FORGET_MAX)
        await self._store.rows("endpoints_forget", now_ms() - TOMBSTONE_MS)
        return SPACING_S if len(gone) == FORGET_MAX else FORGET_EVERY_S

    async def _step(self) -> float:
        self._wake.clear()
        if not await self._round():
            try:
                async with asyncio.timeout(self._every_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
        return SPACING_S

    async def _round(self) -> bool:
        """Claim and begin what has slots. True: there may be more to claim at once."""
        owners, gone = await self._owners(await self._due())
        wanted = self.slots.share_out(owners.items(), time.monotonic(), ROUND_MAX)
        self._gone = gone[:GONE_ENDPOINTS_MAX]
        asked = {**wanted, **dict.fromkeys(self._gone, CLAIM_MAX)}
        if not asked:
            return False
        rows = await self._store.rows(
            "deliveries_due", list(asked), list(asked.values()), LEASE_MS, self._store.epoch()
        )
        claimed = [row for row in rows if row["claimed"]]
        begun = [row for row in claimed if row["endpoint"] in wanted]
        behind = {row["endpoint"] for row in rows if not row["claimed"]}
        self._begin(owners, wanted, begun, behind)
        dropped = [
            self._notes.write(_note(row, 0, None))
            for row in claimed
            if row["endpoint"] in self._gone
        ]
        await asyncio.gather(*dropped)
        return bool(behind or dropped) or len(begun) >= ROUND_MAX

    async def _due(self) -> list[str]:
        """Endpoints to which something is due: all of them every ``every_s``, in between those that
        are known to have more."""
        now_s = time.monotonic()
        if now_s < self._look_at_s:
            return [*self.slots.hungry(), *self._gone]
        self._look_at_s = now_s + self._every_s
        looked = await self._store.rows("deliveries_owed", self._after, LOOKED_AT_MAX)
        self._after = looked[-1]["endpoint"] if len(looked) == LOOKED_AT_MAX else ""
        return [row["endpoint"] for row in looked if row["due"]]

    async def _owners(self, due: list[str]) -> tuple[dict[str, str], list[str]]:
        """Endpoints with their merchants, and those to which nothing is sent any more."""
        if any(self._enabled(each) is None for each in due):
            await self._endpoints.load(self._store)  # the table is the truth
        found = {each: self._enabled(each) for each in due}
        gone = [each for each, endpoint in found.items() if endpoint is None]
        return {each: it.merchant for each, it in found.items() if it is not None}, gone

    def _enabled(self, identifier: str) -> Endpoint | None:
        endpoint = self._endpoints.get(identifier)
        return endpoint if endpoint is not None and endpoint.status == "enabled" else None

    def _begin(
        self,
        owners: dict[str, str],
        wanted: dict[str, int],
        rows: list[asyncpg.Record],
        behind: set[str],
    ) -> None:
        got = Counter(row["endpoint"] for row in rows)
        for each, asked in wanted.items():
            more = got[each] >= asked or each in behind
            self.slots.claimed(each, owners[each], got[each], more=more)
        for row in rows:
            task = asyncio.ensure_future(self._deliver(row))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        if len(self.slots) > len(self._endpoints.ids) + TOTAL:
            self.slots.keep(self._endpoints.ids)

    async def _deliver(self, row: asyncpg.Record) -> None:
        began_s = time.monotonic()
        told: Told | None = None
        endpoint = self._enabled(row["endpoint"])
        try:
            if endpoint is None:
                await self._notes.write(_note(row, 0, None))
            else:
                told = await self._try(row, endpoint)
                await self._settle(row, endpoint, told)
        finally:
            now_s = time.monotonic()
            good = told is not None and told.good
            if self.slots.ended(row["endpoint"], good=good, began_s=began_s, now_s=now_s):
                status = 0 if told is None else told.status
                log.warning("webhook_paused", webhook=row["endpoint"], status=status)
            if self.slots.wants_more(row["endpoint"], now_s):
                self._wake.set()

    async def _try(self, row: asyncpg.Record, endpoint: Endpoint) -> Told:
        """One try, and how it went."""
        assert self._poster is not None
        began_ms = now_ms()
        try:
            body = bytes(encode(await self._shown(row, endpoint.api_version)))
            return await self._poster.post(endpoint, row["event"], body)
        except Exception as error:
            # A defect of ours: tried as often as any other, and no longer.
            log.error("webhook_defect", webhook=endpoint.id, event_id=row["event"], error=error)
            return Told(endpoint.url, began_ms, now_ms() - began_ms, failure="defect")

    async def _settle(self, row: asyncpg.Record, endpoint: Endpoint, told: Told) -> None:
        if told.good:
            self.delivered += 1
            await self._notes.write(_tried(row, endpoint, told, "delivered", None))
            return
        self.failed += 1
        gap_ms = again_ms(row["tries_of_sending"], row["age_ms"], self._random.random())
        if told.status == GONE or gap_ms is None:
            log.warning("webhook_given_up", webhook=endpoint.id, status=told.status)
            follows = "endpoint_disabled" if told.status == GONE else "given_up"
            await self._notes.write(_tried(row, endpoint, told, follows, None))
            if told.status == GONE:
                await self._disable(endpoint.id, told.url)
            return
        await self._notes.write(_tried(row, endpoint, told, "retry", gap_ms))

    async def _disable(self, identifier: str, url: str) -> None:
        try:
            await self._store.rows("endpoint_disable", identifier, url, change())
            await self._endpoints.load(self._store)
        except DATABASE_ERRORS:
            log.warning("webhook_not_disabled", webhook=identifier)  # its next 410 does


def _note(row: asyncpg.Record, status: int, gap_ms: int | None, tried: Try | None = None) -> Note:
    return Note(row["event"], row["endpoint"], row["tries"], status, gap_ms, tried)


def _tried(
    row: asyncpg.Record, endpoint: Endpoint, told: Told, follows: str, gap_ms: int | None
) -> Note:
    """How a try ended, with what is remembered of it."""
    answered = told.status != 0
    tried = Try(
        id=new_name(node_of(row["event"]), told.began_ms),
        merchant=endpoint.merchant,
        livemode=endpoint.livemode,
        event=row["event"],
        endpoint=endpoint.id,
        subject=row["subject"],
        number=row["tries"],
        resent=row["resent"],
        created_ms=told.began_ms,
        took_ms=told.took_ms,
        url=told.url,
        status=told.status,
        failure=told.failure,
        headers=text(told.headers) if answered else None,
        body=told.body if answered else None,
        body_cut=told.cut,
        follows=follows,
        next_ms=None if gap_ms is None else told.began_ms + told.took_ms + gap_ms,
    )
    return _note(row, told.status, gap_ms, tried)
