"""A new payment: the first half of the hot path.

Decide (pure), write what is decided together with the key (its commit is the permit to send), then
call and record how it ended (``AttemptExecutor``). Without confirmation it ends with its one write.
"""

from typing import Any

import msgspec

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import client_secret, new_id, new_token
from bailiwick.base.money import payment_currency
from bailiwick.base.objects import API_VERSION, encode, text
from bailiwick.idempotency.requests import Answer, IdempotentRequest, packed
from bailiwick.interlink.refusals import NO_GATEWAY
from bailiwick.jurisdiction.assign import Assignment, to_object
from bailiwick.jurisdiction.locate import Location
from bailiwick.orders.attempts import AttemptNew
from bailiwick.orders.machine import Machine
from bailiwick.orders.row_builder import content
from bailiwick.records.configurations import Configurations
from bailiwick.records.record import Record
from bailiwick.resources.payment_method_configurations.effect import chosen, types_for
from bailiwick.resources.payments import editing, render
from bailiwick.resources.payments.charging import (
    CONSIDERED_MAX,
    charge_instruction,
    routed,
    wanted,
    with_vault,
)
from bailiwick.resources.payments.kind import KIND
from bailiwick.resources.payments.methods.params import billing_of, plain
from bailiwick.resources.payments.methods.tender import check, refuse_for_later, tender_of
from bailiwick.resources.payments.params import (
    CreatePayment,
    bound,
    method_of,
    types_of,
    vault_of,
    wishes_of,
)
from bailiwick.resources.payments.rows import Details, Payment, PaymentCreate, Progress
from bailiwick.resources.payments.saved.payer import (
    NOBODY,
    Payer,
    Saved,
    check_owner,
    resolved,
)
from bailiwick.resources.payments.saved.saving import planned
from bailiwick.resources.payments.screened import PaymentScreening
from bailiwick.resources.payments.states import State
from bailiwick.routing.match import Routing, owned_elsewhere, transient
from bailiwick.runtime import trace
from bailiwick.runtime.crash import crash_point
from bailiwick.screening.screener import Screener
from bailiwick.serving.params import merged

_replace = msgspec.structs.replace


