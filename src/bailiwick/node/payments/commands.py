"""What may be done with a payment, verb by verb.

Each verb is the same three lines of thought: read and decide (pure), write what is decided
together with the key (its commit is the permit to send), call and write how it ended
(``AttemptExecutor``). A verb that moves no money ends with its one write.
"""

from typing import Any

import msgspec

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import is_id, new_id
from bailiwick.base.tenancy import own
from bailiwick.channels.base import Instruction, Operation
from bailiwick.idempotency.requests import Answer, IdempotentRequest
from bailiwick.node.orders.idempotent_command import IdempotentCommand
from bailiwick.node.orders.row_builder import RowBuilder, charge_instruction, wanted
from bailiwick.node.payments import charge_outcomes, editing
from bailiwick.node.payments.charge_outcomes import Transition, moved
from bailiwick.node.payments.request_params import (
    CancelPayment,
    CapturePayment,
    ConfirmPayment,
    CreateRefund,
    UpdatePayment,
    UpdateRefund,
    merged,
    method_of,
    vault_of,
)
from bailiwick.node.payments.states import Change, State
from bailiwick.routing.gateways import Gateways, check_part
from bailiwick.store.database import Store
from bailiwick.store.rows import (
    AttemptNew,
    Payment,
    Refund,
    RefundNew,
)

_instruction = msgspec.json.Decoder(Instruction)
_replace = msgspec.structs.replace


