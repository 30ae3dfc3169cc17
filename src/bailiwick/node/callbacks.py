"""What providers tell us by themselves: checked, bound to one attempt, taken once.

A callback is remembered for ever under the provider's own id of it, so that a replay has no
second effect; what it says then goes the same guarded way as a synchronous answer.
"""

from collections.abc import Mapping

import msgspec
import structlog

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.channels.base import (
    CallbackRefused,
    Instruction,
    Notice,
    Operation,
    Outcome,
    Result,
    agreed,
)
from bailiwick.node.decide import NO_CHARGE, OPEN
from bailiwick.node.gateways import Gateway, Gateways
from bailiwick.node.query import state_of
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
        result = notice.result
        if result is not None:
            instruction = _instruction.decode(attempt.instruction)
            result = agreed(instruction, result, gateway.profile)
        if result is None or notice.dated or not gateway.profile.signed_callbacks:
            await self._question(gateway, notice, attempt, result)
            return False
        await self._settle(attempt, result)
        return result.outcome is not Outcome.UNKNOWN or attempt.state not in OPEN

    async def _settle(self, attempt: Attempt, result: Result) -> None:
        settled = await self._settlement.settle(attempt, result)
        crash_point("callback.settled")
        if settled.next is not None:
            await self._settlement.drive(settled.next)

    async def _question(
        self, gateway: Gateway, notice: Notice, attempt: Attempt, hint: Result | None
    ) -> None:
        """What a callback says is no proof by itself: what the provider answers is.

        Raises:
            ApiError: 503, it could not be asked, or does not say so (yet); it will tell again.
        """
        ref = attempt.provider_ref or notice.provider_ref
        if attempt.state in OPEN and ref == attempt.provider_ref:
            await self._store.rows("attempt_postpone", attempt.id, 0.0)  # the resolver asks
            attempt = await self._store.attempt(attempt.id) or attempt
            if attempt.state in OPEN:
                return
        if attempt.state not in OPEN and not await self._may_be_news(attempt, hint):
            return
        told = await state_of(msgspec.structs.replace(attempt, provider_ref=ref), gateway)
        if told is not None:
            await self._settle(attempt, told)
        if told is None or (hint is not None and told.outcome is not hint.outcome):
            raise ApiError.unavailable("This could not be confirmed yet. Send it again later.")

    async def _may_be_news(self, attempt: Attempt, hint: Result | None) -> bool:
        """Whether an attempt that has ended may have ended otherwise. What only repeats what is
        known is not asked about, so that nobody makes us ask by sending old callbacks again."""
        if hint is not None:
            return await self._settlement.would_tell(attempt, hint)
        # Only a success after a no, and a refund that came back, are ever told so late.
        return attempt.state in NO_CHARGE or attempt.operation == Operation.REFUND
