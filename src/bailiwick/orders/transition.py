"""What an order is to the machine, and one change of it with all that is written in its commit.

Whoever decides makes a ``Transition`` and writes nothing; the machine writes it. So the same
decision serves an answer, a callback and the resolver, and can be tried without a database.
"""

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from bailiwick.base.objects import Object
from bailiwick.channels.contract import Outcome, Result
from bailiwick.ledger.postings import Posting
from bailiwick.orders.attempts import Attempt, AttemptEnd, AttemptNew, AttemptStep
from bailiwick.orders.rows import Beside, Review

UNSENT = frozenset({"unsent", "not_expressible", "not_prepared", "channel_defect"})
"""Details of a definite no for which no byte has left this process."""
SUSPICIOUS = frozenset(
    {"amount_missing", "amount_mismatch", "currency_mismatch", "reference_mismatch"}
)
"""Details of answers that nothing may be booked by, and that a person must look at."""


class Order(Protocol):
    """What the machine reads of an order, whatever kind it is."""

    @property
    def id(self) -> str: ...
    @property
    def merchant(self) -> str: ...
    @property
    def livemode(self) -> bool: ...
    @property
    def version(self) -> int: ...
    @property
    def state(self) -> str: ...
    @property
    def currency(self) -> str: ...
    @property
    def updated_ms(self) -> int: ...
    @property
    def attempts(self) -> int: ...
    @property
    def open_attempt(self) -> str | None: ...


OrderT = TypeVar("OrderT", bound=Order)


class Part(msgspec.Struct, frozen=True):
    """An object beside an order that an event and an answer are about.

    Attributes:
        shown: the order afterwards, and objects that stand for their ids, to the object.
    """

    row: Any
    shown: Callable[[Any, Object], Object]


class Transition(msgspec.Struct, Generic[OrderT], frozen=True, kw_only=True):
    """One change of an order and all that belongs to it.

    Attributes:
        definite: the outcome of the attempt is known: its request's answer may be stored.
        error: what the request's answer says instead of the object, for a decline or refusal.
        part: what event and answer are about instead of the order: a refund.
        beside: the rows that are written for it, by the names that the kind's part of
            ``move.sql`` reads.
    """

    before: OrderT
    after: OrderT
    event: str
    definite: bool = False
    error: dict[str, Any] | None = None
    attempt_ends: list[AttemptEnd] | None = None
    attempt_new: AttemptNew | None = None
    attempt_step: AttemptStep | None = None
    part: Part | None = None
    beside: Beside | None = None
    postings: list[Posting] | None = None
    review: Review | None = None


def closed(result: Result) -> str:
    """The end state of an attempt that definitely moved nothing."""
    return "unsent" if result.detail in UNSENT else "declined"


def ended(attempt: Attempt, state: str, result: Result, check_ms: int | None = None) -> AttemptEnd:
    """The end of an attempt, or that it is put off for ``check_ms`` milliseconds."""
    kept = {
        key: value
        for key, value in (
            ("outcome", str(result.outcome)),
            ("amount", result.amount),
            ("currency", result.currency),
            ("code", result.code),
            ("decline_code", result.decline_code),
            ("message", result.message),
            ("detail", result.detail),
        )
        if value is not None
    }
    said = msgspec.json.encode(kept).decode()
    return AttemptEnd(attempt.id, state, result.provider_ref, said, check_ms)


def review_of(attempt: Attempt, result: Result) -> Review | None:
    """The review that a suspicious answer asks for."""
    suspicious = result.detail in SUSPICIOUS
    return Review(attempt.id, str(result.detail)) if suspicious else None


def repeats(attempt: Attempt, result: Result) -> bool:
    """Whether an answer that is not definite tells nothing new."""
    state = "pending" if result.outcome is Outcome.PENDING else "unknown"
    if attempt.state != state:
        return False
    if result.detail not in SUSPICIOUS:
        return True
    seen = {} if attempt.result is None else msgspec.json.decode(attempt.result)
    return bool(seen.get("detail") == result.detail)
