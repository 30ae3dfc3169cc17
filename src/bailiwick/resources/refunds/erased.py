"""What is left of refunds once the payer is erased. Pure but for the names of statements."""

from bailiwick.base.objects import Object
from bailiwick.serving.erasing import Beside, Stays, nulled, only

_DETAILS = frozenset({"customer", "failure_reason", "method", "reason"})
STAYS = {
    "refund": Stays(
        whole=frozenset(
            {
                "amount",
                "balance_transaction",
                "charge",
                "created",
                "currency",
                "customer",
                "failure_balance_transaction",
                "failure_reason",
                "id",
                "object",
                "payment_intent",
                "pending_reason",
                "reason",
                "status",
            }
        ),
        parts={"destination_details": nulled("type")},
        blank={"metadata": {}},
    )
}


def left(details: Object) -> Object:
    """A refund's details without what is personal."""
    return only(details, _DETAILS)


BESIDE = Beside(prefix="pi", find="refund_details", write="refund_erase", left=left)
