"""What may be done with a payment, verb by verb.

Each verb is the same three lines of thought: read and decide (pure), write what is decided
together with the key (its commit is the permit to send), call and write how it ended
(``AttemptExecutor``). A verb that moves no money ends with its one write.
"""

from typing import Any

import msgspec
from msgspec import UnsetType

from bailiwick.base.clock import now_ms
from bailiwick.channels.contract import Instruction, Operation
from bailiwick.idempotency.requests import Answer, IdempotentRequest
from bailiwick.orders import attempt_store
from bailiwick.orders.attempts import Attempt
from bailiwick.orders.machine import Machine
from bailiwick.orders.transition import Transition
from bailiwick.records.record import Record
from bailiwick.resources.payments import editing, outcomes
from bailiwick.resources.payments.charging import charge_instruction, routed, wanted
from bailiwick.resources.payments.holds import captures, increments
from bailiwick.resources.payments.kind import KIND
from bailiwick.resources.payments.methods import giving_up
from bailiwick.resources.payments.methods.params import is_saved
from bailiwick.resources.payments.outcomes import Step, moved
from bailiwick.resources.payments.params import (
    CancelPayment,
    CapturePayment,
    ConfirmPayment,
    IncrementPayment,
    UpdatePayment,
    method_of,
    vault_of,
)
from bailiwick.resources.payments.rows import Payment
from bailiwick.resources.payments.saved.payer import (
    NOBODY,
    Payer,
    Saved,
    check_owner,
    resolved,
)
from bailiwick.resources.payments.saved.saving import planned
from bailiwick.resources.payments.screened import PaymentScreening
from bailiwick.resources.payments.states import Change, State
from bailiwick.routing.declared import check_part
from bailiwick.routing.match import Routing
from bailiwick.screening.screener import Screener

_replace = msgspec.structs.replace


