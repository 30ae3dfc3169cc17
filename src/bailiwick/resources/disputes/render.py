"""Disputes as API objects. Pure; see https://docs.stripe.com/api/disputes/object."""

from collections.abc import Sequence

from bailiwick.base.objects import Object
from bailiwick.resources.disputes import FILES
from bailiwick.resources.disputes.params import Evidence
from bailiwick.resources.disputes.rows import Dispute
from bailiwick.resources.disputes.states import State

REFERENCES = {
    "dispute": {
        "charge": "charge",
        "payment_intent": "payment_intent",
        **{f"evidence.{name}": "file" for name in sorted(FILES)},
    }
}
_FIELDS = Evidence.__struct_fields__


def dispute(
    row: Dispute, transactions: Sequence[Object] = (), expanded: Object | None = None
) -> Object:
    """A dispute. ``transactions``: what it did to the balance, where that is read."""
    details = row.details
    shown: Object = {
        "id": row.id,
        "object": "dispute",
        "amount": row.amount,
        "balance_transactions": list(transactions),
        "charge": row.charge,
        "created": row.created_ms // 1000,
        "currency": row.currency.lower(),
        "enhanced_eligibility_types": [],
        "evidence": {
            **{name: details.evidence.get(name) for name in _FIELDS},
            "enhanced_evidence": {},
        },
        "evidence_details": {
            "due_by": None if row.due_ms is None else row.due_ms // 1000,
            "enhanced_eligibility": {},
            "has_evidence": bool(details.evidence),
            "past_due": details.past_due,
            "submission_count": details.submissions,
            "submission_method": "manual" if details.submissions else "not_submitted",
        },
        "intended_submission_method": None,
        "is_charge_refundable": details.refundable,
        "livemode": row.livemode,
        "metadata": details.metadata,
        "network_reason_code": None,
        "payment_intent": row.payment,
        "payment_method_details": {
            "type": "card",
            "card": {
                "brand": "unknown",
                "case_type": "inquiry" if _inquiry(row.state) else "chargeback",
                "network": None,
                "network_reason_code": None,
            },
        },
        "reason": details.reason,
        "status": row.state.value,
    }
    return {**shown, **(expanded or {})}


def _inquiry(state: State) -> bool:
    return state.value.startswith("warning_")
