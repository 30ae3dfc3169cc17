"""The rows that go into the store: what the SQL files take, field by field.

Batches travel as one array of composites per statement. A test compares these structs with the
types of the database and the column lists of the SQL files.
"""

from typing import Any

import msgspec


class Details(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is fixed when a payment is created."""

    client_secret: str
    location: dict[str, Any]
    assignment: dict[str, Any]
    capture_method: str = "automatic"
    method_types: tuple[str, ...] = ("card",)
    automatic_methods: dict[str, Any] | None = None


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """What may change during a payment's life, beside the guarded columns.

    ``method``: the type of payment method by which the latest gateway takes it. ``vaults``: for its
    tokens that belong to a vault, which; the latest last.
    """

    payment_method: str | None = None
    vaults: dict[str, str] = {}
    method: str = "card"
    description: str | None = None
    metadata: dict[str, str] = {}
    receipt_email: str | None = None
    statement_descriptor: str | None = None
    return_url: str | None = None
    setup_future_usage: str | None = None
    customer: str | None = None
    shipping: dict[str, Any] | None = None
    routing: dict[str, Any] | None = None
    last_error: dict[str, Any] | None = None
    action_url: str | None = None
    canceled_ms: int | None = None
    cancellation_reason: str | None = None
    confirmed_elsewhere: dict[str, Any] | None = None


class Payment(msgspec.Struct, frozen=True, omit_defaults=True):
    """A payment as stored. Amounts are minor units of ``currency``."""

    id: str
    merchant: str
    livemode: bool
    version: int
    state: str
    epoch: int
    amount: int
    currency: str
    created_ms: int
    updated_ms: int
    details: Details
    progress: Progress
    amount_capturable: int = 0
    amount_received: int = 0
    amount_refunding: int = 0
    amount_refunded: int = 0
    attempts: int = 0
    open_attempt: str | None = None
    charge_attempt: str | None = None


class Attempt(msgspec.Struct, frozen=True):
    """An attempt as stored; ``instruction`` is what was (or may have been) sent.

    ``age_ms`` counts from its first permit to send, ``quiet_ms`` from its latest, by the
    database's clock.
    """

    id: str
    payment: str
    number: int
    refund: str | None
    merchant: str
    livemode: bool
    operation: str
    gateway: str
    state: str
    amount: int
    currency: str
    key: str | None
    instruction: msgspec.Raw
    provider_ref: str | None
    result: msgspec.Raw | None
    age_ms: int
    quiet_ms: int
    checks: int
    replays: int


class Refund(msgspec.Struct, frozen=True):
    """A refund as stored."""

    id: str
    payment: str
    merchant: str
    livemode: bool
    state: str
    amount: int
    currency: str
    attempt: str
    created_ms: int
    details: dict[str, Any]


class StoredKey(msgspec.Struct, frozen=True):
    """A claimed idempotency key as stored."""

    request_hash: str
    operation: str
    object: str | None
    expand: str | None
    refused: str | None
    writer: int
    answer_status: int | None
    answer_body: str | None


class Create(msgspec.Struct, frozen=True, kw_only=True):
    """One row of ``create.sql``: the fields are those of ``create_row``, in order.

    Attributes:
        content: the payment as JSON; see ``content_of``.
        event_body: None for a body that is rendered from the content when it is asked for.
        answer_status: given, the event's body is the answer.
        identity: the key's, see ``key_identity``.
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
    event_body: str | None = None
    expand: str | None = None
    attempt_id: str | None = None
    gateway: str | None = None
    instruction: str | None = None
    answer_status: int | None = None
    answer_version: str | None = None
    endpoints: list[str] | None = None
    identity: str

    @property
    def identities(self) -> list[str]:
        """Of the keys that it claims."""
        return [self.identity]

    @property
    def seldom(self) -> bool:
        """Whether the row needs the parts of ``create.sql`` that few rows need."""
        return self.endpoints is not None


class Claim(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key to claim together with a move."""

    identity: str
    key: str
    request_hash: str
    operation: str
    object: str | None = None
    expand: str | None = None


class Refuse(msgspec.Struct, frozen=True):
    """One row of ``key_refuse.sql``, tombstones for keys of one merchant: the fields are those
    of ``refuse_row``, in order. The first one's writer token is ``writer``, the next one's higher
    by one, and so on. ``key``: known where the node was shown the request, and then of one."""

    merchant: str
    livemode: bool
    key: str | None
    refused: str
    writer: int
    now_ms: int
    identities: list[str]
    request_hashes: list[str]

    @property
    def id(self) -> str:
        """Any number of rows may be in a batch."""
        return str(self.writer)

    @property
    def seldom(self) -> bool:
        """Every row needs the whole statement."""
        return False


class AttemptEnd(msgspec.Struct, frozen=True, omit_defaults=True):
    """A new state of an attempt. ``result``: what the provider said, as JSON. ``check_ms`` from
    now the resolver looks; None: it is closed."""

    id: str
    state: str
    provider_ref: str | None = None
    result: str | None = None
    check_ms: int | None = None


class AttemptNew(msgspec.Struct, frozen=True, omit_defaults=True):
    """An attempt to commit: the permit to send its instruction once."""

    id: str
    number: int
    operation: str
    gateway: str
    amount: int
    epoch: int
    instruction: Any
    refund: str | None = None
    key: str | None = None


class RefundNew(msgspec.Struct, frozen=True):
    """A refund to write with its attempt."""

    id: str
    state: str
    amount: int
    attempt: str
    details: dict[str, Any]


class RefundEnd(msgspec.Struct, frozen=True):
    """A new state of a refund."""

    id: str
    state: str
    details: dict[str, Any]


class Posting(msgspec.Struct, frozen=True):
    """A double entry: ``amount`` (positive minor units) to ``debit`` from ``credit``."""

    debit: str
    credit: str
    amount: int


class Review(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something a person must look at."""

    attempt: str
    reason: str
    detail: str | None = None


class More(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What few moves bring along; it travels as one JSON document.

    ``ends``: attempts that end beside the one that the move is about.
    """

    claim: Claim | None = None
    ends: list[AttemptEnd] | None = None
    attempt_new: AttemptNew | None = None
    refund_new: RefundNew | None = None
    refund_end: RefundEnd | None = None
    review: Review | None = None


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One row of ``move.sql``, a payment from ``expected_version`` to the next: the fields are
    those of ``move_row``, in order.

    Attributes:
        content: the payment as JSON where its details or progress changed, else None.
        end_id: the attempt that ends or is put off; ``end_check_ms`` from now the resolver looks
            at it, None: it is closed.
        debits, credits, amounts: the postings.
        answer_body: None where the event's body is the answer.
        more: a ``More`` as JSON.
    """

    id: str
    expected_version: int
    expected_state: str
    writer: int
    now_ms: int
    state: str
    amount: int
    amount_capturable: int
    amount_received: int
    amount_refunding: int
    amount_refunded: int
    attempts: int
    event_id: str
    event_type: str
    event_body: str
    open_attempt: str | None = None
    charge_attempt: str | None = None
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

    @property
    def seldom(self) -> bool:
        """Whether the row needs the parts of ``move.sql`` that few rows need."""
        return self.more is not None or self.endpoints is not None
