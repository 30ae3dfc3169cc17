"""Clocks that advance: what is due by the new time is done, then the clock is ready.

Time passes for what is on the clock, as it would by waiting: holds of its customers' payments that
would have run out are let go of, and webhooks about them that were to be tried again later are
tried by so much sooner. What dies halfway is done again: letting go of a hold twice has no second
effect, and the rest is one commit with the clock's new time.
"""

import structlog

from bailiwick.base.clock import now_ms
from bailiwick.orders.machine import Machine
from bailiwick.records.record import Record, changed, record_of
from bailiwick.records.records import Records, Writing
from bailiwick.resources.payments.holds.expiry import Holds
from bailiwick.resources.test_clocks import OBJECT, render
from bailiwick.runtime.database_errors import DATABASE_ERRORS

EVERY_S = 0.5
AT_ONCE = 8
log = structlog.get_logger()


class Advancing:
    """Carries out advances."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._holds = Holds(machine)
        self._records = Records(machine.node, machine.store, machine.endpoints, machine.keys)

    async def step(self) -> float:
        """Look once; seconds until the next look."""
        rows = await self._machine.store.rows("clocks_advancing", AT_ONCE)
        for row in rows:
            try:
                await self._advance(record_of(row))
            except DATABASE_ERRORS as error:
                log.warning("clock_not_advanced", clock=row["id"], error=type(error).__name__)
        return EVERY_S

    async def _advance(self, clock: Record) -> None:
        target = clock.details["target"]
        ahead_ms = (target - clock.details["frozen_time"]) * 1000
        held = await self._machine.store.rows("clock_holds", clock.id, clock.merchant)
        for payment in held:
            passed = ahead_ms + _passed_ms(clock, payment["created_ms"])
            await self._holds.let_go(payment["id"], passed)
        now = now_ms()

        async def work(writing: Writing) -> None:
            row = await writing.lock(clock.id)
            if row is None or row.erased or row.version != clock.version:
                return
            await writing.rows("clock_deliveries", clock.id, clock.merchant, ahead_ms)
            moves = [*row.details["moves"], [now, ahead_ms]]
            details = {**row.details, "frozen_time": target, "moves": moves}
            del details["target"]
            after = changed(row, now, details=details, found_by=None)
            await writing.write(after, f"{OBJECT}.ready", render.clock(after))

        await self._records.by_itself(work)


def _passed_ms(clock: Record, since_ms: int) -> int:
    """By how much the clock has advanced since a moment."""
    return sum(ahead for at, ahead in clock.details["moves"] if at > since_ms)
