"""Payouts as API objects. Pure; see https://docs.stripe.com/api/payouts/object.

``location``, ``node``, ``assignment`` and ``gateway`` are ours.
"""

from bailiwick.base.objects import Object
from bailiwick.resources.payouts.rows import Payout
from bailiwick.resources.payouts.states import State

_UNDECIDED = (State.PENDING, State.IN_TRANSIT)


def payout(row: Payout, taken: str | None = None, given_back: str | None = None) -> Object:
    """A payout. ``taken``, ``given_back``: its balance transactions, where they are read."""
    details, progress = row.details, row.progress
    undecided = row.state in _UNDECIDED
    return {
        "id": row.id,
        "object": "payout",
        "amount": row.amount,
        "application_fee": None,
        "application_fee_amount": None,
        "arrival_date": row.created_ms // 1000,
        "automatic": False,
        "balance_transaction": taken,
        "created": row.created_ms // 1000,
        "currency": row.currency.lower(),
        "description": details.description,
        "destination": details.destination,
        "failure_balance_transaction": given_back,
        "failure_code": progress.failure_code,
        "failure_message": progress.failure_message,
        "livemode": row.livemode,
        "metadata": progress.metadata,
        "method": details.method,
        "original_payout": None,
        "payout_method": None,
        "reconciliation_status": "not_applicable",
        "reversed_by": None,
        "source_type": details.source_type,
        "statement_descriptor": details.statement_descriptor,
        "status": row.state,
        "trace_id": {"status": "pending" if undecided else "unsupported", "value": None},
        "type": details.type,
        "node": details.assignment.get("name"),
        "location": details.location,
        "assignment": details.assignment,
        "gateway": row.gateway,
    }
