"""How a decision becomes the row that writes it, and the answer that the client gets."""

from collections.abc import Callable
from typing import Any

import msgspec

from bailiwick.base.ids import new_id, new_token, part_id
from bailiwick.channels.base import Instruction, Operation
from bailiwick.node.delivery.webhooks import Endpoints
from bailiwick.node.payments import render
from bailiwick.node.payments.charge_outcomes import Transition
from bailiwick.routing.gateways import Gateways
from bailiwick.routing.match import Wanted
from bailiwick.store.database import Store
from bailiwick.store.rows import Attempt, AttemptEnd, AttemptNew, Claim, More, Move, Payment
from bailiwick.topology.snapshot import World

_NOTHING_MORE = More()


class RowBuilder:
    """Makes rows: new attempts, moves with their events, and answers."""

    def __init__(
        self,
        node: int,
        store: Store,
        gateways: Gateways,
        endpoints: Endpoints,
        world: Callable[[], World],
    ) -> None:
        self._node = node
        self._store = store
        self._gateways = gateways
        self.endpoints = endpoints
        self._world = world

    @property
    def world(self) -> World:
        """The World in force."""
        return self._world()

    def attempt_new(
        self,
        payment: Payment,
        instruction: Instruction,
        gateway: str,
        key: str | None,
        refund: str | None = None,
    ) -> AttemptNew:
        """An attempt to commit for an instruction, under a reference of its own."""
        prefix = "ch" if instruction.operation is Operation.CHARGE else "at"
        identifier = part_id(prefix, payment.id, payment.attempts + 1)
        chosen = self._gateways.get(gateway)
        callback_url = None if chosen is None else chosen.callback_url
        instruction = msgspec.structs.replace(
            instruction, reference=identifier, callback_url=callback_url
        )
        return AttemptNew(
            id=identifier,
            number=payment.attempts + 1,
            operation=instruction.operation.value,
            gateway=gateway,
            amount=instruction.amount,
            epoch=self.world.epoch,
            instruction=instruction,
            refund=refund,
            key=key,
        )

    async def answer(
        self, step: Transition, expand: list[str], attempt: Attempt | None = None
    ) -> tuple[int, msgspec.Raw, bool]:
        """Status and body for the request that asked for a step; plain: the object as it is."""
        charge = await self._charge_view(step, attempt) if expand else None
        status, body = answer(step, expand, charge)
        return status, body, status == 200 and not expand

    async def _charge_view(
        self, step: Transition, attempt: Attempt | None
    ) -> render.ChargeView | None:
        """The charge as it will be once the step is written."""
        charged = step.after.charge_attempt
        if charged is None:
            return None
        same = attempt is not None and charged == attempt.id
        row = attempt if same else await self._store.attempt(charged)
        assert row is not None
        for end in step.attempt_ends or []:
            if end.id == row.id:
                row = msgspec.structs.replace(
                    row,
                    state=end.state,
                    provider_ref=end.provider_ref or row.provider_ref,
                    result=None if end.result is None else msgspec.Raw(end.result.encode()),
                )
        return render.charge_view(row)

    def move(
        self,
        step: Transition,
        *,
        claim: Claim | None = None,
        answer_key: str | None = None,
        status: int = 200,
        body: msgspec.Raw | None = None,
        plain: bool = False,
    ) -> Move:
        """The row that writes a step. A ``plain`` answer is the event's body, and stored once."""
        before, after = step.before, step.after
        if body is not None and plain:
            event_body = body
        elif step.refund is not None:
            event_body = render.encode(render.refund(step.refund, after))
        else:
            event_body = render.encode(render.payment_intent(after))
        ends = step.attempt_ends or []
        end = ends[0] if ends else None
        postings = step.postings
        return Move(
            id=after.id,
            expected_version=before.version,
            expected_state=before.state,
            writer=new_token(),
            now_ms=after.updated_ms,
            state=after.state,
            amount=after.amount,
            amount_capturable=after.amount_capturable,
            amount_received=after.amount_received,
            amount_refunding=after.amount_refunding,
            amount_refunded=after.amount_refunded,
            attempts=after.attempts,
            open_attempt=after.open_attempt,
            charge_attempt=after.charge_attempt,
            content=None if after.progress == before.progress else content(after),
            event_id=new_id("evt", self._node, after.updated_ms),
            event_type=step.event,
            event_body=_text(event_body),
            end_id=None if end is None else end.id,
            end_state=None if end is None else end.state,
            end_ref=None if end is None else end.provider_ref,
            end_result=None if end is None else end.result,
            end_check_ms=None if end is None else end.check_ms,
            debits=None if postings is None else [each.debit for each in postings],
            credits=None if postings is None else [each.credit for each in postings],
            amounts=None if postings is None else [each.amount for each in postings],
            endpoints=self.endpoints.wanting(after.merchant, after.livemode, step.event),
            more=_more(step, claim, ends[1:]),
            answer_key=answer_key,
            answer_status=status if answer_key is not None else None,
            answer_body=_text(body) if answer_key is not None and body and not plain else None,
            answer_version=render.API_VERSION if answer_key is not None else None,
        )


