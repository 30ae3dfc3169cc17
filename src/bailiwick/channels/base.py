"""The contract between the node and a channel: pure data and pure functions.

A channel turns an ``Instruction`` into a ``Request`` and a ``Reply`` into a ``Result``; it never
touches a socket, a clock or a database. The transport (``channels.transports.http``) turns a
request into an ``Exchange`` and says exactly how far it got. What an answer *means* for money is
one of four outcomes, never a boolean; a channel that cannot tell says ``unknown``.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

import msgspec

from bailiwick.channels.dispute_notice import DisputeNotice
from bailiwick.channels.documents import Document


class Operation(StrEnum):
    """What a provider is asked to do. A setup is a payer's agreement to later charges: no money
    moves. A void refers to one, or to a charge, as increments, captures and refunds do; evidence
    and to concede, to a dispute. The last two send money to the merchant, and call that back."""

    CHARGE = "charge"
    INCREMENT = "increment"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"
    SETUP = "setup"
    EVIDENCE = "evidence"
    CONCEDE = "concede"
    PAYOUT = "payout"
    PAYOUT_CANCEL = "payout_cancel"


ON_CHARGES = (Operation.CHARGE, Operation.CAPTURE, Operation.VOID, Operation.REFUND)
"""Those that every channel has."""

PAYOUT_CANCELED = "payout_canceled"
"""Code of a definite no: the payout was canceled at the provider."""


class Outcome(StrEnum):
    """What is known about an operation after asking the provider."""

    APPROVED = "approved"
    DECLINED = "declined"
    PENDING = "pending"
    UNKNOWN = "unknown"


class Phase(StrEnum):
    """How far an exchange got. Only ``unsent`` proves that the provider knows nothing."""

    UNSENT = "unsent"
    SENT = "sent"
    ANSWERED = "answered"


class Resolve(StrEnum):
    """The ways in which a channel's unknown outcomes can be made definite."""

    REFERENCE = "reference"
    PROVIDER_ID = "provider_id"
    REPLAY = "replay"
    CALLBACK = "callback"
    STATEMENT = "statement"


class Account(msgspec.Struct, frozen=True):
    """A connected account at a provider: where it is and the secrets to speak with it."""

    gateway: str
    base_url: str
    secrets: dict[str, str]
    livemode: bool = False

    def __repr__(self) -> str:
        return f"Account(gateway={self.gateway!r}, base_url={self.base_url!r}, secrets=...)"


class Instruction(msgspec.Struct, frozen=True, omit_defaults=True):
    """One provider operation, in our own terms.

    Attributes:
        reference: our reference of this operation, unique for ever; also the key under which a
            replay is recognised by providers that support it.
        amount: minor units of ``currency``: to charge, capture or refund; for a void, the hold; for
            an increment, the hold as it is to be, all of it; 0 for a setup, and a void of one.
        currency: upper-case ISO 4217 code; ``XXX`` for a setup.
        automatic: for a charge: capture at once (else only authorize).
        final: for a capture: what is not captured is released (else it stays held).
        overcapture: for a charge: its final capture may take more than is authorized.
        payment_method_type: how the payer pays (``card``).
        payment_method: the payer's payment method token, passed through; for a payout, the token of
            its destination.
        provider_ref: the provider's id of the object acted upon: the charge for capture, void
            and refund, the dispute or payout for what is about one; for a query of an operation,
            what the provider called it, if known.
        charge_reference: our reference of the charge acted upon.
        evidence, files: against a dispute: texts, and files, by the names of the API's fields.
        store: for a charge: the payer agrees to be charged again by this payment method.
        off_session: for a charge: the payer is not there, and can do nothing for it.
        agreement: the provider's reference of what the payer has agreed to, for such a charge.
    """

    operation: Operation
    reference: str
    amount: int
    currency: str
    automatic: bool = True
    # Stored instructions have the shorter names.
    payment_method_type: str = msgspec.field(default="card", name="method")
    payment_method: str | None = msgspec.field(default=None, name="token")
    provider_ref: str | None = None
    charge_reference: str | None = None
    description: str | None = None
    return_url: str | None = None
    callback_url: str | None = None
    payment: str | None = None
    final: bool = True
    overcapture: bool = False
    evidence: dict[str, str] = {}
    files: dict[str, Document] = {}
    store: bool = False
    off_session: bool = False
    agreement: str | None = None


