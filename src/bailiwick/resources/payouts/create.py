"""A new payout: the amount leaves the balance in the commit that permits it to be sent.

That the balance has it is held by the database (``payout_room`` and the trigger on ``payout``,
under a lock of the merchant's money in that currency): two payouts at once cannot take the same
money. What is read here before only tells it in time and in words.
"""

from typing import Any

import msgspec

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import new_id, new_token
from bailiwick.base.money import AMOUNT_MAX, check_multiple, payment_currency
from bailiwick.base.objects import encode, text
from bailiwick.channels.contract import Instruction, Operation
from bailiwick.idempotency.requests import Answer, IdempotentRequest, first_write, packed
from bailiwick.jurisdiction.assign import Assignment
from bailiwick.jurisdiction.locate import Location
from bailiwick.ledger import postings as ledger
from bailiwick.orders.attempts import AttemptNew
from bailiwick.orders.machine import Machine
from bailiwick.orders.row_builder import content
from bailiwick.resources.payments.create import assignment_shown
from bailiwick.resources.payouts import render, stored
from bailiwick.resources.payouts.kind import KIND
from bailiwick.resources.payouts.params import TYPES, CreatePayout
from bailiwick.resources.payouts.rows import Details, Payout, PayoutCreate, Progress
from bailiwick.resources.payouts.states import State
from bailiwick.routing.gateway import Gateway
from bailiwick.runtime.crash import crash_point
from bailiwick.serving.params import merged
from bailiwick.store.lanes import BadRow, Written

INSUFFICIENT = "balance_insufficient"
_replace = msgspec.structs.replace