class Payments:
    """What a client can ask of a payment that exists; ``secret``: see ``PaymentCreation``."""

    def __init__(
        self, machine: Machine, secret: bytes = b"", screener: Screener | None = None
    ) -> None:
        self._secret = secret
        self._screening = PaymentScreening(screener, secret)
        self._machine = machine
        self._gateways = machine.gateways

    async def confirm(
        self,
        asked: IdempotentRequest,
        identifier: str,
        request: ConfirmPayment,
        elsewhere: dict[str, Any] | None = None,
        *,
        attempts_max: int | None = None,
    ) -> Answer:
        """Charge a payment that was created without confirmation, or declined before.

        ``elsewhere``: the payer confirms from another jurisdiction; recorded. ``attempts_max``:
        attempts so far after which this client may make no more.
        """

        async def decide(payment: Payment) -> Step:
            if payment.state in (State.PROCESSING, State.REQUIRES_ACTION):
                outcomes.moved(payment, Change.CONFIRM, now_ms())  # raises with the remedy
            editing.check_key(payment, public=attempts_max is not None)
            if attempts_max is not None and payment.attempts >= attempts_max:
                raise editing.too_many_attempts(payment.attempts)
            vault = vault_of(request)
            if vault is not None and not self._gateways.has_vault(vault, asked.livemode):
                raise editing.unknown_vault(vault)
            payer = await self._payer(asked, payment, request)
            dressed = editing.dressed(payment, request, method_of(request), payer.saved)
            if not dressed.progress.has_method:
                raise editing.method_missing("the confirmation")
            wish = wanted(dressed, asked.merchant.strategy, token=payer.token)
            routing = self._gateways.match(wish)
            if routing.gateway is None:
                raise editing.no_gateway(routing)
            check_owner(self._machine, payer.saved, routing)
            dressed = self._saving(dressed, payer.customer, routing)
            screening = self._screening.of(asked, dressed, payer.saved, routing, request.location)
            if screening is not None:
                dressed = await screening.done(dressed)
            instruction = charge_instruction(
                dressed,
                routing,
                payer.token,
                off_session=bool(request.off_session),
                agreement=payer.agreement,
            )
            new = self._machine.rows.attempt_new(dressed, instruction, routing.gateway, asked.key)
            after = moved(
                payment,
                Change.CONFIRM,
                now_ms(),
                attempts=new.number,
                open_attempt=new.id,
                charge_attempt=new.id,
                progress=_replace(
                    routed(dressed, routing, self._gateways), confirmed_elsewhere=elsewhere
                ),
            )
            return Transition(
                before=payment,
                after=after,
                event="payment_intent.processing",
                attempt_new=new,
            )

        return await self._machine.command.change(asked, KIND, identifier, decide)

    async def _payer(
        self, asked: IdempotentRequest, payment: Payment, request: ConfirmPayment
    ) -> Payer:
        """Who pays by a confirmation, as it is now: a payment method may have been detached since
        the payment was made. Raises ApiError (400)."""
        progress = payment.progress
        method = method_of(request) or progress.payment_method
        given = request.setup_future_usage
        future = progress.setup_future_usage if isinstance(given, UnsetType) else given
        save = future is not None and progress.customer is not None
        if not (save or is_saved(method)):
            return NOBODY
        vault = vault_of(request) or progress.vaults.get(method or "")
        customer = progress.customer
        return await resolved(self._machine, asked, customer, method, vault, save=save)

    def _saving(self, payment: Payment, customer: Record | None, routing: Routing) -> Payment:
        """A payment whose payment method is saved once it has succeeded, if it is to be."""
        progress = payment.progress
        plan = None
        if customer is not None:
            token, now = progress.payment_method or "", now_ms()
            plan = planned(payment, customer, token, routing.owner, self._secret, now)
        return _replace(payment, progress=_replace(progress, saving=plan))

    async def capture(
        self, asked: IdempotentRequest, identifier: str, request: CapturePayment
    ) -> Answer:
        """Take held money, all or part of it; the rest is released, or stays held for further
        captures. See https://docs.stripe.com/payments/multicapture."""

        async def decide(payment: Payment) -> Step:
            progress = editing.captured(payment, request)
            amount = captures.amount_of(payment, request)
            if amount == 0:
                after = moved(payment, Change.VOID, now_ms(), progress=progress)
                left = payment.amount_capturable
                return await follow_up(
                    self._machine, asked.key, payment, after, Operation.VOID, left
                )
            after = moved(payment, Change.CAPTURE, now_ms(), progress=progress)
            return await follow_up(
                self._machine,
                asked.key,
                payment,
                after,
                Operation.CAPTURE,
                amount,
                final=request.final_capture,
            )

        return await self._machine.command.change(asked, KIND, identifier, decide)

    async def increment_authorization(
        self, asked: IdempotentRequest, identifier: str, request: IncrementPayment
    ) -> Answer:
        """Have more held, before anything of it is captured."""

        async def decide(payment: Payment) -> Step:
            after = increments.begun(payment, request, now_ms())
            return await follow_up(
                self._machine, asked.key, payment, after, Operation.INCREMENT, request.amount
            )

        return await self._machine.command.change(asked, KIND, identifier, decide)

    async def cancel(
        self, asked: IdempotentRequest, identifier: str, request: CancelPayment
    ) -> Answer:
        """Close a payment: at once where nothing is outstanding, else by a void."""

        async def decide(payment: Payment) -> Step:
            now = now_ms()
            captures.refuse_half_taken(payment)
            progress = _replace(payment.progress, cancellation_reason=request.cancellation_reason)
            if payment.state == State.REQUIRES_ACTION:
                closed = await giving_up.closed(self._machine, payment, progress)
                if closed is not None:
                    return closed
            if payment.state in (State.REQUIRES_CAPTURE, State.REQUIRES_ACTION):
                after = moved(payment, Change.VOID, now, progress=progress)
                amount = payment.amount_capturable or payment.amount
                return await follow_up(
                    self._machine, asked.key, payment, after, Operation.VOID, amount
                )
            progress = _replace(progress, canceled_ms=now, action=None)
            after = moved(payment, Change.CANCEL, now, progress=progress)
            return Transition(
                before=payment, after=after, event="payment_intent.canceled", definite=True
            )

        return await self._machine.command.change(asked, KIND, identifier, decide)

    async def update(
        self, asked: IdempotentRequest, identifier: str, request: UpdatePayment
    ) -> Answer:
        """Change what may still be changed."""

        async def decide(payment: Payment) -> Step:
            vault = vault_of(request)
            if vault is not None and not self._gateways.has_vault(vault, asked.livemode):
                raise editing.unknown_vault(vault)
            saved = await self._changed_payer(asked, payment, request)
            return editing.updated(payment, request, now_ms(), saved)

        return await self._machine.command.change(asked, KIND, identifier, decide)

    async def _changed_payer(
        self, asked: IdempotentRequest, payment: Payment, request: UpdatePayment
    ) -> Saved | None:
        """The saved payment method that an update gives a payment, or leaves it with another
        customer. Raises ApiError (400)."""
        progress = payment.progress
        method, customer = editing.method_given(request), request.customer
        if isinstance(customer, UnsetType):
            customer = progress.customer
        if isinstance(method, UnsetType):
            if customer == progress.customer:
                return None
            method = progress.payment_method
        elif customer == progress.customer and not is_saved(method):
            return None
        vault = vault_of(request) or progress.vaults.get(method or "")
        return (await resolved(self._machine, asked, customer, method, vault)).saved


