"""The kinds of orders, and what the outcome of each operation on one does: data, in one table.

The machine (claim, permit, call, record the outcome, resolve) is written once. A kind of order
brings a table, a way to show itself, and a handler for each operation at a provider; a resource
that acts on another's orders, as refunds do on payments, brings handlers for those. They are found
in the folders of the resources (``handlers.py``, ``kind.py``).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import DisputeNotice, Instruction, NotBuilt, Operation, Result
from bailiwick.orders.attempts import Attempt
from bailiwick.orders.rows import OrderMove
from bailiwick.orders.steps import Begins
from bailiwick.orders.table import OrderTable
from bailiwick.orders.transition import Transition
from bailiwick.store.database import Store

ActsOn = Callable[[Store, Any, Attempt], Awaitable[Any]]
Completes = Callable[[Store, Instruction], Awaitable[Instruction | NotBuilt]]
Effect = Callable[[Any, Attempt, Any, Result, int, int], Transition[Any] | None]
GivesUp = Callable[[Any, Any, Attempt], Awaitable[Transition[Any] | None]]
Steps = Callable[[Any, Attempt, Result, Begins, int], Transition[Any] | None]
Onward = Callable[[Any, Any, Attempt, Result], Awaitable[Transition[Any] | None]]


class Kind(Protocol):
    """One kind of orders.

    Attributes:
        prefix: of its ids.
        object, label: what the API calls it, in data and in messages.
        param: the parameter that an unknown id is reported for.
        let_go: states in which that nothing was charged is what was asked for.
    """

    @property
    def table(self) -> OrderTable: ...
    @property
    def prefix(self) -> str: ...
    @property
    def object(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def param(self) -> str: ...
    @property
    def let_go(self) -> frozenset[str]: ...

    async def find(self, store: Store, identifier: str) -> Any:
        """An order by id, or None."""

    def move_row(self, step: Transition[Any], common: dict[str, Any]) -> OrderMove:
        """The row of a step; ``common``: the fields that all kinds have."""

    def event_body(self, step: Transition[Any]) -> msgspec.Raw:
        """The object that a step's event tells of, as it is afterwards."""

    def first_event_body(self, content: str) -> msgspec.Raw:
        """The object of an order's first event, from the content that came with it."""

    async def answer(
        self, store: Store, step: Transition[Any], expand: list[str], attempt: Attempt | None
    ) -> tuple[int, msgspec.Raw, bool]:
        """Status and body for the request that asked for a step, and whether the body is the
        object as it is. ``attempt``: the one that the step is about, as it was before."""


class Handler(msgspec.Struct, frozen=True):
    """How the outcome of one operation is decided.

    Attributes:
        outcome: order, attempt, what it acts on, result, now and the time of the next look (both in
            milliseconds) to the transition; None for nothing (more) to do. Pure.
        acts_on: reads the row beside order and attempt that it is about; None: there is none.
        onward: the machine, order, attempt and result to the transition to the attempt that follows
            at once, such as the next gateway's; None where there is none. Without it none does.
        completes: reads what the request needs beside its stored instruction, or says why there is
            none. It is the same whenever it is read. None: nothing is needed.
        charges: it takes money of the payer: a no after a yes contradicts it.
        gives_up: the machine, order and open attempt to the transition that gives it up because
            its time has run out; None where it has not. Without it nothing is given up.
        steps: order, attempt, a result that asks for a step, what makes one of an instruction, and
            now to the transition that permits it; None where there is none to take. Without it the
            operation has one step. Pure.
        back: an order to where a payer who comes back goes on to; None: nowhere. Pure.
        may_return: what was done may come back long after.
    """

    outcome: Effect
    acts_on: ActsOn | None = None
    onward: Onward | None = None
    completes: Completes | None = None
    charges: bool = False
    may_return: bool = False
    gives_up: GivesUp | None = None
    steps: Steps | None = None
    back: Callable[[Any], str | None] | None = None


