"""What may be done with setups, verb by verb; see ``resources.payments.commands``."""

from typing import Any

import msgspec
from msgspec import UnsetType

from bailiwick.base.clock import now_ms
from bailiwick.base.ids import client_secret, new_id, new_token
from bailiwick.base.money import NO_CURRENCY
from bailiwick.base.objects import API_VERSION, encode, text
from bailiwick.channels.contract import Instruction, Operation
from bailiwick.idempotency.requests import Answer, IdempotentRequest, packed
from bailiwick.jurisdiction.assign import Assignment
from bailiwick.jurisdiction.locate import Location
from bailiwick.orders import attempt_store
from bailiwick.orders.attempts import AttemptNew
from bailiwick.orders.machine import Machine
from bailiwick.orders.row_builder import content
from bailiwick.orders.rows import more
from bailiwick.orders.transition import Transition
from bailiwick.records.beside import RecordTold, beside
from bailiwick.resources.mandates.params import MandateData
from bailiwick.resources.payments.charging import routing_shown
from bailiwick.resources.payments.methods.params import plain
from bailiwick.resources.payments.params import needs_return
from bailiwick.resources.payments.saved.payer import check_owner
from bailiwick.resources.setup_intents import render
from bailiwick.resources.setup_intents.errors import (
    BEFORE,
    before_confirmed,
    method_missing,
    no_gateway,
    return_missing,
    same_types,
    too_many_attempts,
)
from bailiwick.resources.setup_intents.kind import KIND
from bailiwick.resources.setup_intents.methods import Chosen, Methods, mandate_written
from bailiwick.resources.setup_intents.outcomes import Step, moved
from bailiwick.resources.setup_intents.params import (
    CancelSetup,
    ConfirmSetup,
    CreateSetup,
    UpdateSetup,
    given,
    types_given,
)
from bailiwick.resources.setup_intents.rows import Details, Progress, Setup, SetupCreate
from bailiwick.resources.setup_intents.states import Change, State, unexpected
from bailiwick.routing.match import Wanted
from bailiwick.runtime.crash import crash_point
from bailiwick.serving.params import merged
from bailiwick.serving.placed_records import found_at
from bailiwick.topology.routes.parts import Facts

_replace = msgspec.structs.replace
_instruction = msgspec.json.Decoder(Instruction)


class _Begun(msgspec.Struct, frozen=True):
    """A permitted attempt, and what of the setup changes with it."""

    attempt: AttemptNew
    progress: Progress
    written: list[RecordTold]


