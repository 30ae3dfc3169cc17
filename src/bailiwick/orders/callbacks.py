"""What providers tell us by themselves: checked, bound to one attempt, taken once.

It must be about an attempt of ours at the very account that tells, of the same operation, and about
the object that the provider named before (which is how it is found where our reference is not
told): else nothing of it is booked, the provider is asked, and
a person must look. A callback is remembered for ever under the provider's own id of it, so that a
replay has no second effect; what it says then goes the same guarded way as a synchronous answer.
"""

import asyncio
from collections.abc import Mapping

import msgspec
import structlog

from bailiwick.base.clock import boot_ns, now_ms
from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import (
    REFERENCE,
    CallbackEvent,
    CallbackRefused,
    DisputeNotice,
    Exchange,
    Notice,
    NotPrepared,
    Operation,
    Outcome,
    Phase,
    Reply,
    Request,
    Result,
    agreed,
    read,
)
from bailiwick.orders import attempt_store, steps
from bailiwick.orders.attempts import NO_CHARGE, OPEN, Attempt
from bailiwick.orders.machine import Machine
from bailiwick.orders.query import state_of
from bailiwick.orders.transition import SUSPICIOUS
from bailiwick.routing.gateways import Gateway
from bailiwick.runtime.crash import crash_point
from bailiwick.runtime.database_errors import DATABASE_ERRORS

log = structlog.get_logger()
ASKED_MAX = 32
"""About how many attempts one callback has the provider asked, open ones first."""
LATE_TRIES = 8
"""How often it is tried to write what a late answer says, within half a minute."""


