"""The rows by which orders are written: what the SQL of the machine takes, field by field.

A batch travels as one array of composites. What all kinds of orders have comes first, then a
kind's own columns: it makes structs of its own from these. A test compares them with the types of
the database.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from bailiwick.idempotency.rows import Claim
from bailiwick.orders.attempts import AttemptEnd, AttemptNew, AttemptStep, KnownObject


class Review(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something a person must look at."""

    attempt: str
    reason: str
    detail: str | None = None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What is written beside an order, with an event of its own.

    Attributes:
        event: its type.
        event_id, endpoints: filled in where rows are built.
    """

    event: str
    event_id: str = ""
    endpoints: list[str] | None = None


Beside = Mapping[str, msgspec.Struct | list[Told]]
"""What is written beside an order, by the names that its statements read."""


class OrderCreate(msgspec.Struct, frozen=True, kw_only=True):
    """A new order: one row of ``create.sql``.

    Attributes:
        amount: minor units of ``currency``.
        content: the order as JSON.
        identity: the key's, see ``key_identity``.
        event_body: None for a body that is rendered from the content when it is asked for.
        answer_status: given, the event's body is the answer.
        endpoints: to which the event is owed.
    """

    id: str
    merchant: str
    livemode: bool
    key: str
    request_hash: str
    operation: str
    writer: int
    now_ms: int
    epoch: int
    state: str
    amount: int
    currency: str
    content: str
    event_id: str
    event_type: str
    identity: str
    event_body: str | None = None
    expand: str | None = None
    attempt_id: str | None = None
    gateway: str | None = None
    instruction: str | None = None
    answer_status: int | None = None
    answer_version: str | None = None
    endpoints: list[str] | None = None


class OrderMove(msgspec.Struct, frozen=True, kw_only=True):
    """An order from ``expected_version`` to the next: one row of ``move.sql``.

    Attributes:
        content: the order as JSON where more of it changed than the guarded columns, else None.
        end_id: the attempt that ends or is put off; ``end_check_ms`` from now the resolver looks
            at it, None: it is closed.
        debits, credits, amounts: the postings.
        answer_body: None where the event's body is the answer.
        more: what few moves bring along (see ``more``), as JSON.
    """

    id: str
    expected_version: int
    expected_state: str
    writer: int
    now_ms: int
    state: str
    attempts: int
    event_id: str
    event_type: str
    event_body: str
    open_attempt: str | None = None
    content: str | None = None
    end_id: str | None = None
    end_state: str | None = None
    end_ref: str | None = None
    end_result: str | None = None
    end_check_ms: int | None = None
    debits: list[str] | None = None
    credits: list[str] | None = None
    amounts: list[int] | None = None
    answer_key: str | None = None
    answer_status: int | None = None
    answer_body: str | None = None
    answer_version: str | None = None
    endpoints: list[str] | None = None
    more: str | None = None


def more(
    *,
    claim: Claim | None = None,
    ends: list[AttemptEnd] | None = None,
    attempt_new: AttemptNew | None = None,
    review: Review | None = None,
    beside: Beside | None = None,
    known: KnownObject | None = None,
    attempt_step: AttemptStep | None = None,
) -> str | None:
    """What few moves bring along, as one JSON document; None for nothing.

    ``ends``: attempts that end beside the one that the move is about. ``beside``: what the kind
    writes beside its order, by the names that its part of ``move.sql`` reads.
    """
    if not (claim or ends or attempt_new or review or beside or known or attempt_step):
        return None
    given: dict[str, Any] = {
        "claim": claim,
        "ends": ends,
        "attempt_new": attempt_new,
        "review": review,
        "known": known,
        "attempt_step": attempt_step,
        **(beside or {}),
    }
    brought = {name: value for name, value in given.items() if value}
    return msgspec.json.encode(brought).decode()
