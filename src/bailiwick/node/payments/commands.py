"""THE script: the path of a payment through its node, verb by verb.

Each verb is the same three lines of thought: read and decide (pure), write what is decided
together with the key (its commit is the permit to send), call and write how it ended
(``settle``). A verb that moves no money ends with its one write.
"""

from typing import Any

import msgspec

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import client_secret, is_id, new_id, new_token
from bailiwick.base.money import payment_currency
from bailiwick.base.tenancy import own
from bailiwick.channels.base import Instruction, Operation
from bailiwick.idempotency.requests import Answer, IdempotentRequest, packed
from bailiwick.interlink.refusals import NO_GATEWAY
from bailiwick.jurisdiction.assign import Assignment
from bailiwick.jurisdiction.locate import Location
from bailiwick.node.orders.idempotent_command import IdempotentCommand
from bailiwick.node.orders.row_builder import charge_instruction, content, wanted
from bailiwick.node.payments import charge_outcomes, editing, render
from bailiwick.node.payments.charge_outcomes import Transition, moved
from bailiwick.node.payments.request_params import (
    CancelPayment,
    CapturePayment,
    ConfirmPayment,
    CreatePayment,
    CreateRefund,
    UpdatePayment,
    UpdateRefund,
    merged,
    method_of,
    vault_of,
)
from bailiwick.node.payments.states import Change, State
from bailiwick.routing.match import Routing, owned_elsewhere, transient
from bailiwick.runtime import timing
from bailiwick.runtime.crash import crash_point
from bailiwick.store.rows import (
    AttemptNew,
    Create,
    Details,
    Payment,
    Refund,
    RefundNew,
)

_instruction = msgspec.json.Decoder(Instruction)
_replace = msgspec.structs.replace


