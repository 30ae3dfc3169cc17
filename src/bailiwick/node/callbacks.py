"""What providers tell us by themselves: checked, bound to one attempt, taken once.

A callback is remembered for ever under the provider's own id of it, so that a replay has no
second effect; what it says then goes the same guarded way as a synchronous answer.
"""

from collections.abc import Mapping

import msgspec
import structlog

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.channels.base import CallbackRefused, Instruction, Notice, Outcome, agreed
from bailiwick.node.decide import OPEN
from bailiwick.node.gateways import Gateway, Gateways
from bailiwick.node.settle import Settlement
from bailiwick.shell.crash import crash_point
from bailiwick.store.database import Store
from bailiwick.store.rows import Attempt

log = structlog.get_logger()
_instruction = msgspec.json.Decoder(Instruction)


class Callbacks:
    """Takes callbacks of all gateways."""

    def __init__(self, store: Store, gateways: Gateways, settlement: Settlement) -> None:
        self._store = store
        self._gateways = gateways
        self._settlement = settlement

    async def take(self, gateway_name: str, headers: Mapping[str, str], body: bytes) -> str:
        """Take one callback; returns what was done with it, in a word.

        Raises:
            ApiError: 404 unknown gateway or attempt, 400 not genuine, 503 try again.
        """
        gateway = self._gateways.get(gateway_name)
        if gateway is None:
            raise ApiError.missing("gateway", gateway_name)
        try:
            notice = gateway.channel.callback(headers, body, gateway.account, now_ms())
        except CallbackRefused as refused:
            log.warning("callback_refused", gateway=gateway_name, reason=str(refused)[:80])
            raise ApiError.invalid(
                "The callback's signature does not hold.", code="callback_refused"
            ) from None
        if notice is None:
            return "ignored"
        attempt = await self._attempt(gateway, notice)
        if await self._store.row("callback_find", gateway_name, notice.notice_id):
            return "seen before"
        if not await self._apply(gateway, notice, attempt):
            return "asked"
        # Remembered only once it is carried out: a process that dies in between is told again,
        # and what is applied twice has no second effect, because settling is guarded.
        await self._store.rows("callback_claim", gateway_name, notice.notice_id, attempt.id)
        crash_point("callback.claimed")
        return "taken"

    async def _attempt(self, gateway: Gateway, notice: Notice) -> Attempt:
        """The attempt that a callback is about: ours, on this gateway, of this operation."""
        reference = notice.reference or ""
        attempt = await self._store.attempt(reference)
        if attempt is None:
            raise ApiError.missing("attempt", reference, param="reference")
        bound = attempt.gateway == gateway.name and attempt.operation == notice.operation
        if not bound:
            log.warning("callback_misdirected", gateway=gateway.name, attempt=attempt.id)
            raise ApiError.missing("attempt", reference, param="reference")
        return attempt

    async def _apply(self, gateway: Gateway, notice: Notice, attempt: Attempt) -> bool:
        """Carry out what a callback says; False where it says nothing certain."""
        if notice.result is None or not gateway.profile.signed_callbacks:
            # Not proof by itself: have the resolver ask the provider now.
            await self._store.rows("attempt_postpone", attempt.id, 0.0)
            return False
        instruction = _instruction.decode(attempt.instruction)
        result = agreed(instruction, notice.result, gateway.profile)
        settled = await self._settlement.settle(attempt, result)
        crash_point("callback.settled")
        if settled.next is not None:
            await self._settlement.drive(settled.next)
        return result.outcome is not Outcome.UNKNOWN or attempt.state not in OPEN
