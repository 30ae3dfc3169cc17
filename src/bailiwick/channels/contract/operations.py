"""What a provider is asked to do, and how that may end. Pure."""

from enum import StrEnum


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
"""Those of a channel with holds; one without has the first and the last."""


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
    """The ways in which a channel's unknown outcomes can be made definite.

    ``REVERSAL``: a charge without an answer is given up by a void that names it by our reference,
    and that is sent until it is answered (``Profile.reversal``)."""

    REFERENCE = "reference"
    PROVIDER_ID = "provider_id"
    REPLAY = "replay"
    CALLBACK = "callback"
    STATEMENT = "statement"
    REVERSAL = "reversal"