class Request(msgspec.Struct, frozen=True):
    """A request to a provider, ready to send."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes = b""

    def __repr__(self) -> str:
        return f"Request({self.method} {self.url.partition('?')[0]}, {len(self.body)} bytes)"


class Reply(msgspec.Struct, frozen=True):
    """A complete answer of a provider. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"Reply({self.status}, {len(self.body)} bytes)"


INVALID_REQUEST = "invalid_request"
"""Why an exchange was ``unsent``: what the channel made is no request."""


class Exchange(msgspec.Struct, frozen=True):
    """How one request went: the phase reached, the reply if complete, else what stopped it."""

    phase: Phase
    reply: Reply | None = None
    error: str | None = None


class Permit(msgspec.Struct, frozen=True):
    """Leave to send the first byte of one request until this boot-time instant (nanoseconds)."""

    expires_boot_ns: int


class Result(msgspec.Struct, frozen=True):
    """What a provider's answer says about one operation.

    Attributes:
        provider_ref: the provider's id of the object (charge or refund).
        amount: minor units that the provider says it took, held, captured or returned.
        captured: for a charge: the money is taken (True) or only held (False).
        code, decline_code, message: why it was declined, in Stripe's documented vocabulary.
        action_url: where the payer must go before the provider goes on.
        not_found: a look-up found no such operation: proves nothing by itself, see
            ``Profile.visibility_ms``.
        retryable: for a decline: another gateway may be tried (the provider is unable, not the
            payer refused).
        detail: a short machine-readable word for the record; never provider text. Of a pending
            payout, ``in_transit`` says that it was sent on.
        agreement: of an approved setup, or charge that asked to ``store``: the reference of it.
    """

    outcome: Outcome
    provider_ref: str | None = None
    amount: int | None = None
    currency: str | None = None
    captured: bool = True
    code: str | None = None
    decline_code: str | None = None
    message: str | None = None
    action_url: str | None = None
    not_found: bool = False
    retryable: bool = False
    detail: str | None = None
    agreement: str | None = None


class NotBuilt(Result, frozen=True):
    """A definite no of our own: the request could not be built, so nothing was sent.

    ``param``: the parameter of the client's request that is at fault, where there is one.
    """

    param: str | None = None


class CannotExpress(ValueError):
    """This channel cannot express an instruction; another provider's may.

    The message is for the client: what is wrong and the remedy, nothing of secrets.
    """

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


def unknown(detail: str) -> Result:
    """The only honest reading of anything that is not a definite answer."""
    return Result(Outcome.UNKNOWN, detail=detail)


NO_SUCH_METHOD = "no_such_method"
"""The detail of ``no_such_method``."""


def no_such_method() -> Result:
    """A definite no to a charge: the provider's account does not know the payment method."""
    message = "The provider does not know this payment method."
    return Result(Outcome.DECLINED, code="resource_missing", message=message, detail=NO_SUCH_METHOD)


class CallbackEvent(msgspec.Struct, frozen=True):
    """A callback whose signature was checked.

    Attributes:
        notice_id: the provider's id of this delivery, for permanent deduplication.
        reference: our reference of the operation, if the provider repeats it.
        provider_ref: the provider's id of the object.
        result: what it says; None where the channel's callbacks are not proof by themselves
            (unsigned, static token), so that the node asks the provider.
        dated: it was signed long ago, or ahead of time: the node asks the provider before it
            believes ``result``.
        dispute: it is about a dispute of the charge, and says nothing of the operation.
    """

    notice_id: str
    operation: Operation
    reference: str | None = None
    provider_ref: str | None = None
    result: Result | None = None
    dated: bool = False
    dispute: DisputeNotice | None = None


class CallbackRefused(Exception):
    """A callback that is forged, altered or not for this account."""