class Payments(IdempotentCommand):
    """What a client can ask of this node's payments."""

    # --- create -------------------------------------------------------------------------

    async def create(
        self,
        asked: IdempotentRequest,
        request: CreatePayment,
        location: Location,
        assignment: Assignment,
    ) -> Answer:
        """A new payment, confirmed at once if the request says so.

        Raises:
            ApiError: the request is wrong, or 503 when nothing could be written, or no gateway is
                open now and no other node may take it.
            Refused: no gateway can take it here; committed as a tombstone.
        """
        payment = self.draft(asked, request, location, assignment)
        attempt: AttemptNew | None = None
        vault = vault_of(request)
        missing = vault is not None and not self._executor.has_vault(vault, asked.livemode)
        if missing and vault and not (request.confirm and assignment.others):
            return await self._before(asked, editing.unknown_vault(vault))
        if request.confirm:
            if payment.progress.payment_method is None:
                raise ApiError.invalid(
                    "You cannot confirm this PaymentIntent because it's missing a payment "
                    "method: send payment_method with it.",
                    param="payment_method",
                    code="payment_intent_unexpected_state",
                )
            routing = self._route(asked, payment)
            if routing.gateway is None:
                return await self._not_routed(asked, routing, assignment)
            payment, attempt = self._with_charge(asked, payment, routing, routing.gateway)
            timing.mark("routed")
        body = None if attempt else bytes(render.encode(render.payment_intent(payment)))
        row = self._create_row(asked, payment, attempt, body)
        crash_point("create.before")
        written = await self._write(self._store.create(row))
        if not written.done:
            return await self._lost(asked)
        crash_point("create.committed")
        timing.mark("committed")
        if attempt is None:
            return Answer(200, body or b"")
        return await self._drive(asked, payment, attempt, written)

    async def _not_routed(
        self, asked: IdempotentRequest, routing: Routing, assignment: Assignment
    ) -> Answer:
        """No gateway takes it now: refused for ever, if another node may take it, or never could
        any; else what was done with the key before, or 503. Where it is for the payment method
        alone that no gateway could, and no other node might, the answer says so: 400."""
        passing = transient(routing)
        telling = owned_elsewhere(routing) and not assignment.others
        if assignment.goes_on or not (passing or telling):
            return await self.refuse(asked, NO_GATEWAY if passing else "unsupported")
        return await self._before(asked, editing.no_gateway(routing))

    async def _before(self, asked: IdempotentRequest, error: ApiError) -> Answer:
        """What was done with the key before an error came in the way; raises it if nothing was."""
        replayed = await self.keys.replay(asked)
        if replayed is None:
            raise error
        return replayed

    def draft(
        self,
        asked: IdempotentRequest,
        request: CreatePayment,
        location: Location,
        assignment: Assignment,
    ) -> Payment:
        """The payment that a request describes, not written yet. Raises ApiError."""
        now = now_ms()
        identifier = new_id("pi", self._node, now)
        method = method_of(request)
        state = State.REQUIRES_CONFIRMATION if method else State.REQUIRES_PAYMENT_METHOD
        manual = request.capture_method == "manual"
        where: dict[str, Any] = msgspec.to_builtins(location)
        where.pop("coordinates", None)  # the country is what was decided on; points are personal
        details = Details(
            client_secret=client_secret(identifier),
            location=where,
            assignment=editing.assignment_shown(assignment),
            capture_method="manual" if manual else "automatic",
            method_types=tuple(request.payment_method_types or ("card",)),
            automatic_methods=editing.plain(request.automatic_payment_methods),
        )
        return Payment(
            id=identifier,
            merchant=asked.merchant.id,
            livemode=asked.livemode,
            version=1,
            state=state.value,
            epoch=assignment.epoch,
            amount=request.amount,
            currency=payment_currency(request.currency),
            created_ms=now,
            updated_ms=now,
            details=details,
            progress=editing.first_progress(request, method),
        )

    def _with_charge(
        self, asked: IdempotentRequest, payment: Payment, routing: Routing, gateway: str
    ) -> tuple[Payment, AttemptNew]:
        """The payment as it is once its first attempt is permitted, and that attempt."""
        attempt = self._executor.attempt_new(
            payment, charge_instruction(payment), gateway, asked.key
        )
        confirmed = _replace(
            payment,
            state=State.PROCESSING.value,
            attempts=attempt.number,
            open_attempt=attempt.id,
            charge_attempt=attempt.id,
            progress=editing.routed(payment.progress, routing),
        )
        return confirmed, attempt

    def _check_vault(self, asked: IdempotentRequest, vault: str | None) -> None:
        """Refuse a vault that no gateway of this node has. Raises ApiError (400)."""
        if vault is not None and not self._executor.has_vault(vault, asked.livemode):
            raise editing.unknown_vault(vault)

    def _route(self, asked: IdempotentRequest, payment: Payment) -> Routing:
        return self._executor.match(wanted(payment, asked.merchant.strategy))

    def _create_row(
        self,
        asked: IdempotentRequest,
        payment: Payment,
        attempt: AttemptNew | None,
        body: bytes | None,
    ) -> Create:
        """The row of a new payment; ``body`` is the answer where nothing is sent."""
        event = "payment_intent.created"
        done = body is not None
        return Create(
            id=payment.id,
            merchant=payment.merchant,
            livemode=payment.livemode,
            identity=asked.identity,
            key=asked.key,
            request_hash=asked.request_hash,
            operation=asked.operation,
            expand=packed(asked.expand),
            writer=new_token(),
            now_ms=payment.created_ms,
            epoch=payment.epoch,
            state=payment.state,
            amount=payment.amount,
            currency=payment.currency,
            content=content(payment),
            event_id=new_id("evt", self._node, payment.created_ms),
            event_type=event,
            event_body=None if body is None else body.decode(),
            endpoints=self._executor.endpoints.wanting(payment.merchant, payment.livemode, event),
            attempt_id=None if attempt is None else attempt.id,
            gateway=None if attempt is None else attempt.gateway,
            instruction=(
                None if attempt is None else bytes(render.encode(attempt.instruction)).decode()
            ),
            answer_status=200 if done else None,
            answer_version=render.API_VERSION if done else None,
        )

    # --- verbs on an existing payment ---------------------------------------------------

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
            self._check_vault(asked, vault_of(request))
            dressed = editing.dressed(payment, request, method_of(request))
            if dressed.progress.payment_method is None:
                raise ApiError.invalid(
                    "You cannot confirm this PaymentIntent because it's missing a payment "
                    "method: send payment_method with the confirmation.",
                    param="payment_method",
                    code="payment_intent_unexpected_state",
                )
            routing = self._route(asked, dressed)
            if routing.gateway is None:
                raise editing.no_gateway(routing)
            new = self._executor.attempt_new(
                dressed, charge_instruction(dressed), routing.gateway, asked.key
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

        return await self._act(asked, identifier, build)

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

        return await self._act(asked, identifier, build)

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

        return await self._act(asked, identifier, build)

    async def update(
        self, asked: IdempotentRequest, identifier: str, request: UpdatePayment
    ) -> Answer:
        """Change what may still be changed."""

        async def build(payment: Payment) -> tuple[Transition, AttemptNew | None]:
            self._check_vault(asked, vault_of(request))
            return editing.updated(payment, request, now_ms()), None

        return await self._act(asked, identifier, build)

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

        return await self._act(asked, identifier, build)

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

        return await self._act(asked, row.payment, build)

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
        self._executor.check_part(payment, charged.gateway, operation, amount)
        original = _instruction.decode(charged.instruction)
        instruction = Instruction(
            operation=operation,
            reference="",
            amount=amount,
            currency=payment.currency,
            method=original.method,
            provider_ref=charged.provider_ref,
            charge_reference=charged.id,
            payment=payment.id,
        )
        new = self._executor.attempt_new(payment, instruction, charged.gateway, asked.key, refund)
        after = _replace(
            after,
            attempts=new.number,
            open_attempt=payment.open_attempt if refund else new.id,
        )
        event = "payment_intent.processing"
        return Transition(before=payment, after=after, event=event, attempt_new=new), new