_instruction = msgspec.json.Decoder(Instruction)


async def _captured_by(machine: Machine, payment: Payment, charged: Attempt) -> str | None:
    """The provider's id of what captured a hold, where its refunds have to name that."""
    profile = machine.gateways.profile_of(charged.gateway)
    if profile is None or not profile.capture_ids:
        return None
    done = await attempt_store.of(machine.store, payment.id)
    captures = [each for each in done if each.operation == Operation.CAPTURE]
    return next((each.provider_ref for each in captures if each.state == "approved"), None)


async def follow_up(
    machine: Machine,
    key: str | None,
    payment: Payment,
    after: Payment,
    operation: Operation,
    amount: int,
    acts_on: str | None = None,
    *,
    final: bool = True,
) -> Step:
    """The step that permits an operation on the charge that holds or took the money.

    ``acts_on``: the refund that it is about: one of several that may be outstanding beside all
    else. ``final``: of a capture, see ``Instruction``. Raises ApiError (400) for a part that the
    channel cannot do.
    """
    charged = await attempt_store.find(machine.store, payment.charge_attempt or "")
    assert charged is not None, "only a charge leads to these states"
    whole = payment.amount_received or payment.amount_capturable
    gateway = machine.gateways.get(charged.gateway)
    if gateway is not None:
        check_part(gateway.profile, operation, amount, payment.currency, whole)
    original = _instruction.decode(charged.instruction)
    instruction = Instruction(
        operation=operation,
        reference="",
        amount=amount,
        currency=payment.currency,
        payment_method_type=original.payment_method_type,
        provider_ref=charged.provider_ref,
        charge_reference=charged.id,
        charge_amount=payment.amount_received if operation is Operation.REFUND else None,
        payment=payment.id,
        family=original.family,
        expires_ms=original.expires_ms if operation is Operation.VOID else None,
        final=final,
        original=original.context,
        capture=await _captured_by(machine, payment, charged) if acts_on else None,
    )
    new = machine.rows.attempt_new(payment, instruction, charged.gateway, key, acts_on)
    after = _replace(
        after,
        attempts=new.number,
        open_attempt=payment.open_attempt if acts_on else new.id,
    )
    event = "payment_intent.processing"
    return Transition(before=payment, after=after, event=event, attempt_new=new)
