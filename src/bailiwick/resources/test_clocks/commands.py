"""What may be done with test clocks: made, advanced, deleted with what is on them."""

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import new_id
from bailiwick.base.objects import Object
from bailiwick.base.tenancy import own
from bailiwick.idempotency.requests import Answer, IdempotentRequest
from bailiwick.jurisdiction.assign import Assignment
from bailiwick.jurisdiction.locate import Location
from bailiwick.records.record import Record, changed, made
from bailiwick.records.records import Records, Writing
from bailiwick.resources.customers.clocks import ADVANCING
from bailiwick.resources.customers.commands import erase, erase_customer
from bailiwick.resources.test_clocks import OBJECT, render
from bailiwick.resources.test_clocks.params import AdvanceClock, CreateClock
from bailiwick.serving.context import NodeContext
from bailiwick.serving.placed_records import found_at, records_of

STEP_MOST_S = 2 * 366 * 86_400
"""How far one advance may go."""
MOVES_MOST = 200
"""Advances of one clock."""


class Clocks:
    """What a client can ask about test clocks."""

    def __init__(self, node: NodeContext) -> None:
        self._node = node

    @property
    def _records(self) -> Records:
        return records_of(self._node)

    async def create(
        self,
        asked: IdempotentRequest,
        wish: CreateClock,
        location: Location,
        assignment: Assignment,
    ) -> Answer:
        """A new clock. Raises ApiError."""
        now = now_ms()
        details, stays_with = found_at(location, assignment)
        details |= {"frozen_time": wish.frozen_time, "moves": []}
        if wish.name is not None:
            details["name"] = wish.name
        identifier = new_id("clock", self._node.number, now)
        row = made(identifier, asked.merchant.id, asked.livemode, now, details, stays_with)

        async def work(writing: Writing) -> Object:
            shown = render.clock(row)
            await writing.write(row, f"{OBJECT}.created", shown, shown)
            return shown

        return await self._records.once(asked, row.id, now, work)

    async def advance(
        self, asked: IdempotentRequest, identifier: str, wish: AdvanceClock
    ) -> Answer:
        """Begin to advance: what is due by then is done by ``Advancing``. Raises ApiError."""
        now = now_ms()

        async def work(writing: Writing) -> Object:
            row = in_use(await writing.lock(identifier), asked, identifier)
            _check_advance(row, wish.frozen_time)
            details = {**row.details, "target": wish.frozen_time}
            after = changed(row, now, details=details, found_by=ADVANCING)
            shown = render.clock(after)
            await writing.write(after, f"{OBJECT}.advancing", shown, shown)
            return shown

        return await self._records.once(asked, identifier, now, work)

    async def delete(self, asked: IdempotentRequest, identifier: str) -> Answer:
        """Delete a clock, its customers, and all that is known of them. Raises ApiError (404)."""
        now = now_ms()

        async def work(writing: Writing) -> Object:
            row = in_use(await writing.lock(identifier), asked, identifier)
            for each in await writing.lock_owned(identifier):
                if not each.erased:
                    await erase_customer(writing, each, now)
            left = render.deleted(row.id)
            return await erase(writing, row, now, f"{OBJECT}.deleted", left)

        return await self._records.once(asked, identifier, now, work)


def in_use(row: Record | None, asked: IdempotentRequest, identifier: str) -> Record:
    """A clock, if it is theirs and not deleted. Raises ApiError (404)."""
    found = own(row, asked, OBJECT, identifier)
    if found.erased or not found.id.startswith("clock_"):
        raise ApiError.missing(OBJECT, identifier)
    return found


def _check_advance(row: Record, wanted: int) -> None:
    now = row.details["frozen_time"]
    if row.details.get("target") is not None:
        raise ApiError.invalid(
            "This test clock is advancing: wait until its status is ready.",
            code="test_clock_advancing",
        )
    if wanted <= now:
        raise ApiError.invalid(
            f"A test clock goes forward alone: its frozen_time is {now} now.", param="frozen_time"
        )
    if wanted - now > STEP_MOST_S:
        raise ApiError.invalid(
            "A test clock advances by two years at most in one step.", param="frozen_time"
        )
    if len(row.details["moves"]) >= MOVES_MOST:
        raise ApiError.invalid(
            f"A test clock advances {MOVES_MOST} times at most: make another one."
        )
