"""Delivers what is owed to webhook endpoints: at least once, in order, nobody at another's expense.

Only what has a slot (``slots``) is claimed, so that a lease covers a try and nothing else. Several
processes of one node may do so at once: each has slots of its own, and a claim skips what another
holds.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable

import aiohttp
import asyncpg
import structlog

from bailiwick.base.clock import now_ms
from bailiwick.base.objects import Object, encode
from bailiwick.delivery.addresses import allowed_url
from bailiwick.delivery.lookups import ON_BEHALF, GuardedResolver
from bailiwick.delivery.slots import TOTAL, Slots
from bailiwick.delivery.webhooks import TRIES_MAX, Endpoint, Endpoints, backoff_ms, signatures
from bailiwick.runtime.database_errors import DATABASE_ERRORS
from bailiwick.runtime.loops import end, forever
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
TIMEOUT_S = 15.0
ANSWER_BYTES_MAX = 65_536
GONE = 410

_Note = tuple[str, str, int, int, int | None]
log = structlog.get_logger()


class Notes:
    """How deliveries ended, written many at a time over one connection: a flood of them does not
    take the connections that payments read with."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._notes: list[tuple[_Note, asyncio.Future[None]]] = []
        self._written: asyncio.Task[None] | None = None

    async def write(self, note: _Note) -> None:
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
                    columns = zip(*(note for note, _ in batch), strict=True)
                    await self._store.rows("delivery_done", *(list(each) for each in columns))
                except DATABASE_ERRORS:
                    log.warning("webhook_notes_lost", count=len(batch))
                finally:
                    for _, future in batch:
                        if not future.done():
                            future.set_result(None)
        finally:
            self._written = None


class Deliverer:
    """Delivers what is owed; a slow endpoint delays only itself.

    ``shown``: an event as an object, from the columns of ``deliveries_due``; ``every_s``: how often
    all endpoints are looked at, in seconds.
    """

    def __init__(
        self,
        store: Store,
        endpoints: Endpoints,
        shown: Callable[[asyncpg.Record], Object],
        *,
        private: bool,
        every_s: float,
    ) -> None:
        self._store = store
        self._shown = shown
        self._endpoints = endpoints
        self._private = private
        self._every_s = every_s
        self._session: aiohttp.ClientSession | None = None
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
        # No limits here: slots are the limit, and one by host would be shared by merchants. Answers
        # are not unpacked: a small one could become large.
        connector = aiohttp.TCPConnector(
            limit=0,
            limit_per_host=0,
            use_dns_cache=False,
            resolver=GuardedResolver(self._private),
        )
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        try:
            async with aiohttp.ClientSession(
                connector=connector,
                timeout=timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
            ) as self._session:
                await forever("webhooks", self._step)
        finally:
            await end(*self._running)

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
        dropped = [self._note(row, 0, None) for row in claimed if row["endpoint"] in self._gone]
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
        status = 0
        endpoint = self._enabled(row["endpoint"])
        try:
            if endpoint is not None:
                status = await self._try(row, endpoint)
            await self._settle(row, status, "" if endpoint is None else endpoint.url)
        finally:
            now_s = time.monotonic()
            good = 200 <= status < 300
            if self.slots.ended(row["endpoint"], good=good, began_s=began_s, now_s=now_s):
                log.warning("webhook_paused", webhook=row["endpoint"], status=status)
            if self.slots.wants_more(row["endpoint"], now_s):
                self._wake.set()

    async def _try(self, row: asyncpg.Record, endpoint: Endpoint) -> int:
        """HTTP status of one try; 0 for no answer."""
        ON_BEHALF.set(endpoint.merchant)
        try:
            return await self._post(endpoint, row["event"], bytes(encode(self._shown(row))))
        except Exception as error:
            # A defect of ours: tried as often as any other, and no longer.
            log.error("webhook_defect", webhook=endpoint.id, event_id=row["event"], error=error)
            return 0

    async def _settle(self, row: asyncpg.Record, status: int, url: str) -> None:
        if 200 <= status < 300:
            self.delivered += 1
            await self._note(row, status, None)
            return
        self.failed += 1
        if status == GONE or row["tries"] >= TRIES_MAX:
            log.warning("webhook_given_up", webhook=row["endpoint"], status=status)
            await self._note(row, status, None)
            if status == GONE:
                await self._disable(row["endpoint"], url)
            return
        await self._note(row, status, backoff_ms(row["tries"], self._random.random()))

    async def _disable(self, identifier: str, url: str) -> None:
        try:
            await self._store.rows("endpoint_disable", identifier, url)
            await self._endpoints.load(self._store)
        except DATABASE_ERRORS:
            log.warning("webhook_not_disabled", webhook=identifier)  # its next 410 does

    async def _post(self, endpoint: Endpoint, event_id: str, body: bytes) -> int:
        assert self._session is not None
        if allowed_url(endpoint.url, private=self._private) is not None:
            return 0
        headers = signatures(endpoint.secret, event_id, body, now_ms() // 1000)
        headers["Content-Type"] = "application/json"
        headers["User-Agent"] = "bailiwick-webhooks"
        try:
            async with self._session.post(
                endpoint.url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                await answer.content.read(ANSWER_BYTES_MAX)
                return answer.status
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return 0

    async def _note(self, row: asyncpg.Record, status: int, again_ms: int | None) -> None:
        note = (row["event"], row["endpoint"], row["tries"], status, again_ms)
        await self._notes.write(note)