class Setups:
    """What a client can ask of setups; ``secret``: by which fingerprints are keyed."""

    def __init__(self, machine: Machine, secret: bytes = b"") -> None:
        self._machine = machine
        self._methods = Methods(machine, secret)

    async def create(
        self,
        asked: IdempotentRequest,
        wish: CreateSetup,
        location: Location,
        assignment: Assignment,
    ) -> Answer:
        """A new setup, confirmed at once if the request says so. Raises ApiError."""
        replayed = await self._machine.keys.replay(asked)
        if replayed is not None:
            return replayed
        setup = self._draft(asked, wish, location, assignment)
        chosen = await self._methods.chosen(asked, setup, given(wish))
        setup = _about(setup, chosen)
        begun = None
        written = chosen.written
        if wish.confirm:
            begun = self._begun(asked, setup, chosen, wish.return_url, wish.mandate_data)
            written = begun.written
            setup = _replace(
                setup,
                state=State.PROCESSING.value,
                attempts=begun.attempt.number,
                open_attempt=begun.attempt.id,
                setup_attempt=begun.attempt.id,
                progress=begun.progress,
            )
        body = None if begun else bytes(encode(render.setup_intent(setup)))
        row = self._create_row(asked, setup, None if begun is None else begun.attempt, body)
        told = self._machine.rows.told(setup, beside(written))
        row = _replace(row, more=more(beside=told))
        crash_point("create.before")
        done = await self._machine.command.create(asked, KIND, row)
        if not done.done:
            return await self._machine.command.lost(asked)
        crash_point("create.committed")
        if begun is None:
            return Answer(200, body or b"")
        return await self._machine.command.carry_out(asked, setup, begun.attempt, done)

    def _draft(
        self,
        asked: IdempotentRequest,
        wish: CreateSetup,
        location: Location,
        assignment: Assignment,
    ) -> Setup:
        """The setup that a request describes, not written yet. Raises ApiError."""
        now = now_ms()
        identifier = new_id(KIND.prefix, self._machine.node, now)
        where, stays_with = found_at(location, assignment)
        details = Details(
            client_secret=client_secret(identifier),
            location=where["location"],
            node=where["node"],
            stays_with=stays_with,
            usage=wish.usage,
            method_types=tuple(types_given(wish) or ("card",)),
            types_allowed=wish.allowed_payment_method_types is not None,
            automatic_methods=plain(wish.automatic_payment_methods),
        )
        return Setup(
            id=identifier,
            merchant=asked.merchant.id,
            livemode=asked.livemode,
            version=1,
            state=State.REQUIRES_PAYMENT_METHOD.value,
            epoch=assignment.epoch,
            amount=0,
            currency=NO_CURRENCY,
            created_ms=now,
            updated_ms=now,
            details=details,
            progress=Progress(description=wish.description, metadata=merged({}, wish.metadata)),
            customer=wish.customer,
        )

    def _begun(
        self,
        asked: IdempotentRequest,
        setup: Setup,
        chosen: Chosen,
        return_url: str | None,
        data: MandateData | None,
    ) -> _Begun:
        """What is permitted by a confirmation. Raises ApiError: 400, or 503 where no gateway is
        open now."""
        method, saved = chosen.method, chosen.saved
        if method is None or saved is None:
            raise method_missing()
        return_url = return_url or setup.progress.return_url
        if needs_return(setup.details.automatic_methods, return_url):
            raise return_missing()
        wish = Wanted(
            payment=setup.id,
            country=setup.details.location["country"],
            amount=0,
            currency=NO_CURRENCY,
            methods=setup.details.method_types,
            manual_capture=False,
            livemode=setup.livemode,
            strategy=asked.merchant.strategy,
            token=saved.token,
            vault=saved.vault,
            setup=True,
            facts=Facts(
                merchant=setup.merchant,
                livemode=setup.livemode,
                country=setup.details.location["country"],
                subdivision=setup.details.location.get("subdivision"),
                currency=NO_CURRENCY,
                amount=0,
                methods=setup.details.method_types,
                at_ms=now_ms(),
                fingerprint=saved.fingerprint,
                customer=setup.customer,
            ),
        )
        gateways = self._machine.gateways
        routing = gateways.match(wish)
        if routing.gateway is None:
            raise no_gateway(routing)
        if not chosen.fresh:
            check_owner(self._machine, saved, routing)
        instruction = Instruction(
            operation=Operation.SETUP,
            reference="",
            amount=0,
            currency=NO_CURRENCY,
            payment_method_type=routing.method or "card",
            payment_method=saved.token,
            return_url=return_url,
            payment=setup.id,
        )
        attempt = self._machine.rows.attempt_new(setup, instruction, routing.gateway, asked.key)
        mandate = self._methods.agreed(setup, chosen, data)
        progress = _replace(
            setup.progress,
            return_url=return_url,
            routing=routing_shown(routing),
            vault=gateways.vault_of(routing.gateway),
            mandate=None if mandate is None else mandate.id,
        )
        return _Begun(attempt, progress, [*chosen.written, *mandate_written(mandate)])

    def _create_row(
        self,
        asked: IdempotentRequest,
        setup: Setup,
        attempt: AttemptNew | None,
        body: bytes | None,
    ) -> SetupCreate:
        """The row of a new setup; ``body`` is the answer where nothing is sent."""
        event = "setup_intent.created"
        event_id, endpoints = self._machine.rows.event(setup, event)
        done = body is not None
        return SetupCreate(
            id=setup.id,
            merchant=setup.merchant,
            livemode=setup.livemode,
            identity=asked.identity,
            key=asked.key,
            request_hash=asked.request_hash,
            operation=asked.operation,
            expand=packed(asked.expand),
            writer=new_token(),
            now_ms=setup.created_ms,
            epoch=setup.epoch,
            state=setup.state,
            amount=setup.amount,
            currency=setup.currency,
            content=content(setup),
            event_id=event_id,
            event_type=event,
            event_body=None if body is None else body.decode(),
            endpoints=endpoints,
            attempt_id=None if attempt is None else attempt.id,
            gateway=None if attempt is None else attempt.gateway,
            instruction=None if attempt is None else text(attempt.instruction),
            answer_status=200 if done else None,
            answer_version=API_VERSION if done else None,
            customer=setup.customer,
            payment_method=setup.payment_method,
            stays_with=setup.stays_with,
        )

    async def confirm(
        self,
        asked: IdempotentRequest,
        identifier: str,
        wish: ConfirmSetup,
        *,
        attempts_max: int | None = None,
    ) -> Answer:
        """Set up the payment method of a setup that was created without confirmation, or declined
        before. ``attempts_max``: attempts so far after which this client may make no more."""

        async def decide(setup: Setup) -> Step:
            if setup.state not in BEFORE:
                raise unexpected(setup.state, "confirm")
            if attempts_max is not None and setup.attempts >= attempts_max:
                raise too_many_attempts(setup.attempts)
            chosen = await self._methods.chosen(asked, setup, given(wish))
            dressed = _about(setup, chosen)
            begun = self._begun(asked, dressed, chosen, wish.return_url, wish.mandate_data)
            after = moved(
                setup,
                Change.CONFIRM,
                now_ms(),
                attempts=begun.attempt.number,
                open_attempt=begun.attempt.id,
                setup_attempt=begun.attempt.id,
                payment_method=dressed.payment_method,
                progress=begun.progress,
            )
            return Transition(
                before=setup,
                after=after,
                event="bailiwick.setup_intent.processing",
                attempt_new=begun.attempt,
                beside=beside(begun.written),
            )

        return await self._machine.command.change(asked, KIND, identifier, decide)

    async def update(self, asked: IdempotentRequest, identifier: str, wish: UpdateSetup) -> Answer:
        """Change what may still be changed."""

        async def decide(setup: Setup) -> Step:
            same_types(setup, wish)
            progress = setup.progress
            changes: dict[str, Any] = {"metadata": merged(progress.metadata, wish.metadata)}
            if not isinstance(wish.description, UnsetType):
                changes["description"] = wish.description
            brought, undressed = given(wish), wish.payment_method is None
            customer = setup.customer if isinstance(wish.customer, UnsetType) else wish.customer
            change, method, written = Change.EDIT, setup.payment_method, []
            if brought is not None or undressed or customer != setup.customer:
                before_confirmed(
                    setup, "customer" if brought is None and not undressed else "payment_method"
                )
                kept = None if undressed and brought is None else setup.payment_method
                draft = _replace(setup, customer=customer, payment_method=kept)
                chosen = await self._methods.chosen(asked, draft, brought)
                method = None if chosen.method is None else chosen.method.id
                written = chosen.written
                if brought is not None or undressed:
                    change = Change.UNDRESS if method is None else Change.DRESS
            after = moved(
                setup,
                change,
                now_ms(),
                progress=_replace(progress, **changes),
                customer=customer,
                payment_method=method,
            )
            event = "bailiwick.setup_intent.updated"
            return Transition(
                before=setup, after=after, event=event, definite=True, beside=beside(written)
            )

        return await self._machine.command.change(asked, KIND, identifier, decide)

    async def cancel(self, asked: IdempotentRequest, identifier: str, wish: CancelSetup) -> Answer:
        """Close a setup: at once where nothing is outstanding; where the provider waits for the
        payer, once it has given that up."""

        async def decide(setup: Setup) -> Step:
            progress = _replace(setup.progress, cancellation_reason=wish.cancellation_reason)
            if setup.state in BEFORE:
                progress = _replace(progress, action=None)
                after = moved(setup, Change.CANCEL, now_ms(), progress=progress)
                event = "setup_intent.canceled"
                return Transition(before=setup, after=after, event=event, definite=True)
            if setup.state != State.REQUIRES_ACTION:
                raise unexpected(setup.state, "cancel")
            return await self._given_up(asked, setup, progress)

        return await self._machine.command.change(asked, KIND, identifier, decide)

    async def _given_up(self, asked: IdempotentRequest, setup: Setup, progress: Progress) -> Step:
        """The step that permits to ask the provider to give up what it waits for the payer for."""
        first = await attempt_store.find(self._machine.store, setup.setup_attempt or "")
        assert first is not None, "only an attempt leads to this state"
        original = _instruction.decode(first.instruction)
        instruction = Instruction(
            operation=Operation.VOID,
            reference="",
            amount=0,
            currency=NO_CURRENCY,
            payment_method_type=original.payment_method_type,
            provider_ref=first.provider_ref,
            charge_reference=first.id,
            payment=setup.id,
        )
        new = self._machine.rows.attempt_new(setup, instruction, first.gateway, asked.key)
        after = moved(
            setup,
            Change.VOID,
            now_ms(),
            progress=progress,
            attempts=new.number,
            open_attempt=new.id,
        )
        event = "bailiwick.setup_intent.processing"
        return Transition(before=setup, after=after, event=event, attempt_new=new)


def _about(setup: Setup, chosen: Chosen) -> Setup:
    """A setup, before it is confirmed, with the payment method that it is about."""
    if chosen.method is None:
        return _replace(setup, payment_method=None)
    state = State.REQUIRES_CONFIRMATION.value
    return _replace(setup, payment_method=chosen.method.id, state=state)