class PayoutCreation:
    """Makes payouts."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def create(
        self,
        asked: IdempotentRequest,
        request: CreatePayout,
        location: Location,
        assignment: Assignment,
    ) -> Answer:
        """A new payout, sent at once.

        Raises:
            ApiError: 400, the request is wrong, or what is here of the balance does not cover it;
                503, nothing could be written, or no gateway is open now.
        """
        replayed = await self._machine.keys.replay(asked)
        if replayed is not None:
            return replayed
        currency = payment_currency(request.currency)
        check_amount(request.amount, currency)
        gateway = await self._gateway(asked, request.amount, currency)
        payout, attempt = self._draft(asked, request, location, assignment, gateway)
        row = self._row(asked, payout, attempt)
        crash_point("create.before")
        written = await first_write(self._write(row))
        if not written.done:
            return await self._machine.command.lost(asked)
        crash_point("create.committed")
        return await self._machine.command.carry_out(asked, payout, attempt, written)

    async def _write(self, row: PayoutCreate) -> Written:
        try:
            return await self._machine.store.write(KIND.table.create_lane, row)
        except BadRow as refused:
            if INSUFFICIENT in str(refused):
                raise insufficient("this node") from None
            raise

    async def _gateway(self, asked: IdempotentRequest, amount: int, currency: str) -> Gateway:
        """The gateway that pays it out: open, able, and with the money. Raises ApiError."""
        machine = self._machine
        able = [each for each in machine.gateways.all() if _able(each, asked.livemode, currency)]
        if not able:
            raise ApiError.invalid(
                f"No gateway of this node pays out in {currency}: give a location whose node has "
                "one, or ask the operator.",
                param="currency",
                code="payouts_not_allowed",
            )
        held = await stored.room(machine.store, asked.merchant.id, asked.livemode, currency)
        if sum(held.values()) < amount:
            raise insufficient("this node", max(0, sum(held.values())))
        rich = [each for each in able if held.get(each.name, 0) >= amount]
        if not rich:
            most = max(held.get(each.name, 0) for each in able)
            raise insufficient("any one of its providers", max(0, most))
        for gateway in rich:
            if _open(gateway):
                return gateway
        raise ApiError.unavailable(
            f"Gateway '{rich[0].name}', which holds the money, takes nothing now "
            f"({rich[0].usage}). Retry with the same Idempotency-Key."
        )

    def _draft(
        self,
        asked: IdempotentRequest,
        request: CreatePayout,
        location: Location,
        assignment: Assignment,
        gateway: Gateway,
    ) -> tuple[Payout, AttemptNew]:
        """The payout that a request describes, and the attempt that sends it; not written yet."""
        now = now_ms()
        where: dict[str, Any] = msgspec.to_builtins(location)
        where.pop("coordinates", None)
        kind = TYPES[request.where_to.partition("_")[0]]
        payout = Payout(
            id=new_id(KIND.prefix, self._machine.node, now),
            merchant=asked.merchant.id,
            livemode=asked.livemode,
            version=1,
            state=State.PENDING.value,
            epoch=assignment.epoch,
            amount=request.amount,
            currency=payment_currency(request.currency),
            created_ms=now,
            updated_ms=now,
            details=Details(
                destination=request.where_to,
                type=kind,
                location=where,
                assignment=assignment_shown(assignment),
                method=request.method,
                source_type=request.source_type,
                statement_descriptor=request.statement_descriptor,
                description=request.description,
            ),
            progress=Progress(metadata=merged({}, request.metadata)),
            gateway=gateway.name,
        )
        instruction = Instruction(
            operation=Operation.PAYOUT,
            reference="",
            amount=payout.amount,
            currency=payout.currency,
            payment_method_type=kind,
            payment_method=request.where_to,
            description=request.statement_descriptor,
        )
        new = self._machine.rows.attempt_new(payout, instruction, gateway.name, asked.key)
        return _replace(payout, attempts=new.number, open_attempt=new.id), new

    def _row(self, asked: IdempotentRequest, payout: Payout, attempt: AttemptNew) -> PayoutCreate:
        event = "payout.created"
        event_id, endpoints = self._machine.rows.event(payout, event)
        (posting,) = ledger.payout_made(payout.gateway, payout.merchant, payout.amount)
        return PayoutCreate(
            id=payout.id,
            merchant=payout.merchant,
            livemode=payout.livemode,
            identity=asked.identity,
            key=asked.key,
            request_hash=asked.request_hash,
            operation=asked.operation,
            expand=packed(asked.expand),
            writer=new_token(),
            now_ms=payout.created_ms,
            epoch=payout.epoch,
            state=payout.state,
            amount=payout.amount,
            currency=payout.currency,
            content=content(payout),
            event_id=event_id,
            event_type=event,
            event_body=bytes(encode(render.payout(payout))).decode(),
            endpoints=endpoints,
            attempt_id=attempt.id,
            gateway=attempt.gateway,
            instruction=text(attempt.instruction),
            debit=posting.debit,
            credit=posting.credit,
        )


def _able(gateway: Gateway, livemode: bool, currency: str) -> bool:
    facts = gateway.facts()
    takes = not facts.currencies or currency in facts.currencies
    return Operation.PAYOUT in gateway.profile.resolve and facts.livemode == livemode and takes


def check_amount(amount: int, currency: str) -> None:
    """Refuse an amount that nobody can pay out. Raises ApiError (400) that names ``amount``."""
    if amount > AMOUNT_MAX:
        raise ApiError.invalid(
            f"Amount must be no more than {AMOUNT_MAX}.", param="amount", code="amount_too_large"
        )
    check_multiple(amount, currency, "amount")


def insufficient(where: str, available: int | None = None) -> ApiError:
    """The balance does not cover it; ``available``: minor units that would be."""
    so_much = "" if available is None else f": {available} is available there"
    return ApiError.invalid(
        f"You have insufficient funds at {where} for this payout{so_much}.",
        param="amount",
        code=INSUFFICIENT,
    )


def _open(gateway: Gateway) -> bool:
    """A gateway that is drained still pays out what it holds."""
    return (gateway.able if gateway.state == "draining" else gateway.usage) == "open"