class Payments:
    """What a client can ask of a payment that exists."""

    def __init__(
        self,
        node: int,
        store: Store,
        gateways: Gateways,
        rows: RowBuilder,
        command: IdempotentCommand,
    ) -> None:
        self._node = node
        self._store = store
        self._gateways = gateways
        self._rows = rows
        self._command = command

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

        async def build(payment: Payment) -> tuple[Transition, AttemptNew | None]:
            if payment.state in (State.PROCESSING, State.REQUIRES_ACTION):
                charge_outcomes.moved(payment, Change.CONFIRM, now_ms())  # raises with the remedy
            if attempts_max is not None and payment.attempts >= attempts_max:
                raise editing.too_many_attempts(payment.attempts)
            vault = vault_of(request)
            if vault is not None and not self._gateways.has_vault(vault, asked.livemode):
                raise editing.unknown_vault(vault)
            dressed = editing.dressed(payment, request, method_of(request))
            if dressed.progress.payment_method is None:
                raise editing.method_missing("the confirmation")
            routing = self._gateways.match(wanted(dressed, asked.merchant.strategy))
            if routing.gateway is None:
                raise editing.no_gateway(routing)
            new = self._rows.attempt_new(
                dressed, charge_instruction(dressed, routing.method), routing.gateway, asked.key
            )
            after = moved(
                payment,
                Change.CONFIRM,
                now_ms(),
                attempts=new.number,
                open_attempt=new.id,
                charge_attempt=new.id,
                progress=_replace(
                    editing.routed(dressed.progress, routing), confirmed_elsewhere=elsewhere
                ),
            )
            step = Transition(
                before=payment,
                after=after,
                event="payment_intent.processing",
                attempt_new=new,
            )
            return step, new

        return await self._command.change(asked, identifier, build)

    async def capture(
        self, asked: IdempotentRequest, identifier: str, request: CapturePayment
    ) -> Answer:
        """Take held money, all or part of it; the rest of the hold is released."""

        async def build(payment: Payment) -> tuple[Transition, AttemptNew | None]:
            progress = editing.captured(payment, request)
            after = moved(payment, Change.CAPTURE, now_ms(), progress=progress)
            amount = request.amount_to_capture or payment.amount_capturable
            if amount > payment.amount_capturable:
                raise ApiError.invalid(
                    f"The amount to capture ({amount}) is greater than the capturable amount "
                    f"({payment.amount_capturable}).",
                    param="amount_to_capture",
                    code="amount_too_large",
                )
            return await self._follow_up(asked, payment, after, Operation.CAPTURE, amount)

        return await self._command.change(asked, identifier, build)

    async def cancel(
        self, asked: IdempotentRequest, identifier: str, request: CancelPayment
    ) -> Answer:
        """Close a payment: at once where nothing is outstanding, else by a void."""

        async def build(payment: Payment) -> tuple[Transition, AttemptNew | None]:
            now = now_ms()
            progress = _replace(payment.progress, cancellation_reason=request.cancellation_reason)
            if payment.state in (State.REQUIRES_CAPTURE, State.REQUIRES_ACTION):
                after = moved(payment, Change.VOID, now, progress=progress)
                amount = payment.amount_capturable or payment.amount
                return await self._follow_up(asked, payment, after, Operation.VOID, amount)
            progress = _replace(progress, canceled_ms=now, action_url=None)
            after = moved(payment, Change.CANCEL, now, progress=progress)
            step = Transition(
                before=payment, after=after, event="payment_intent.canceled", definite=True
            )
            return step, None

        return await self._command.change(asked, identifier, build)

    async def update(
        self, asked: IdempotentRequest, identifier: str, request: UpdatePayment
    ) -> Answer:
        """Change what may still be changed."""

        async def build(payment: Payment) -> tuple[Transition, AttemptNew | None]:
            vault = vault_of(request)
            if vault is not None and not self._gateways.has_vault(vault, asked.livemode):
                raise editing.unknown_vault(vault)
            return editing.updated(payment, request, now_ms()), None

        return await self._command.change(asked, identifier, build)

    async def refund(self, asked: IdempotentRequest, request: CreateRefund) -> Answer:
        """Give money back, all or part of it."""
        identifier = await self._refunded_payment(asked, request)

        async def build(payment: Payment) -> tuple[Transition, AttemptNew | None]:
            now = now_ms()
            metadata = merged({}, request.metadata)
            free = payment.amount_received - payment.amount_refunded - payment.amount_refunding
            amount = request.amount or free
            editing.check_refund(payment, amount, free)
            refund_id = new_id("re", self._node, now)
            after = moved(
                payment,
                Change.REFUND,
                now,
                amount_refunding=payment.amount_refunding + amount,
            )
            step, new = await self._follow_up(
                asked, payment, after, Operation.REFUND, amount, refund_id
            )
            assert new is not None
            details = {"reason": request.reason, "metadata": metadata}
            row = RefundNew(refund_id, "pending", amount, new.id, details)
            shown = Refund(
                refund_id,
                payment.id,
                payment.merchant,
                payment.livemode,
                "pending",
                amount,
                payment.currency,
                new.id,
                now,
                details,
            )
            return _replace(step, refund_new=row, refund=shown, event="refund.created"), new

        return await self._command.change(asked, identifier, build)

    async def _refunded_payment(self, asked: IdempotentRequest, request: CreateRefund) -> str:
        if request.charge is None:
            if request.payment_intent is None:
                raise ApiError.invalid(
                    "One of payment_intent or charge is needed.",
                    param="payment_intent",
                    code="parameter_missing",
                )
            return request.payment_intent
        found = await self._store.attempt(request.charge) if is_id(request.charge, "ch") else None
        attempt = own(found, asked, "charge", request.charge, param="charge")
        if request.payment_intent not in (None, attempt.payment):
            raise ApiError.invalid(
                "payment_intent and charge do not belong together.", param="charge"
            )
        return attempt.payment

    async def update_refund(
        self, asked: IdempotentRequest, identifier: str, request: UpdateRefund
    ) -> Answer:
        """Change a refund's metadata."""
        row = own(await self._store.refund(identifier), asked, "refund", identifier)

        async def build(payment: Payment) -> tuple[Transition, AttemptNew | None]:
            fresh = await self._store.refund(identifier)
            assert fresh is not None
            return editing.updated_refund(payment, fresh, request, now_ms()), None

        return await self._command.change(asked, row.payment, build)

    async def _follow_up(
        self,
        asked: IdempotentRequest,
        payment: Payment,
        after: Payment,
        operation: Operation,
        amount: int,
        refund: str | None = None,
    ) -> tuple[Transition, AttemptNew]:
        """A permitted operation on the charge that holds or took the money."""
        charged = await self._store.attempt(payment.charge_attempt or "")
        assert charged is not None, "only a charge leads to these states"
        whole = payment.amount_received or payment.amount_capturable
        gateway = self._gateways.get(charged.gateway)
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
            payment=payment.id,
        )
        new = self._rows.attempt_new(payment, instruction, charged.gateway, asked.key, refund)
        after = _replace(
            after,
            attempts=new.number,
            open_attempt=payment.open_attempt if refund else new.id,
        )
        event = "payment_intent.processing"
        return Transition(before=payment, after=after, event=event, attempt_new=new), new