def content(payment: Payment) -> str:
    """What describes a payment, as its event keeps it."""
    return _text(render.encode(payment))


def _text(raw: msgspec.Raw) -> str:
    return bytes(raw).decode()


def _more(step: Transition, claim: Claim | None, others: list[AttemptEnd]) -> str | None:
    """What few moves bring along, or None."""
    more = More(
        claim=claim,
        ends=others or None,
        attempt_new=step.attempt_new,
        refund_new=step.refund_new,
        refund_end=step.refund_end,
        review=step.review,
    )
    return None if more == _NOTHING_MORE else _text(render.encode(more))


def wanted(
    payment: Payment, strategy: str, *, token: str | None = None, shown_to: str | None = None
) -> Wanted:
    """What a payment asks of a gateway.

    ``token``: the payment method if not the payment's; ``shown_to``: see ``Wanted``.
    """
    token = token or payment.progress.payment_method
    return Wanted(
        payment=payment.id,
        country=payment.details.location["country"],
        amount=payment.amount,
        currency=payment.currency,
        methods=payment.details.method_types,
        manual_capture=payment.details.capture_method == "manual",
        livemode=payment.livemode,
        strategy=strategy,
        token=token,
        vault=payment.progress.vaults.get(token) if token else None,
        shown_to=shown_to,
    )


def charge_instruction(payment: Payment, method: str | None) -> Instruction:
    """What the gateway is asked to do for a payment; ``method``: by which type it takes it."""
    progress = payment.progress
    return Instruction(
        operation=Operation.CHARGE,
        reference="",
        amount=payment.amount,
        currency=payment.currency,
        automatic=payment.details.capture_method != "manual",
        payment_method_type=method or payment.details.method_types[0],
        payment_method=progress.payment_method,
        description=progress.description,
        return_url=progress.return_url,
        payment=payment.id,
    )


def stored_attempt(payment: Payment, new: AttemptNew) -> Attempt:
    """A new attempt as it stands in the database after its commit."""
    return Attempt(
        id=new.id,
        payment=payment.id,
        number=new.number,
        refund=new.refund,
        merchant=payment.merchant,
        livemode=payment.livemode,
        operation=new.operation,
        gateway=new.gateway,
        state="permitted",
        amount=new.amount,
        currency=payment.currency,
        key=new.key,
        instruction=render.encode(new.instruction),
        provider_ref=None,
        result=None,
        age_ms=0,
        quiet_ms=0,
        checks=0,
        replays=0,
    )


def answer(
    step: Transition, expand: list[str], charge: render.ChargeView | None
) -> tuple[int, msgspec.Raw]:
    """Status and body for the request that asked for a step."""
    after = step.after
    shown = None if charge is None else render.charge(after, charge)
    intent = render.payment_intent(after, charge=shown if "latest_charge" in expand else None)
    if step.error is not None:
        status = 402 if step.error["type"] == "card_error" else 400
        return status, render.encode(render.card_error(step.error, intent))
    if step.refund is None:
        return 200, render.encode(intent)
    expanded: dict[str, Any] = {}
    if "payment_intent" in expand:
        expanded["payment_intent"] = intent
    if "charge" in expand and shown is not None:
        expanded["charge"] = shown
    return 200, render.encode(render.refund(step.refund, after, expanded=expanded))
