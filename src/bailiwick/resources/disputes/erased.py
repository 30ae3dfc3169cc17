"""What is left of disputes once the payer is erased. Pure but for the names of statements."""

from bailiwick.base.objects import Object
from bailiwick.resources.disputes import FILES
from bailiwick.resources.disputes.render import NO_EVIDENCE
from bailiwick.serving.erasing import Beside, Stays, only

_DETAILS = frozenset({"reason", "refundable", "submissions", "past_due"})
STAYS = {
    "dispute": Stays(
        whole=frozenset(
            {
                "amount",
                "balance_transactions",
                "charge",
                "created",
                "currency",
                "enhanced_eligibility_types",
                "evidence_details",
                "id",
                "is_charge_refundable",
                "livemode",
                "object",
                "payment_intent",
                "payment_method_details",
                "reason",
                "status",
            }
        ),
        blank={"evidence": NO_EVIDENCE, "metadata": {}},
    )
}


def left(details: Object) -> Object:
    """A dispute's details without the evidence."""
    return only(details, _DETAILS)


def files(details: Object) -> list[str]:
    """The files that are evidence."""
    evidence = details.get("evidence") or {}
    return [evidence[name] for name in sorted(FILES) if name in evidence]


BESIDE = Beside(
    prefix="pi", find="dispute_details", write="dispute_erase", left=left, records=files
)
