"""What a provider's answer says, in our own terms. Pure."""

import msgspec

from bailiwick.channels.contract.actions import Action
from bailiwick.channels.contract.operations import Outcome

PAYOUT_CANCELED = "payout_canceled"
"""Code of a definite no: the payout was canceled at the provider."""


class Result(msgspec.Struct, frozen=True):
    """What a provider's answer says about one operation.

    Attributes:
        provider_ref: the provider's id of the object (charge or refund).
        amount: minor units that the provider says it took, held, captured or returned.
        captured: for a charge: the money is taken (True) or only held (False).
        code, decline_code, message: why it was declined, in Stripe's documented vocabulary.
        action: what the payer must do before the provider goes on.
        not_found: a look-up found no such operation: proves nothing by itself, see
            ``Profile.visibility_ms``.
        retryable: for a decline: another gateway may be tried (the provider is unable, not the
            payer refused).
        detail: a short machine-readable word for the record; never provider text. Of a pending
            payout, ``in_transit`` says that it was sent on.
        step: of a pending charge: what we have to ask for next (``Profile.steps``), in so many
            words, once. Nothing is sent before that is committed.
        kept: what the request of that step has to know, beside ``provider_ref``: a few short texts.
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
    action: Action | None = None
    not_found: bool = False
    retryable: bool = False
    detail: str | None = None
    agreement: str | None = None
    step: str | None = None
    kept: dict[str, str] = {}


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


TURNED_AWAY = frozenset({"credentials", "rate_limited"})
"""Details of a definite no to the very request that was sent: the provider did not look at it. An
earlier one about the same operation may have been carried out."""
NO_SUCH_METHOD = "no_such_method"
"""The detail of ``no_such_method``."""


def no_such_method() -> Result:
    """A definite no to a charge: the provider's account does not know the payment method."""
    message = "The provider does not know this payment method."
    return Result(Outcome.DECLINED, code="resource_missing", message=message, detail=NO_SUCH_METHOD)
