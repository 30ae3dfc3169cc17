"""What a channel declares about itself. Pure."""

from collections.abc import Collection
from typing import Any

import msgspec

from bailiwick.channels.contract.callbacks import Acknowledgement, AnswerScheme, CallbackScheme
from bailiwick.channels.contract.messages import Instruction
from bailiwick.channels.contract.operations import Operation, Resolve
from bailiwick.channels.contract.payers import Takes


class Profile(msgspec.Struct, frozen=True):
    """What a channel declares about itself; routing, resolver, contract suite and docs use it.

    Attributes:
        resolve: per operation, the ways to end an unknown, in the order to try them. An operation
            that is not there the channel does not have: ``INCREMENT`` is such a one at many.
        steps: requests that a charge takes beside its first one, by name, and for each the ways to
            end an unknown. A reading says when one is due (``Result.step``).
        visibility_ms: how long a finished operation may stay invisible to a look-up: before
            that, "not found" means nothing.
        replay_ms: how long the provider recognises a repeated reference; after that a repeat
            would be a new operation, so it is never sent.
        exponents: currencies whose minor unit differs from ISO 4217 at this provider.
        multiples: currencies in which only multiples of so many of our minor units can be
            expressed at this provider: amounts of charges, captures and refunds alike.
        methods: the types of payment methods that it takes, and in which ways.
        reversal: a void may name a charge by our reference alone: one that the provider never
            answered, or never got, is given up by it for good.
        transport: how requests travel: the name of a module in ``channels.transports``.
        wire: what that module must be told of the provider: for ``iso8583``, its dialect.
        contexts: its requests need a ``Context``.
        partial_approval: an approval of less than was asked for is legitimate here.
        multiple_captures: a hold can be captured in several parts.
        capture_ids: what a hold's capture takes is refunded by the provider's id of the capture,
            not of the charge.
        agreements: what the payer has agreed to is stored, and told with later charges.
        evidence_files: files are taken as evidence, together with the texts.
        overcapture_percent: how much more than was authorized a hold's captures may take.
        hold_ms: how long a hold lasts after its authorization.
        secrets: the names of the secrets that a gateway must be given.
        options: likewise, of what else it must be told that is no secret.
        preparations: what it needs before payments and what expires, by names of its own, in the
            order to obtain them; see ``Prepares``.
        instead: of preparations, the secret by which a gateway has no need of one, if it is given.
        other_options: options that a gateway may be given, and need not.
        secret_headers: names of its headers, in lower case, that no record of an exchange holds:
            signatures, mostly. What authenticates anywhere (``authorization``) needs no word.
        callbacks: how callbacks are signed; None where they are not: then none is believed, and
            the node asks.
        answers: how answers are signed; None where they are not. One that is not signed so is
            unknown.
        callbacks_by_id: a callback may name nothing but the provider's id of the object, or of its
            charge: attempts are found by those, too.
        acknowledgement: what is answered to a callback that was taken, or is of no interest.
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
    wire: Any = None
    contexts: bool = False
    steps: dict[str, tuple[Resolve, ...]] = {}
    methods: dict[str, tuple[Takes, ...]] = msgspec.field(
        default_factory=lambda: {"card": (Takes(),)}
    )
    currencies: tuple[str, ...] | None = None
    exponents: dict[str, int] = {}
    multiples: dict[str, int] = {}
    partial_capture: bool = True
    partial_refund: bool = True
    partial_approval: bool = False
    multiple_captures: bool = False
    capture_ids: bool = False
    overcapture_percent: int = 0
    agreements: bool = False
    evidence_files: bool = False
    hold_ms: int = 7 * 24 * 3_600_000
    reversal: bool = False
    callbacks: CallbackScheme | None = None
    answers: AnswerScheme | None = None
    callbacks_by_id: bool = False
    acknowledgement: Acknowledgement = Acknowledgement()
    secrets: tuple[str, ...] = ("api_key",)
    options: tuple[str, ...] = ()
    preparations: tuple[str, ...] = ()
    instead: dict[str, str] = {}
    other_options: tuple[str, ...] = ()
    secret_headers: tuple[str, ...] = ()
    shared_tokens: str | None = None
    connect_ms: int = 3_000
    first_byte_ms: int = 20_000
    total_ms: int = 30_000
    answer_bytes_max: int = 1_048_576

    def needed(self, secrets: Collection[str]) -> tuple[str, ...]:
        """The preparations that a gateway with secrets of these names needs."""
        return tuple(name for name in self.preparations if self.instead.get(name) not in secrets)

    def ways(self, instruction: Instruction) -> tuple[Resolve, ...]:
        """The ways to end an unknown of what is asked, in order."""
        if instruction.step is not None:
            return self.steps.get(instruction.step, ())
        return self.resolve.get(instruction.operation, ())

    def takes(self, instruction: Instruction) -> Takes | None:
        """The way in which the payer of a charge meets the provider, as it is declared."""
        ways = self.methods.get(instruction.payment_method_type, ())
        return next((each for each in ways if each.family is instruction.family), None)

    @property
    def manual_capture(self) -> bool:
        """Whether money can be held first, and captured later."""
        return Operation.CAPTURE in self.resolve
