"""What a provider tells of a dispute, in our own terms. Pure."""

import msgspec


class DisputeNotice(msgspec.Struct, frozen=True):
    """How a dispute of a charge stands, as its provider tells it.

    Attributes:
        provider_ref: the provider's id of it.
        status: a word of the API: ``needs_response``, ``warning_closed``, ``lost`` and so on.
        amount: disputed minor units of ``currency``.
        sequence: counts its changes at the provider: what is older than known is no news.
        funds: ``held`` (still with the merchant), ``withdrawn``, or ``reinstated`` afterwards.
        fee: minor units that the provider takes, and gives back, with the amount.
        due_ms: until when evidence is taken (Unix time in milliseconds).
        submissions: how often evidence was.
        refundable: the charge may be refunded all the same.
    """

    provider_ref: str
    status: str
    amount: int
    currency: str
    reason: str
    sequence: int
    funds: str = "held"
    fee: int = 0
    due_ms: int | None = None
    past_due: bool = False
    submissions: int = 0
    refundable: bool = False