class PaymentCreation:
    """Makes payments; ``secret``: by which fingerprints of saved payment methods are keyed."""

    def __init__(
        self,
        machine: Machine,
        secret: bytes = b"",
        configurations: Configurations | None = None,
        screener: Screener | None = None,
    ) -> None:
        self._secret = secret
        self._screening = PaymentScreening(screener, secret)
        self._machine = machine
        self._configurations = configurations or Configurations()
        self._gateways = machine.gateways
        self._command = machine.command
        self._rows = machine.rows

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
        alone = bound(request)
        try:
            payer = await self.payer(asked, request) if alone else NOBODY
            payment = self.draft(asked, request, location, assignment, payer.saved)
        except ApiError as error:
            return await self._before(asked, error)
        attempt: AttemptNew | None = None
        vault = vault_of(request)
        missing = vault is not None and not self._gateways.has_vault(vault, asked.livemode)
        others = assignment.others and not alone
        if missing and vault and not (request.confirm and others):
            return await self._before(asked, editing.unknown_vault(vault))
        if request.confirm:
            if not payment.progress.has_method:
                raise editing.method_missing("it")
            wish = wanted(payment, asked.merchant.strategy, token=payer.token)
            routing = self._gateways.match(wish)
            if routing.gateway is None:
                goes_on = assignment.goes_on and not alone
                return await self._not_routed(asked, routing, goes_on=goes_on, others=others)
            try:
                check_owner(self._machine, payer.saved, routing)
            except ApiError as error:
                return await self._before(asked, error)
            if payer.customer is not None:
                payment = self._saving(payment, payer.customer, routing)
            screening = self._screening.of(asked, payment, payer.saved, routing, request.location)
            if screening is not None:
                replayed = await self._machine.keys.replay(asked) if screening.counts else None
                if replayed is not None:
                    return replayed  # what was counted once is not counted again
                payment = await screening.done(payment)
            off = bool(request.off_session)
            payment, attempt = self._with_charge(asked, payment, routing, payer, off_session=off)
            trace.mark("routed")
        body = None if attempt else bytes(encode(render.payment_intent(payment)))
        row = self._create_row(asked, payment, attempt, body)
        crash_point("create.before")
        written = await self._command.create(asked, KIND, row)
        if not written.done:
            return await self._command.lost(asked)
        crash_point("create.committed")
        trace.mark("committed")
        if attempt is None:
            return Answer(200, body or b"")
        return await self._command.carry_out(asked, payment, attempt, written)

    async def _not_routed(
        self, asked: IdempotentRequest, routing: Routing, *, goes_on: bool, others: bool
    ) -> Answer:
        """No gateway takes it now: refused for ever, if another node may take it, or never could
        any; else what was done with the key before, or 503. Where it is for the payment method
        alone that no gateway could, and no other node might, the answer says so: 400; as it does
        where more has to be known of the payer."""
        if routing.lacking:
            return await self._before(asked, editing.no_gateway(routing))
        passing = transient(routing)
        telling = owned_elsewhere(routing) and not others
        if goes_on or not (passing or telling):
            return await self._machine.tombstones.refuse(
                asked, NO_GATEWAY if passing else "unsupported"
            )
        return await self._before(asked, editing.no_gateway(routing))

    async def _before(self, asked: IdempotentRequest, error: ApiError) -> Answer:
        """What was done with the key before an error came in the way; raises it if nothing was."""
        replayed = await self._machine.keys.replay(asked)
        if replayed is None:
            raise error
        return replayed

    async def payer(self, asked: IdempotentRequest, request: CreatePayment) -> Payer:
        """Who pays by a request: see ``saved.payer``. Raises ApiError (400)."""
        return await resolved(
            self._machine,
            asked,
            request.customer,
            method_of(request),
            vault_of(request),
            save=request.confirm and request.setup_future_usage is not None,
        )

    def _saving(self, payment: Payment, customer: Record, routing: Routing) -> Payment:
        """A payment whose payment method is saved once it has succeeded."""
        progress = payment.progress
        token = progress.payment_method or ""
        plan = planned(payment, customer, token, routing.owner, self._secret, payment.created_ms)
        return _replace(payment, progress=_replace(progress, saving=plan))

    def draft(
        self,
        asked: IdempotentRequest,
        request: CreatePayment,
        location: Location,
        assignment: Assignment,
        saved: Saved | None = None,
    ) -> Payment:
        """The payment that a request describes, not written yet. Raises ApiError."""
        now = now_ms()
        identifier = new_id(KIND.prefix, self._machine.node, now)
        method = method_of(request)
        progress = first_progress(request, method, saved)
        ready = progress.has_method
        state = State.REQUIRES_CONFIRMATION if ready else State.REQUIRES_PAYMENT_METHOD
        manual = request.capture_method == "manual"
        where: dict[str, Any] = msgspec.to_builtins(location)
        where.pop("coordinates", None)  # the country is what was decided on; points are personal
        details = Details(
            client_secret=client_secret(identifier),
            location=where,
            assignment=assignment_shown(assignment),
            capture_method="manual" if manual else "automatic",
            method_types=("card",),
            types_allowed=request.allowed_payment_method_types is not None,
            confirmation_method=request.confirmation_method or "automatic",
            automatic_methods=plain(request.automatic_payment_methods),
        )
        payment = Payment(
            id=identifier,
            merchant=asked.merchant.id,
            livemode=asked.livemode,
            version=1,
            state=str(state),
            epoch=assignment.epoch,
            amount=request.amount,
            currency=payment_currency(request.currency),
            created_ms=now,
            updated_ms=now,
            details=details,
            progress=progress,
        )
        return self._typed(asked, request, payment)

    def _typed(self, asked: IdempotentRequest, request: CreatePayment, payment: Payment) -> Payment:
        """A payment with the types of payment methods that it takes: those that its request names,
        or those of a configuration, or cards. Raises ApiError (400)."""
        types, of = types_of(request), None
        if types is None:
            named = request.payment_method_configuration
            of = chosen(self._configurations, asked, named)
            if of is not None:
                wish = wanted(payment, asked.merchant.strategy)
                types = types_for(of, self._gateways.facts(), wish)
        tender = payment.progress.tender
        if types is None and tender is not None:
            types = [tender.type]
        if types is None:
            return payment
        check(tender, tuple(types))
        details = _replace(
            payment.details, method_types=tuple(types), configuration=None if of is None else of.id
        )
        return _replace(payment, details=details)

    def _with_charge(
        self,
        asked: IdempotentRequest,
        payment: Payment,
        routing: Routing,
        payer: Payer,
        *,
        off_session: bool,
    ) -> tuple[Payment, AttemptNew]:
        """The payment as it is once its first attempt is permitted, and that attempt."""
        instruction = charge_instruction(
            payment,
            routing,
            payer.token,
            off_session=off_session,
            agreement=payer.agreement,
        )
        gateway = routing.gateway or ""
        attempt = self._rows.attempt_new(payment, instruction, gateway, asked.key)
        confirmed = _replace(
            payment,
            state=str(State.PROCESSING),
            attempts=attempt.number,
            open_attempt=attempt.id,
            charge_attempt=attempt.id,
            progress=routed(payment, routing, self._gateways),
        )
        return confirmed, attempt

    def _create_row(
        self,
        asked: IdempotentRequest,
        payment: Payment,
        attempt: AttemptNew | None,
        body: bytes | None,
    ) -> PaymentCreate:
        """The row of a new payment; ``body`` is the answer where nothing is sent."""
        event = "payment_intent.created"
        event_id, endpoints = self._rows.event(payment, event)
        done = body is not None
        return PaymentCreate(
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
            event_id=event_id,
            event_type=event,
            event_body=None if body is None else body.decode(),
            endpoints=endpoints,
            attempt_id=None if attempt is None else attempt.id,
            gateway=None if attempt is None else attempt.gateway,
            instruction=None if attempt is None else text(attempt.instruction),
            answer_status=200 if done else None,
            answer_version=API_VERSION if done else None,
            customer=payment.progress.customer,
        )


