"""What is asked of a provider, and what went over the wire. Pure."""

from collections.abc import Mapping

import msgspec

from bailiwick.channels.contract.documents import Document
from bailiwick.channels.contract.operations import Operation, Phase
from bailiwick.channels.contract.payers import Payer
from bailiwick.methods.families import Family


class NotPrepared(Exception):
    """A channel needs a preparation that is not there, or not the right one (a certificate that is
    new); it is asked for at once. ``name``: which."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not prepared")
        self.name = name


class Account(msgspec.Struct, frozen=True):
    """A connected account at a provider: where it is, the secrets to speak with it, and what else
    its channel must be told (``Profile.options``).

    ``prepared``: what was prepared and is good now, by the names of ``Profile.preparations``; it is
    as secret as the secrets.
    """

    gateway: str
    base_url: str
    secrets: dict[str, str]
    livemode: bool = False
    options: dict[str, str] = {}
    prepared: dict[str, dict[str, str]] = {}

    def need(self, name: str) -> dict[str, str]:
        """What a preparation gave.

        Raises:
            NotPrepared: nothing that is good now.
        """
        try:
            return self.prepared[name]
        except KeyError:
            raise NotPrepared(name) from None

    def __repr__(self) -> str:
        return f"Account(gateway={self.gateway!r}, base_url={self.base_url!r}, secrets=...)"


class Context(msgspec.Struct, frozen=True):
    """What a request needs of the moment at which it was permitted, fixed with its permit, so that
    the same bytes are made whenever it is built.

    Attributes:
        instant_ms: Unix time in milliseconds.
        sequence: a number that no other attempt at the gateway has; later ones have larger ones.
    """

    instant_ms: int
    sequence: int


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
        capture: for a refund: the provider's id of the capture that took what was held, where
            refunds name it (``Profile.capture_ids``).
        evidence, files: against a dispute: texts, and files, by the names of the API's fields.
        store: for a charge: the payer agrees to be charged again by this payment method.
        off_session: for a charge: the payer is not there, and can do nothing for it.
        agreement: the provider's reference of what the payer has agreed to, for such a charge.
        charge_amount: for a refund: minor units that the charge took.
        family: for a charge, and the void of one: how payer and provider meet; all but a token's
            have no ``payment_method``.
        code: for a charge: what was scanned off the payer's phone.
        payer: for a charge: what the channel declares to need of the payer.
        expires_ms: for a charge, and the void of one: until when the payer may act (Unix time in
            milliseconds).
        steps: the steps after the first request that were taken, the one asked for last; none for
            the first request itself (``Profile.steps``).
        before: the provider's ids of what the steps before have made, the latest last; it is
            ``provider_ref`` too.
        kept: what readings, or the payer on the way back, brought for this step.
        context: see there; None where the channel declares to need none. A look-up has one of its
            own.
        original: the context of the charge acted upon.
        withheld: for a charge: by which rule of the merchant it is never sent; no channel sees it.
        repeat: it is sent again, because no answer came; said only where there is a context.
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
    charge_amount: int | None = None
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
    family: Family = Family.TOKEN
    code: str | None = None
    payer: Payer | None = None
    expires_ms: int | None = None
    steps: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    kept: dict[str, str] = {}
    context: Context | None = None
    original: Context | None = None
    repeat: bool = False
    withheld: str | None = None
    capture: str | None = None

    @property
    def step(self) -> str | None:
        """The step that is asked for; None for the first request."""
        return self.steps[-1] if self.steps else None

    @property
    def key(self) -> str:
        """What a provider recognises a repeat of this very request by: our reference, and behind it
        the number of the step from the second on. No other request of ours has it."""
        return f"{self.reference}s{len(self.steps) + 1}" if self.steps else self.reference


class Request(msgspec.Struct, frozen=True):
    """A request to a provider, ready to send."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes = b""

    def __repr__(self) -> str:
        return f"Request({self.method} {self.url.partition('?')[0]}, {len(self.body)} bytes)"


class Reply(msgspec.Struct, frozen=True):
    """A complete answer of a provider. Header names are lower case; ``status`` is 0 where answers
    have none."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"Reply({self.status}, {len(self.body)} bytes)"


REFERENCE = "reference"
"""The header of a request with our reference of the operation, on transports where an answer may
come when its exchange has ended. It is not sent."""
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