def alone(outcome: Callable[[Any, Attempt, Result, int, int], Transition[Any] | None]) -> Effect:
    """An outcome that is about the order alone."""
    return lambda order, attempt, _, result, now, look: outcome(order, attempt, result, now, look)


Handlers = Mapping[tuple[str, Operation], Handler]
"""By the prefix of the order's ids, and the operation."""
Disputing = Callable[[Any, Attempt, DisputeNotice], Awaitable[None]]
"""The machine, a charge, and how a dispute of it stands: books all of it that is news. Raises
ApiError, 503: not yet, it has to be told again."""
AsItIs = Callable[[Store, str], Awaitable[msgspec.Raw]]
"""The object with an id as it is now."""


class Named(msgspec.Struct, frozen=True):
    """An event that is told beside another: of which order's version, and what it is called."""

    subject: str
    seq: int
    type: str


class Also(msgspec.Struct, frozen=True):
    """What a resource has told with the moves of another's orders, beside their own events.

    Attributes:
        prefix: of those orders' ids.
        types: of its events.
        of: a move to the types of what is told with it, in order. Pure.
        bodies: the objects of some such events, as they were then: made from what is never changed.
    """

    prefix: str
    types: frozenset[str]
    of: Callable[[Transition[Any]], tuple[str, ...]]
    bodies: Callable[[Store, Sequence[Named]], Awaitable[dict[Named, msgspec.Raw]]]


class Kinds:
    """All kinds of orders that a node has."""

    def __init__(
        self,
        kinds: list[Kind],
        handlers: Handlers,
        objects: Mapping[str, AsItIs],
        disputing: Mapping[str, Disputing] | None = None,
        also: Sequence[Also] = (),
    ) -> None:
        self._kinds = {kind.prefix: kind for kind in kinds}
        self._handlers = {(of, each.value): it for (of, each), it in handlers.items()}
        self._objects = objects
        self._disputing = disputing or {}
        self._also: dict[str, list[Also]] = {}
        for each in also:
            self._also.setdefault(each.prefix, []).append(each)

    def also(self, step: Transition[Any]) -> tuple[str, ...]:
        """The types of events that a move has beside its own, in order."""
        found = self._also.get(step.after.id.partition("_")[0], ())
        return tuple(name for each in found for name in each.of(step))

    async def bodies(self, store: Store, wanted: Sequence[Named]) -> dict[Named, msgspec.Raw]:
        """The objects of events that are told beside others."""
        found: dict[Named, msgspec.Raw] = {}
        for prefix, every in self._also.items() if wanted else ():
            ours = [each for each in wanted if each.subject.startswith(f"{prefix}_")]
            for also in every:
                mine = [each for each in ours if each.type in also.types]
                found |= await also.bodies(store, mine) if mine else {}
        return found

    def of(self, subject: str) -> Kind:
        """The kind of an order, by its id."""
        return self._kinds[subject.partition("_")[0]]

    def known(self, identifier: str) -> Kind | None:
        """The kind of an order, by its id; None for the id of something else."""
        return self._kinds.get(identifier.partition("_")[0])

    def handler(self, attempt: Attempt) -> Handler:
        """How the outcome of an attempt is decided."""
        return self._handlers[attempt.subject.partition("_")[0], attempt.operation]

    def disputing(self, attempt: Attempt) -> Disputing | None:
        """Who books disputes of an attempt; None where nobody does."""
        return self._disputing.get(attempt.subject.partition("_")[0])

    def event_body(self, subject: str, body: str | None, content: str | None) -> msgspec.Raw:
        """The object of an event: as it is stored, or from the content that came with it."""
        if body is not None:
            return msgspec.Raw(body.encode())
        assert content is not None, "an event has a body or content"
        return self.of(subject).first_event_body(content)

    async def as_it_is(self, store: Store, identifier: str) -> msgspec.Raw:
        """The object that a request has made or changed, as it is now. Raises ApiError (500)."""
        shown = self._objects.get(identifier.partition("_")[0])
        if shown is None:
            raise ApiError.defect()
        return await shown(store, identifier)
