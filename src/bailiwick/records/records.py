"""Records written: key, row, event, webhooks owed and stored answer in one transaction.

No provider is asked, so there is no permit and nothing to resolve: the commit is the whole effect.
A request whose commit was lost comes again under its key, and finds it claimed or does it.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from bailiwick.base.errors import ApiError
from bailiwick.base.ids import new_id, new_token
from bailiwick.base.objects import API_VERSION, Object, encode, text
from bailiwick.delivery.webhooks import Endpoints
from bailiwick.idempotency.requests import Answer, Idempotency, IdempotentRequest, packed
from bailiwick.records.record import Record, record_of
from bailiwick.store.database import Page, Part, Store, following
from bailiwick.store.lanes import WriteInDoubt
from bailiwick.store.statements import statement

TRIES_MAX = 5
_COLLIDED = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)


class Writing:
    """One transaction for one request; see ``Records.once``."""

    def __init__(
        self,
        connection: asyncpg.Connection,
        node: int,
        endpoints: Endpoints,
        asked: IdempotentRequest | None,
    ) -> None:
        self._connection = connection
        self._node = node
        self._endpoints = endpoints
        self._asked = asked

    async def rows(self, name: str, *args: object) -> list[Any]:
        """Run a named statement."""
        found: list[Any] = await self._connection.fetch(statement(name), *args)
        return found

    async def lock(self, identifier: str) -> Record | None:
        """A record by id, which nobody else changes until the end. Owners are locked before what
        belongs to them."""
        found = await self.rows("record_lock", identifier)
        return record_of(found[0]) if found else None

    async def lock_owned(self, owner: str) -> list[Record]:
        """All that belongs to a record, the same."""
        return [record_of(row) for row in await self.rows("record_lock_owned", owner)]

    async def count(self, owner: str) -> int:
        """How many records in use belong to one."""
        return int((await self.rows("record_count", owner))[0][0])

    async def write(
        self, row: Record, event: str, shown: Object, answer: Object | None = None
    ) -> None:
        """Write a record's next version. ``answer``: what the request is told, where this is the
        version that answers it; see ``answering``."""
        asked = self._asked
        body, told = text(shown), None if answer is None else text(answer)
        answers = told is not None and asked is not None
        written = await self.rows(
            "record_write",
            row.id,
            row.merchant,
            row.livemode,
            row.version,
            row.active,
            row.belongs_to,
            row.found_by,
            row.stays_with,
            row.created_ms,
            row.updated_ms,
            text(row.details),
            new_id("evt", self._node, row.updated_ms),
            event,
            body,
            asked.key if answers and asked is not None else None,
            200 if answers else None,
            API_VERSION if answers else None,
            None if told == body else told,
            new_token(),
            self._endpoints.wanting(row.merchant, row.livemode, event) or [],
        )
        assert written, "the row is locked, or new"

    async def forget(self, identifier: str, left: Object) -> None:
        """Erase what was told of a record so far; ``left`` stands in its place."""
        await self.rows("record_forget", identifier, text(left))


Work = Callable[[Writing], Awaitable[Object]]
"""What a request does within its transaction, to the object that it is answered with: the one that
was given to ``Writing.write`` as its answer. Raises ApiError where nothing may be done."""


class Records:
    """A node's records."""

    def __init__(self, node: int, store: Store, endpoints: Endpoints, keys: Idempotency) -> None:
        self._node = node
        self._store = store
        self._endpoints = endpoints
        self._keys = keys

    async def once(
        self, asked: IdempotentRequest, identifier: str, now_ms: int, work: Work
    ) -> Answer:
        """Do what a request asks once for its key, with all that it writes.

        Args:
            identifier: of the record that the request makes or changes.

        Raises:
            ApiError: what ``work`` raises; 409, others change the same records; 503, nothing is
                written here, or whether it was is not known: the same key finds out.
            Refused: the key was refused here.
        """
        replayed = await self._keys.replay(asked)
        if replayed is not None:
            return replayed
        for _ in range(TRIES_MAX):
            try:
                done = await self._attempt(asked, identifier, now_ms, work)
            except _COLLIDED:
                continue
            except WriteInDoubt:
                raise ApiError.unavailable(
                    "Whether this was written is not known. Retry with the same Idempotency-Key."
                ) from None
            if done is not None:
                return done
            replayed = await self._keys.replay(asked)
            if replayed is not None:
                return replayed
        raise ApiError.conflict(
            "This is being changed by other requests. Retry with the same Idempotency-Key."
        )

    async def by_itself(self, work: Callable[[Writing], Awaitable[None]]) -> None:
        """Do what no request has asked for; nobody is answered.

        Raises:
            ApiError: 503, the node is fenced. Also what the database raises: nothing was done, or
                that is not known.
        """
        async with self._store.transaction() as connection:
            writing = Writing(connection, self._node, self._endpoints, None)
            if not await writing.rows("record_fence", self._store.epoch()):
                raise _fenced()
            await work(writing)

    async def _attempt(
        self, asked: IdempotentRequest, identifier: str, now_ms: int, work: Work
    ) -> Answer | None:
        """The answer once it is committed; None: the key is taken."""
        async with self._store.transaction() as connection:
            writing = Writing(connection, self._node, self._endpoints, asked)
            if not await writing.rows("record_fence", self._store.epoch()):
                raise _fenced()
            claimed = await writing.rows(
                "record_claim",
                asked.identity,
                asked.merchant.id,
                asked.livemode,
                asked.key,
                asked.request_hash,
                asked.operation,
                identifier,
                packed(asked.expand),
                new_token(),
                now_ms,
            )
            if not claimed:
                return None
            return Answer(200, encode(await work(writing)))


def _fenced() -> ApiError:
    return ApiError.unavailable(
        "This node is fenced and writes nothing. Retry with the same Idempotency-Key.",
        code="node_fenced",
    )


async def find(store: Store, identifier: str) -> Record | None:
    """A record by id, whoever owns it: the caller checks the merchant."""
    row = await store.sure_row("record_find", [identifier])
    return None if row is None else record_of(row)


async def find_all(store: Store, identifiers: set[str]) -> dict[str, Record]:
    """Records by their ids."""
    if not identifiers:
        return {}
    found = [record_of(row) for row in await store.rows("record_find", sorted(identifiers))]
    return {row.id: row for row in found}


async def page(
    store: Store,
    prefix: str,
    merchant: str,
    livemode: bool,
    part: Page,
    *,
    belongs_to: str | None = None,
    found_by: str | None = None,
) -> Part[Record]:
    """A page of a merchant's records of one kind, by the prefix of its ids."""
    order = "oldest" if part.oldest_first else "newest"
    found = await store.list_rows(
        f"record_list_{order}",
        merchant,
        livemode,
        min(part.below, f"{prefix}_~"),
        max(part.above, f"{prefix}_"),
        part.limit,
        belongs_to,
        found_by,
        part.since_ms,
        part.until_ms,
        part.bytes_most,
    )
    return [record_of(row[:-1]) for row in found], following(found)