def assignment_shown(assignment: Assignment) -> dict[str, Any]:
    """An assignment as it is stored and shown, with the chosen node's name.

    Nodes without any jurisdiction over the place are left out: there may be a thousand of them.
    """
    allowed = [each for each in assignment.considered if each.verdict != "not_allowed"]
    shown = to_object(assignment)
    shown["considered"] = msgspec.to_builtins(allowed[:CONSIDERED_MAX])
    for each in allowed:
        if each.node == assignment.node:
            shown["name"] = each.name
    return shown


def first_progress(
    request: CreatePayment, method: str | None, saved: Saved | None = None
) -> Progress:
    """What may change, as the create request has it."""
    vault = vault_of(request) if saved is None else saved.vault
    tender = tender_of(request.payment_method_data, request.payment_method_options)
    refuse_for_later(tender, request.setup_future_usage, request.off_session)
    return Progress(
        payment_method=method,
        vaults=with_vault({}, vault, method),
        wishes=wishes_of(request),
        description=request.description,
        metadata=merged({}, request.metadata),
        receipt_email=request.receipt_email,
        statement_descriptor=request.statement_descriptor,
        statement_descriptor_suffix=request.statement_descriptor_suffix,
        return_url=request.return_url,
        setup_future_usage=request.setup_future_usage,
        no_action=request.error_on_requires_action,
        customer=request.customer,
        shipping=plain(request.shipping),
        billing=billing_of(request.payment_method_data),
        tender=tender,
    )
