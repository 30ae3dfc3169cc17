"""How a decision becomes the row that writes it."""

from collections.abc import Callable
from typing import Any

import msgspec

from bailiwick.base.ids import new_id, new_token, part_id
from bailiwick.base.objects import API_VERSION, encode, text
from bailiwick.channels.contract import Instruction, Operation
from bailiwick.delivery.webhooks import Endpoints
from bailiwick.idempotency.rows import Claim
from bailiwick.orders.attempts import Attempt, AttemptNew, AttemptStep, KnownObject
from bailiwick.orders.kinds import Kind, Kinds
from bailiwick.orders.rows import Beside, OrderMove, Told, more
from bailiwick.orders.steps import LOOK_MS
from bailiwick.orders.transition import Order, Transition
from bailiwick.routing.gateways import Gateways
from bailiwick.topology.snapshot import World

_PREFIXES = {Operation.CHARGE: "ch", Operation.SETUP: "setatt"}
"""Of attempts that clients know by their ids; of all others ``at``."""


class RowBuilder:
    """Makes rows: new attempts, and moves with their events."""

    def __init__(
        self,
        node: int,
        gateways: Gateways,
        endpoints: Endpoints,
        world: Callable[[], World],
        kinds: Kinds,
    ) -> None:
        self._node = node
        self._gateways = gateways
        self._endpoints = endpoints
        self._world = world
        self._kinds = kinds

    def attempt_new(
        self,
        order: Order,
        instruction: Instruction,
        gateway: str,
        key: str | None,
        acts_on: str | None = None,
    ) -> AttemptNew:
        """An attempt to commit for an instruction, under a reference of its own."""
        prefix = _PREFIXES.get(instruction.operation, "at")
        identifier = part_id(prefix, order.id, order.attempts + 1)
        chosen = self._gateways.get(gateway)
        instruction = msgspec.structs.replace(
            instruction,
            reference=identifier,
            callback_url=None if chosen is None else chosen.callback_url,
            return_url=None if chosen is None else chosen.back_to(instruction, identifier),
            context=None if chosen is None else chosen.context(),
        )
        return AttemptNew(
            id=identifier,
            number=order.attempts + 1,
            operation=str(instruction.operation),
            gateway=gateway,
            amount=instruction.amount,
            epoch=self._world().epoch,
            instruction=instruction,
            acts_on=acts_on,
            key=key,
        )

    def attempt_step(self, attempt: Attempt, instruction: Instruction) -> AttemptStep:
        """The next step of an attempt to commit, with a context of its own."""
        chosen = self._gateways.get(attempt.gateway)
        context = None if chosen is None else chosen.context()
        return AttemptStep(
            id=attempt.id,
            epoch=self._world().epoch,
            check_ms=LOOK_MS,
            instruction=msgspec.structs.replace(instruction, context=context),
            provider_ref=instruction.provider_ref,
        )

    def event(self, order: Order, type_: str) -> tuple[str, list[str] | None]:
        """The id of an event of an order, and the webhook endpoints to which it is owed."""
        wanting = self._endpoints.wanting(order.merchant, order.livemode, type_)
        return new_id("evt", self._node, order.updated_ms), wanting

    def _also(self, order: Order, names: tuple[str, ...], endpoints: list[str]) -> list[str]:
        """To whom what is told beside an order's event is owed, behind those to whom that is."""
        owed = list(endpoints)
        for number, name in enumerate(names, 2):
            wanting = self._endpoints.wanting(order.merchant, order.livemode, name)
            owed += [f"{each}/{number}" for each in wanting or ()]
        return owed

    def told(self, order: Order, beside: Beside | None) -> Beside | None:
        """What is written beside an order, with the events that it is told by."""
        if beside is None:
            return None
        found: dict[str, msgspec.Struct | list[Told]] = {}
        for name, row in beside.items():
            if isinstance(row, list):
                found[name] = [self._with_event(order, each) for each in row]
            else:
                found[name] = self._with_event(order, row) if isinstance(row, Told) else row
        return found

    def _with_event(self, order: Order, row: Told) -> Told:
        event_id, endpoints = self.event(order, row.event)
        return msgspec.structs.replace(row, event_id=event_id, endpoints=endpoints)

    def move(
        self,
        kind: Kind,
        step: Transition[Any],
        *,
        claim: Claim | None = None,
        answer_key: str | None = None,
        status: int = 200,
        body: msgspec.Raw | None = None,
        plain: bool = False,
        known: KnownObject | None = None,
    ) -> OrderMove:
        """The row that writes a step. A ``plain`` answer is the event's body, and stored once."""
        before, after = step.before, step.after
        event_body = body if body is not None and plain else kind.event_body(step)
        event_id, endpoints = self.event(after, step.event)
        also = self._kinds.also(step)
        ends = step.attempt_ends or []
        end = ends[0] if ends else None
        postings = step.postings
        common: dict[str, Any] = {
            "id": after.id,
            "expected_version": before.version,
            "expected_state": before.state,
            "writer": new_token(),
            "now_ms": after.updated_ms,
            "state": after.state,
            "attempts": after.attempts,
            "open_attempt": after.open_attempt,
            "event_id": event_id,
            "event_type": step.event,
            "event_body": _plain(event_body),
            "endpoints": endpoints,
            "more": more(
                claim=claim,
                ends=ends[1:],
                attempt_new=step.attempt_new,
                review=step.review,
                beside=self.told(after, step.beside),
                known=known,
                attempt_step=step.attempt_step,
            ),
        }
        if also:
            common["also"] = " ".join(also)
            common["endpoints"] = self._also(after, also, endpoints or []) or None
        if end is not None:
            common["end_id"] = end.id
            common["end_state"] = end.state
            common["end_ref"] = end.provider_ref
            common["end_result"] = end.result
            common["end_check_ms"] = end.check_ms
        if postings is not None:
            common["debits"] = [each.debit for each in postings]
            common["credits"] = [each.credit for each in postings]
            common["amounts"] = [each.amount for each in postings]
        if answer_key is not None:
            common["answer_key"] = answer_key
            common["answer_status"] = status
            common["answer_version"] = API_VERSION
            common["answer_body"] = _plain(body) if body and not plain else None
        return kind.move_row(step, common)


def _plain(raw: msgspec.Raw) -> str:
    return bytes(raw).decode()


def content(order: Any) -> str:
    """What describes an order, as its event keeps it."""
    return text(order)


def stored_attempt(order: Order, new: AttemptNew) -> Attempt:
    """A new attempt as it stands in the database after its commit."""
    return Attempt(
        id=new.id,
        subject=order.id,
        number=new.number,
        acts_on=new.acts_on,
        merchant=order.merchant,
        livemode=order.livemode,
        operation=new.operation,
        gateway=new.gateway,
        state="permitted",
        amount=new.amount,
        currency=order.currency,
        key=new.key,
        instruction=encode(new.instruction),
        provider_ref=None,
        result=None,
        age_ms=0,
        quiet_ms=0,
        checks=0,
        replays=0,
    )