class Profile(msgspec.Struct, frozen=True):
    """What a channel declares about itself; routing, resolver, contract suite and docs use it.

    Attributes:
        resolve: per operation, the ways to end an unknown, in the order to try them. An operation
            that is not there the channel does not have: ``INCREMENT`` is such a one at many.
        visibility_ms: how long a finished operation may stay invisible to a look-up: before
            that, "not found" means nothing.
        replay_ms: how long the provider recognises a repeated reference; after that a repeat
            would be a new operation, so it is never sent.
        exponents: currencies whose minor unit differs from ISO 4217 at this provider.
        multiples: currencies in which only multiples of so many of our minor units can be
            expressed at this provider: amounts of charges, captures and refunds alike.
        transport: how requests travel: the name of a module in ``channels.transports``.
        partial_approval: an approval of less than was asked for is legitimate here.
        multiple_captures: a hold can be captured in several parts.
        agreements: what the payer has agreed to is stored, and told with later charges.
        evidence_files: files are taken as evidence, together with the texts.
        overcapture_percent: how much more than was authorized a hold's captures may take.
        hold_ms: how long a hold lasts after its authorization.
        shared_tokens: a regular expression, for the whole text, of the payment methods that every
            account of the provider knows: its published test tokens. They are such in test mode
            only. Any other token belongs to one account's vault.
    """

    name: str
    title: str
    resolve: dict[Operation, tuple[Resolve, ...]]
    visibility_ms: int
    replay_ms: int = 0
    transport: str = "http"
    methods: tuple[str, ...] = ("card",)
    currencies: tuple[str, ...] | None = None
    exponents: dict[str, int] = {}
    multiples: dict[str, int] = {}
    manual_capture: bool = True
    partial_capture: bool = True
    partial_refund: bool = True
    partial_approval: bool = False
    multiple_captures: bool = False
    overcapture_percent: int = 0
    agreements: bool = False
    evidence_files: bool = False
    hold_ms: int = 7 * 24 * 3_600_000
    redirects: bool = True
    signed_callbacks: bool = True
    secrets: tuple[str, ...] = ("api_key",)
    shared_tokens: str | None = None
    connect_ms: int = 3_000
    first_byte_ms: int = 20_000
    total_ms: int = 30_000
    answer_bytes_max: int = 1_048_576


class Channel(Protocol):
    """How one provider speaks. Implementations are pure: one file, no I/O."""

    profile: Profile

    def check(self, account: Account) -> Request:
        """A harmless request that proves the account's credentials."""
        ...

    def parse_check(self, reply: Reply) -> str | None:
        """None when the credentials hold, else what is wrong and the remedy."""
        ...

    def request(self, instruction: Instruction, account: Account) -> Request:
        """The request that carries out an instruction; the same bytes for the same input.

        Raises:
            CannotExpress: this provider has no way to say it.
        """
        ...

    def parse(self, instruction: Instruction, reply: Reply) -> Result:
        """Read the answer to ``request``. Never raises: what it cannot read is ``unknown``."""
        ...

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        """A read-only request that tells how an instruction ended; None if ``way`` has none."""
        ...

    def parse_query(self, instruction: Instruction, reply: Reply, way: Resolve) -> Result:
        """Read the answer to ``query``."""
        ...

    def callback(
        self, headers: Mapping[str, str], body: bytes, account: Account, now_ms: int
    ) -> CallbackEvent | None:
        """Check and read a callback; None for a genuine one that is of no interest.

        Raises:
            CallbackRefused: not genuine; nothing of it may be used.
        """
        ...


def agreed(instruction: Instruction, result: Result, profile: Profile) -> Result:
    """Distrust an approval whose amount or currency is missing or not the one asked for, and
    anything definite about another currency.

    It is never booked as a success: the money may have moved, so it is unknown, and a person
    or a later definite answer decides.
    """
    if result.outcome is Outcome.UNKNOWN:
        return result
    if result.currency is not None and result.currency != instruction.currency:
        return msgspec.structs.replace(result, outcome=Outcome.UNKNOWN, detail="currency_mismatch")
    if result.outcome is not Outcome.APPROVED:
        return result
    if result.amount is None or result.currency is None:
        return msgspec.structs.replace(result, outcome=Outcome.UNKNOWN, detail="amount_missing")
    less = 0 < result.amount < instruction.amount and profile.partial_approval
    less = less and instruction.operation is not Operation.INCREMENT
    if result.amount != instruction.amount and not less:
        return msgspec.structs.replace(result, outcome=Outcome.UNKNOWN, detail="amount_mismatch")
    return result


def of_same(known: str | None, result: Result) -> Result:
    """Distrust what is told of another object of the provider than the one that is known.

    The other id is not kept: it would take the known one's place.
    """
    if known is None or result.provider_ref in (None, known):
        return result
    return unknown("reference_mismatch")


def read(channel: Channel, instruction: Instruction, exchange: Exchange) -> Result:
    """What an exchange that may have reached the provider says about the instruction."""
    if exchange.reply is None:
        return unknown(exchange.error or "no_answer")
    return agreed(instruction, channel.parse(instruction, exchange.reply), channel.profile)