class Callbacks:
    """Takes callbacks of all gateways."""

    def __init__(self, machine: Machine) -> None:
        self._store = machine.store
        self._machine = machine
        self._gateways = machine.gateways
        self._executor = machine.executor
        self._kinds = machine.kinds

    async def take(
        self, gateway_name: str, headers: Mapping[str, str], body: bytes, query: str = ""
    ) -> str:
        """Take one callback; returns what was done with it, in a word.

        ``query``: what stood behind the ``?`` of its address.

        Raises:
            ApiError: 404 unknown gateway or attempt, 400 not genuine, 503 try again.
        """
        gateway = self._gateways.get(gateway_name)
        if gateway is None:
            raise ApiError.missing("gateway", gateway_name)
        try:
            said = Notice("POST", called(gateway.callback_url, query), headers, body)
            notice = gateway.channel.callback(said, gateway.account, now_ms())
        except NotPrepared as lacks:
            gateway.preparations.refused(boot_ns(), lacks.name)
            raise ApiError.unavailable(
                "What is needed to check this is being renewed. Send it again later."
            ) from None
        except CallbackRefused as refused:
            log.warning("callback_refused", gateway=gateway_name, reason=str(refused)[:80])
            raise ApiError.invalid(
                "The callback's signature does not hold.", code="callback_refused"
            ) from None
        if notice is None:
            return "ignored"
        found = await self._attempts(gateway, notice)
        if not found:
            return await self._done_elsewhere(gateway, notice)
        if len(found) > 1 or notice.operation is None:
            await self._ask_all(gateway, found)
            return "asked"
        (attempt,) = found
        if await self._store.row("callback_find", gateway_name, notice.notice_id):
            return "seen before"
        if self._misdirected(gateway, notice, attempt):
            log.warning("callback_misdirected", gateway=gateway.name, attempt=attempt.id)
            await self._object(gateway, notice, attempt)
            raise ApiError.missing("attempt", attempt.id, param="reference")
        if self._contradicts(notice, attempt):
            log.warning("callback_contradicts", gateway=gateway.name, attempt=attempt.id)
            await self._object(gateway, notice, attempt)
            await self._ask_about(gateway, attempt)
            return "contradicts"
        if notice.dispute is not None:
            await self._dispute(gateway, notice, attempt, notice.dispute)
        elif not await self._apply(gateway, notice, attempt):
            return "asked"
        # Remembered only once it is carried out: a process that dies in between is told again,
        # and what is applied twice has no second effect, because settling is guarded.
        await self._store.rows("callback_claim", gateway_name, notice.notice_id, attempt.id)
        crash_point("callback.claimed")
        return "taken"

    async def _attempts(self, gateway: Gateway, notice: CallbackEvent) -> list[Attempt]:
        """The attempt of ours that a callback names; several where it may be about any of them."""
        reference = notice.reference or ""
        if notice.reference is None and gateway.profile.callbacks_by_id:
            found = await self._by_id(gateway, notice)
        else:
            attempt = await attempt_store.find(self._store, reference)
            found = [] if attempt is None else [attempt]
        return found

    async def _done_elsewhere(self, gateway: Gateway, notice: CallbackEvent) -> str:
        """What is told of a charge of ours and was no attempt of ours, such as a refund made in the
        provider's dashboard: nothing of it is booked, and a person must look.

        Raises:
            ApiError: 404, no charge of ours is named by who can prove to be the provider.
        """
        if await self._store.row("callback_find", gateway.name, notice.notice_id):
            return "seen before"
        named = []
        if notice.reference is None and gateway.profile.callbacks is not None and notice.charge:
            named = await attempt_store.named(self._store, self._same(gateway), notice.charge)
        charge = next((each for each in named if each.operation == Operation.CHARGE), None)
        result = notice.result
        if charge is None or result is None or notice.operation in (None, Operation.CHARGE):
            raise ApiError.missing("attempt", notice.reference or "", param="reference")
        undone = notice.operation == Operation.CAPTURE and result.outcome is Outcome.DECLINED
        own = notice.operation == Operation.CAPTURE and steps.current(charge).automatic
        if undone and own:
            reason = "contradiction"  # the capture was part of the charge
        elif own or result.outcome is not Outcome.APPROVED:
            return "ignored"
        else:
            reason = "done_elsewhere"
        detail = f"{gateway.name}: {notice.operation} {notice.provider_ref or 'without an id'}"
        await self._store.rows("review_open", charge.subject, charge.id, reason, detail)
        await self._store.rows("callback_claim", gateway.name, notice.notice_id, charge.id)
        return "reviewed"

    async def _by_id(self, gateway: Gateway, notice: CallbackEvent) -> list[Attempt]:
        """What a callback names by the provider's ids: the attempts with this object, else those of
        its operation on the charge; where it names no operation, all that is open beside it too."""
        same = self._same(gateway)
        ref, charge, wanted = notice.provider_ref, notice.charge, notice.operation
        named = [] if ref is None else await attempt_store.named(self._store, same, ref)
        own = [each for each in named if wanted in (None, each.operation)]
        if own and wanted is not None:
            return own
        if charge is not None:
            named = await attempt_store.named(self._store, same, charge)
        beside = [
            each
            for subject in {each.subject: None for each in named}
            for each in await attempt_store.of(self._store, subject)
            if each.gateway in same and each.id not in {known.id for known in own}
        ]
        if wanted is None:
            return own + [each for each in beside if each.state in OPEN]
        return [
            each
            for each in beside
            if each.operation == wanted and ref in (None, each.provider_ref or ref)
        ]

    def _same(self, gateway: Gateway) -> list[str]:
        """The gateways of one account: each hears of what the others do."""
        return [each.name for each in self._gateways.all() if each.vault == gateway.vault]

    async def _ask_all(self, gateway: Gateway, found: list[Attempt]) -> None:
        """Have the provider asked about each of them: the callback does not say which it means."""
        for each in sorted(found, key=lambda it: it.state not in OPEN)[:ASKED_MAX]:
            await self._question(gateway, each, None, None)

    def _misdirected(self, gateway: Gateway, notice: CallbackEvent, attempt: Attempt) -> bool:
        """Whether it is not about this account's operation. Gateways of one account each hear of
        what the other has done: their callbacks speak for both."""
        same = attempt.gateway == gateway.name or (
            self._gateways.vault_of(attempt.gateway) == gateway.vault
        )
        return not same or attempt.operation != notice.operation

    def _contradicts(self, notice: CallbackEvent, attempt: Attempt) -> bool:
        """Whether it is about another object than the provider has named so far."""
        told, known = notice.provider_ref, attempt.provider_ref
        if known is None or told in (None, known):
            return False
        # What a step makes may have an id of its own.
        return not (steps.is_new(attempt) or steps.known_before(attempt, told))

    async def _object(self, gateway: Gateway, notice: CallbackEvent, attempt: Attempt) -> None:
        """Nothing of it is booked: the resolver asks, and a person must look, once for each
        callback; not for one that anybody could have sent."""
        if gateway.profile.callbacks is None:
            return
        detail = f"{gateway.name}: {notice.operation} {notice.provider_ref or 'without an id'}"
        await self._store.rows(
            "review_open", attempt.subject, attempt.id, "reference_mismatch", detail
        )
        await self._store.rows("attempt_postpone", attempt.id, 0.0)
        await self._store.rows("callback_claim", gateway.name, notice.notice_id, attempt.id)

    async def _ask_about(self, gateway: Gateway, attempt: Attempt) -> None:
        """Ask by what was known of an attempt before; the resolver asks only about open ones."""
        if attempt.state not in OPEN and await self._may_be_news(attempt, None):
            told = await state_of(attempt, gateway)
            if told is not None:
                await self._settle(attempt, told)

    async def _apply(self, gateway: Gateway, notice: CallbackEvent, attempt: Attempt) -> bool:
        """Carry out what a callback says; False where it says nothing certain."""
        result = notice.result
        if result is not None:
            instruction = steps.current(attempt)
            result = agreed(instruction, result, gateway.profile)
            if instruction.steps and result.outcome is Outcome.PENDING and not steps.asks(result):
                result = None  # it may speak of an earlier step, and be late
        if result is None or notice.dated or gateway.profile.callbacks is None:
            await self._question(gateway, attempt, notice.provider_ref, result)
            return False
        await self._believed(attempt, result, notice.provider_ref)
        return result.outcome is not Outcome.UNKNOWN or attempt.state not in OPEN

    async def late(self, gateway: Gateway, request: Request, reply: Reply) -> None:
        """Take a provider's answer that nobody waited for any more. It is as good as in time, but
        for a charge that is being reversed; one that cannot be written now is tried again."""
        reference = request.headers.get(REFERENCE, "")
        for try_ in range(LATE_TRIES):
            try:
                attempt = await attempt_store.find(self._store, reference)
                if attempt is not None and attempt.gateway == gateway.name:
                    instruction = steps.current(attempt)
                    answered = Exchange(Phase.ANSWERED, reply)
                    result = read(gateway.channel, instruction, answered, gateway.account)
                    await self._believed(attempt, result, result.provider_ref)
                return
            except (*DATABASE_ERRORS, ApiError) as error:
                log.warning("late_answer_waits", attempt=reference, error=type(error).__name__)
                await asyncio.sleep(0.1 * 2**try_)

    async def _believed(self, attempt: Attempt, result: Result, about: str | None) -> None:
        """Book what the provider has told beyond doubt."""
        if result.detail in SUSPICIOUS and attempt.state in NO_CHARGE:
            # A success after a no, but not the one that was asked for: nothing can book it.
            await self._store.rows("review_open", attempt.subject, attempt.id, result.detail, about)
        await self._settle(attempt, result)

    async def _dispute(
        self, gateway: Gateway, notice: CallbackEvent, attempt: Attempt, told: DisputeNotice
    ) -> None:
        """Book what a dispute of a charge does. Raises ApiError (503): it must be told again."""
        book = self._kinds.disputing(attempt)
        if notice.dated or gateway.profile.callbacks is None or book is None:
            raise ApiError.unavailable("This is not proven to be news. Send it again, signed now.")
        await book(self._machine, attempt, told)

    async def _settle(self, attempt: Attempt, result: Result) -> None:
        settled = await self._executor.record_outcome(attempt, result)
        crash_point("callback.settled")
        if settled.next is not None:
            await self._executor.drive(settled.next)

    async def _question(
        self, gateway: Gateway, attempt: Attempt, told_of: str | None, hint: Result | None
    ) -> None:
        """What a callback says is no proof by itself: what the provider answers is.

        Raises:
            ApiError: 503, it could not be asked, or does not say so (yet); it will tell again.
        """
        ref = attempt.provider_ref or told_of
        if attempt.state in OPEN and ref == attempt.provider_ref:
            await self._store.rows("attempt_postpone", attempt.id, 0.0)  # the resolver asks
            attempt = await attempt_store.find(self._store, attempt.id) or attempt
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
            return await self._executor.would_tell(attempt, hint)
        # Only a success after a no, and a refund that came back, are ever told so late.
        return attempt.state in NO_CHARGE or self._kinds.handler(attempt).may_return


def called(told: str, query: str) -> str:
    """The address that a provider was told to call, as it has called it."""
    return f"{told}?{query}" if query else told
