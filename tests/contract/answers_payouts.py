"""The sandbox's answers about payouts as data, after its protocol."""

from typing import Any

from bailiwick.channels.contract import PAYOUT_CANCELED, Operation, Result
from tests.contract.answers import A, Case, D, P, U, instruct
from tests.contract.answers_sandbox import BY_REF, bank_error, lookup, sandbox

_PAYOUT = instruct("sandbox", Operation.PAYOUT)
_CANCEL = instruct("sandbox", Operation.PAYOUT_CANCEL)


def bank_payout(**more: Any) -> dict[str, Any]:
    """A payout of the sandbox that has arrived; its id stands where a charge's does else."""
    return {
        "object": "payout",
        "id": "ch_77",
        "reference": "po_a1",
        "amount": 1099,
        "currency": "EUR",
        "status": "paid",
        "failure": None,
        "created": 1_790_000_000_000,
    } | more


def canceled(**more: Any) -> dict[str, Any]:
    """One that was called back; our reference of sending it is that of a charge else."""
    return bank_payout(status="canceled", reference="ch_a1", **more)


_CLOSED = {"code": "account_closed", "message": "Closed."}
_FAILED = Result(D, "ch_77", code="account_closed", message="Closed.", detail="declined")
_GONE = Result(D, "ch_77", code=PAYOUT_CANCELED, detail="declined")
_PAID = Result(A, "ch_77", 1099, "EUR")
PAYOUTS: list[Case] = [
    sandbox("payout", _PAYOUT, 200, bank_payout(), _PAID),
    *(
        sandbox(
            f"payout_{status}",
            _PAYOUT,
            200,
            bank_payout(status=status),
            Result(P, "ch_77", 1099, "EUR", detail=status),
        )
        for status in ("pending", "in_transit")
    ),
    sandbox("payout_failed", _PAYOUT, 200, bank_payout(status="failed", failure=_CLOSED), _FAILED),
    sandbox("payout_gone", _PAYOUT, 200, bank_payout(status="canceled"), _GONE),
    sandbox(
        "payout_refused",
        _PAYOUT,
        422,
        bank_error("balance_insufficient"),
        Result(D, code="balance_insufficient", message="No.", detail="refused"),
    ),
    sandbox(
        "payout_strange",
        _PAYOUT,
        200,
        bank_payout(status="lost"),
        Result(U, "ch_77", detail="unknown_status"),
    ),
    sandbox(
        "payout_other",
        _PAYOUT,
        200,
        bank_payout(reference="po_2"),
        Result(U, detail="reference_mismatch"),
    ),
    sandbox(
        "payout_wrong_amount",
        _PAYOUT,
        200,
        bank_payout(amount=1),
        Result(A, "ch_77", 1, "EUR"),
    ),
    sandbox("payout_bare", _PAYOUT, 200, {"object": "payout"}, Result(U, detail="unreadable")),
    sandbox(
        "query_payout",
        _PAYOUT,
        200,
        lookup("payout", "po_a1", "succeeded", payout=bank_payout()),
        _PAID,
        BY_REF,
    ),
    sandbox(
        "query_payout_contradicts",
        _PAYOUT,
        200,
        lookup("payout", "po_a1", "failed", payout=bank_payout()),
        Result(U, detail="contradiction"),
        BY_REF,
    ),
    sandbox(
        "query_payout_bare",
        _PAYOUT,
        200,
        lookup("payout", "po_a1", "succeeded"),
        Result(U, detail="unreadable"),
        BY_REF,
    ),
    sandbox("payout_canceled", _CANCEL, 200, canceled(), _PAID),
    sandbox(
        "payout_not_cancelable",
        _CANCEL,
        422,
        bank_error("payout_not_cancelable"),
        Result(D, code="payout_not_cancelable", message="No.", detail="refused"),
    ),
    sandbox(
        "payout_cancel_undone",
        _CANCEL,
        200,
        bank_payout(reference="ch_a1"),
        Result(U, "ch_77", detail="not_done"),
    ),
    sandbox(
        "payout_cancel_other",
        _CANCEL,
        200,
        canceled(id="po_2"),
        Result(U, detail="reference_mismatch"),
    ),
    sandbox(
        "payout_cancel_of_another",
        _CANCEL,
        200,
        bank_payout(status="canceled"),
        Result(U, detail="reference_mismatch"),
    ),
    sandbox(
        "query_payout_cancel",
        _CANCEL,
        200,
        lookup("payout_cancel", "pc_a1", "succeeded", payout=canceled()),
        _PAID,
        BY_REF,
    ),
]
