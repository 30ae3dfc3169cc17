"""The sandbox's answers as data, after its protocol."""

from typing import Any

from bailiwick.channels.contract import (
    Document,
    Instruction,
    Operation,
    Resolve,
    Result,
    no_such_method,
)
from tests.contract.answers import A, Case, D, P, U, encode, instruct, missing


def bank_charge(**more: Any) -> dict[str, Any]:
    """A captured charge of the sandbox."""
    return {
        "object": "charge",
        "id": "ch_77",
        "reference": "ch_a1",
        "amount": 1099,
        "amount_captured": 1099,
        "amount_refunded": 0,
        "currency": "EUR",
        "status": "captured",
        "decline": None,
        "redirect_url": None,
        "created": 1_790_000_000_000,
    } | more


def bank_setup(**more: Any) -> dict[str, Any]:
    """A finished setup of the sandbox."""
    none = {"amount": 0, "amount_captured": 0, "currency": "XXX"}
    found = {"object": "setup", "reference": "setatt_a1", "status": "stored", "agreement": "ch_77"}
    return bank_charge(**none) | found | more


def bank_refund(**more: Any) -> dict[str, Any]:
    """A finished refund of the sandbox."""
    return {
        "object": "refund",
        "id": "rf_88",
        "reference": "re_a1",
        "charge": "ch_77",
        "amount": 1099,
        "currency": "EUR",
        "status": "succeeded",
        "failure": None,
        "created": 1_790_000_000_000,
    } | more


def bank_dispute(**more: Any) -> dict[str, Any]:
    """A dispute of the sandbox, after evidence; its id stands where a charge's does else."""
    return {
        "object": "dispute",
        "id": "ch_77",
        "charge": "ch_66",
        "charge_reference": "ch_a1",
        "amount": 1099,
        "currency": "EUR",
        "reason": "fraudulent",
        "status": "under_review",
        "funds": "withdrawn",
        "fee": 1500,
        "due_at": 1_790_500_000_000,
        "past_due": False,
        "submissions": 1,
        "sequence": 2,
        "refundable": False,
        "created": 1_790_000_000_000,
    } | more


def bank_error(code: str, message: str = "No.") -> dict[str, Any]:
    """An error of the sandbox."""
    return {"error": {"code": code, "message": message}}


def lookup(kind: str, reference: str, status: str, **more: Any) -> dict[str, Any]:
    """The sandbox's look-up of an operation."""
    found = {"type": kind, "reference": reference, "status": status, "charge": bank_charge()}
    return found | {"refund": None} | more


def declined(code: str, decline_code: str | None, message: str = "Declined.") -> dict[str, Any]:
    """A declined charge of the sandbox."""
    reason = {"code": code, "decline_code": decline_code, "message": message}
    return bank_charge(status="declined", amount_captured=0, decline=reason)


_S = "sandbox"
_CHARGE = instruct(_S, Operation.CHARGE)
_HOLD = instruct(_S, Operation.CHARGE, automatic=False)
_INCREMENT = instruct(_S, Operation.INCREMENT)
_CAPTURE = instruct(_S, Operation.CAPTURE)
_VOID = instruct(_S, Operation.VOID)
_REFUND = instruct(_S, Operation.REFUND)
_SETUP = instruct(_S, Operation.SETUP)
_UNDO = instruct(_S, Operation.VOID, amount=0, currency="XXX", charge_reference="setatt_a1")
_EVIDENCE = instruct(_S, Operation.EVIDENCE)
_PAPER = Document("file_1", 'Ann "B" Ü.pdf', "application/pdf", b"%PDF-1.7 4242424242424242")
_FILED = instruct(_S, Operation.EVIDENCE, files={"receipt": _PAPER})
_CONCEDE = instruct(_S, Operation.CONCEDE)
BY_REF = Resolve.REFERENCE
_AUTH = {"status": "authorized", "amount_captured": 0}
_GROWN = {**_AUTH, "amount": 899, "amount_authorized": 1099}


def sandbox(
    name: str,
    instruction: Instruction,
    status: int,
    data: Any,
    expected: Result,
    way: Resolve | None = None,
) -> Case:
    body = data if isinstance(data, bytes) else encode(data)
    return Case(name, instruction, status, body, expected, way)


def _limited(detail: str) -> Result:
    return Result(D, code="processing_error", message="No.", retryable=True, detail=detail)


SETUPS = [
    sandbox(
        "stored", _SETUP, 200, bank_setup(),
        Result(A, "ch_77", 0, "XXX", captured=False, agreement="ch_77"),
    ),
    sandbox(
        "setup_waits", _SETUP, 200,
        bank_setup(status="action_required", redirect_url="https://bank.test/pay/1"),
        Result(P, "ch_77", action_url="https://bank.test/pay/1", detail="action_required"),
    ),
    sandbox(
        "setup_declined", _SETUP, 200,
        bank_setup(status="declined", decline={"code": "card_declined", "message": "No."}),
        Result(D, "ch_77", code="card_declined", message="No.", detail="declined"),
    ),
    sandbox(
        "setup_took_money", _SETUP, 200, bank_setup(amount=100),
        Result(A, "ch_77", 100, "XXX", captured=False, agreement="ch_77"),
    ),
    sandbox("setup_of_an_unknown_token", _SETUP, 400, bank_error("source_unknown"),
             no_such_method()),
    sandbox(
        "setup_is_a_charge", _SETUP, 200, bank_charge(reference="setatt_a1"),
        Result(U, detail="reference_mismatch"),
    ),
    sandbox(
        "charge_is_a_setup", _CHARGE, 200, bank_setup(reference="ch_a1"),
        Result(U, detail="reference_mismatch"),
    ),
    sandbox(
        "setup_found", _SETUP, 200,
        lookup("setup", "setatt_a1", "succeeded", charge=bank_setup()),
        Result(A, "ch_77", 0, "XXX", captured=False, agreement="ch_77"), BY_REF,
    ),
    sandbox(
        "setup_not_found", _SETUP, 404, bank_error("not_found"),
        Result(U, not_found=True, detail="not_found"), BY_REF,
    ),
    sandbox(
        "setup_given_up", _UNDO, 200, bank_setup(status="voided"),
        Result(A, "ch_77", 0, "XXX", captured=False),
    ),
]  # fmt: skip

SANDBOX = [
    *SETUPS,
    sandbox("captured", _CHARGE, 200, bank_charge(), Result(A, "ch_77", 1099, "EUR")),
    sandbox("authorized", _HOLD, 200, bank_charge(**_AUTH), Result(A, "ch_77", 1099, "EUR", False)),
    sandbox(
        "partial",
        _CHARGE,
        200,
        bank_charge(amount_authorized=500, amount_captured=500),
        Result(A, "ch_77", 500, "EUR"),
    ),
    sandbox(
        "insufficient_funds",
        _CHARGE,
        200,
        declined("card_declined", "insufficient_funds", "Too little 4242 4242 4242 4242\x00."),
        Result(
            D,
            "ch_77",
            code="card_declined",
            decline_code="insufficient_funds",
            message="Too little [card] .",
            detail="declined",
        ),
    ),
    sandbox(
        "processing_error",
        _CHARGE,
        200,
        declined("processing_error", None),
        Result(
            D,
            "ch_77",
            code="processing_error",
            message="Declined.",
            retryable=True,
            detail="declined",
        ),
    ),
    sandbox(
        "pending",
        _CHARGE,
        200,
        bank_charge(status="pending", amount_captured=0),
        Result(P, "ch_77", detail="pending"),
    ),
    sandbox(
        "action_required",
        _CHARGE,
        200,
        bank_charge(status="action_required", redirect_url="https://bank.test/pay/1"),
        Result(P, "ch_77", action_url="https://bank.test/pay/1", detail="action_required"),
    ),
    sandbox(
        "action_required_bad_url",
        _CHARGE,
        200,
        bank_charge(status="action_required", redirect_url="javascript:alert(1)"),
        Result(P, "ch_77", detail="action_required"),
    ),
    sandbox(
        "voided",
        _CHARGE,
        200,
        bank_charge(status="voided"),
        Result(D, "ch_77", code="charge_voided", detail="voided"),
    ),
    sandbox(
        "wrong_amount",
        _CHARGE,
        200,
        bank_charge(amount=999, amount_captured=999),
        Result(U, "ch_77", 999, "EUR", detail="amount_mismatch"),
    ),
    sandbox(
        "missing_amount",
        _CHARGE,
        200,
        missing(bank_charge(), "amount", "amount_captured"),
        Result(A, "ch_77", None, "EUR"),
    ),
    sandbox(
        "missing_captured",
        _CHARGE,
        200,
        missing(bank_charge(), "amount_captured"),
        Result(A, "ch_77", None, "EUR"),
    ),
    sandbox(
        "captured_less",
        _CHARGE,
        200,
        bank_charge(amount_captured=1),
        Result(U, "ch_77", 1099, "EUR", detail="amount_mismatch"),
    ),
    sandbox(
        "other_reference",
        _CHARGE,
        200,
        bank_charge(reference="ch_b2"),
        Result(U, detail="reference_mismatch"),
    ),
    sandbox(
        "new_status",
        _CHARGE,
        200,
        bank_charge(status="frozen"),
        Result(U, "ch_77", detail="unknown_status"),
    ),
    sandbox("garbage", _CHARGE, 200, b"<html>", Result(U, detail="unreadable")),
    sandbox("truncated", _CHARGE, 200, encode(bank_charge())[:-1], Result(U, detail="unreadable")),
    sandbox("float", _CHARGE, 200, bank_charge(amount=10.99), Result(U, detail="unreadable")),
    sandbox("created_201", _CHARGE, 201, bank_charge(), Result(U, detail="http_201")),
    sandbox("redirected", _CHARGE, 302, b"", Result(U, detail="http_302")),
    sandbox("error_500", _CHARGE, 500, bank_error("oops"), Result(U, detail="http_500")),
    sandbox("error_503", _CHARGE, 503, b"", Result(U, detail="http_503")),
    sandbox("timeout_408", _CHARGE, 408, bank_error("timeout"), Result(U, detail="http_408")),
    sandbox("rate_limited", _CHARGE, 429, bank_error("rate_limited"), _limited("rate_limited")),
    sandbox("rate_limited_bare", _CHARGE, 429, b"slow down", Result(U, detail="http_429")),
    sandbox("revoked", _CHARGE, 401, bank_error("unauthorized"), _limited("credentials")),
    sandbox("forbidden_page", _CHARGE, 403, b"<html>", Result(U, detail="http_403")),
    sandbox(
        "reference_mismatch",
        _CHARGE,
        409,
        bank_error("reference_mismatch"),
        Result(U, detail="reference_mismatch"),
    ),
    sandbox("conflict", _CHARGE, 409, bank_error("busy"), Result(U, detail="conflict")),
    sandbox(
        "refused",
        _CHARGE,
        400,
        bank_error("invalid_source"),
        Result(D, code="invalid_source", message="No.", detail="refused"),
    ),
    sandbox(
        "no_such_method",
        _CHARGE,
        400,
        bank_error("source_unknown"),
        no_such_method(),
    ),
    sandbox(
        "no_such_method_of_a_refund",
        _REFUND,
        400,
        bank_error("source_unknown"),
        Result(D, code="source_unknown", message="No.", detail="refused"),
    ),
    sandbox(
        "increment",
        _INCREMENT,
        200,
        bank_charge(**_GROWN, increment={"reference": "inc_a1", "amount": 1099}),
        Result(A, "ch_77", 1099, "EUR", False),
    ),
    sandbox(
        "increment_wrong_amount",
        _INCREMENT,
        200,
        bank_charge(**_GROWN, increment={"reference": "inc_a1", "amount": 1199}),
        Result(A, "ch_77", 1199, "EUR", False),
    ),
    sandbox(
        "increment_missing_amount",
        _INCREMENT,
        200,
        bank_charge(**_GROWN, increment={"reference": "inc_a1"}),
        Result(A, "ch_77", None, "EUR", False),
    ),
    sandbox(
        "increment_not_done",
        _INCREMENT,
        200,
        bank_charge(**_GROWN),
        Result(U, "ch_77", detail="not_done"),
    ),
    sandbox(
        "increment_of_another",
        _INCREMENT,
        200,
        bank_charge(**_GROWN, increment={"reference": "inc_b2", "amount": 1099}),
        Result(U, detail="reference_mismatch"),
    ),
    sandbox(
        "increment_declined",
        _INCREMENT,
        422,
        bank_error("card_declined"),
        Result(D, code="card_declined", message="No.", detail="refused"),
    ),
    sandbox("capture", _CAPTURE, 200, bank_charge(), Result(A, "ch_77", 1099, "EUR")),
    sandbox(
        "capture_too_late",
        _CAPTURE,
        400,
        bank_error("expired"),
        Result(D, code="expired", message="No.", detail="refused"),
    ),
    sandbox(
        "capture_not_done",
        _CAPTURE,
        200,
        bank_charge(**_AUTH),
        Result(U, "ch_77", detail="not_done"),
    ),
    sandbox(
        "capture_of_another",
        _CAPTURE,
        200,
        bank_charge(id="ch_1"),
        Result(U, detail="reference_mismatch"),
    ),
    sandbox(
        "void",
        _VOID,
        200,
        bank_charge(status="voided", amount_captured=0),
        Result(A, "ch_77", 1099, "EUR", False),
    ),
    sandbox("refund", _REFUND, 200, bank_refund(), Result(A, "rf_88", 1099, "EUR")),
    sandbox(
        "refund_pending",
        _REFUND,
        200,
        bank_refund(status="pending"),
        Result(P, "rf_88", 1099, "EUR", detail="pending"),
    ),
    sandbox(
        "refund_failed",
        _REFUND,
        200,
        bank_refund(status="failed", failure={"code": "lost_or_stolen_card", "message": "Gone."}),
        Result(D, "rf_88", code="lost_or_stolen_card", message="Gone.", detail="declined"),
    ),
    sandbox(
        "refund_too_large",
        _REFUND,
        400,
        bank_error("amount_too_large"),
        Result(D, code="amount_too_large", message="No.", detail="refused"),
    ),
    sandbox(
        "query_charge",
        _CHARGE,
        200,
        lookup("charge", "ch_a1", "succeeded"),
        Result(A, "ch_77", 1099, "EUR"),
        BY_REF,
    ),
    sandbox(
        "query_charge_failed",
        _CHARGE,
        200,
        lookup("charge", "ch_a1", "failed", charge=declined("expired_card", None)),
        Result(D, "ch_77", code="expired_card", message="Declined.", detail="declined"),
        BY_REF,
    ),
    sandbox(
        "query_contradiction",
        _CHARGE,
        200,
        lookup("charge", "ch_a1", "failed"),
        Result(U, detail="contradiction"),
        BY_REF,
    ),
    sandbox(
        "query_other_type",
        _CHARGE,
        200,
        lookup("capture", "ch_a1", "succeeded"),
        Result(U, detail="reference_mismatch"),
        BY_REF,
    ),
    sandbox(
        "query_other_reference",
        _CHARGE,
        200,
        lookup("charge", "ch_b2", "succeeded"),
        Result(U, detail="reference_mismatch"),
        BY_REF,
    ),
    sandbox(
        "query_not_found",
        _CHARGE,
        404,
        bank_error("not_found"),
        Result(U, not_found=True, detail="not_found"),
        BY_REF,
    ),
    sandbox("query_404_page", _CHARGE, 404, b"<html>", Result(U, detail="http_404"), BY_REF),
    sandbox(
        "query_revoked",
        _CHARGE,
        401,
        bank_error("unauthorized"),
        Result(U, detail="http_401"),
        BY_REF,
    ),
    sandbox(
        "query_limited",
        _CHARGE,
        429,
        bank_error("rate"),
        Result(U, detail="http_429"),
        BY_REF,
    ),
    sandbox(
        "query_increment",
        _INCREMENT,
        200,
        lookup(
            "increment",
            "inc_a1",
            "succeeded",
            charge=bank_charge(**_GROWN, increment={"reference": "inc_a1", "amount": 1099}),
        ),
        Result(A, "ch_77", 1099, "EUR", False),
        BY_REF,
    ),
    sandbox(
        "query_capture",
        _CAPTURE,
        200,
        lookup("capture", "cap_a1", "succeeded"),
        Result(A, "ch_77", 1099, "EUR"),
        BY_REF,
    ),
    sandbox(
        "query_void_failed",
        _VOID,
        200,
        lookup("void", "void_a1", "failed"),
        Result(D, "ch_77", code="void_failed", detail="declined"),
        BY_REF,
    ),
    sandbox(
        "query_refund",
        _REFUND,
        200,
        lookup("refund", "re_a1", "succeeded", refund=bank_refund()),
        Result(A, "rf_88", 1099, "EUR"),
        BY_REF,
    ),
    sandbox(
        "query_refund_bare",
        _REFUND,
        200,
        lookup("refund", "re_a1", "succeeded"),
        Result(U, detail="unreadable"),
        BY_REF,
    ),
    sandbox("evidence", _EVIDENCE, 200, bank_dispute(), Result(A, "ch_77", 1099, "EUR")),
    sandbox(
        "conceded", _CONCEDE, 200, bank_dispute(status="lost"), Result(A, "ch_77", 1099, "EUR")
    ),
    sandbox("evidence_with_files", _FILED, 200, bank_dispute(), Result(A, "ch_77", 1099, "EUR")),
    sandbox(
        "evidence_refused",
        _EVIDENCE,
        422,
        bank_error("dispute_not_open"),
        Result(D, code="dispute_not_open", message="No.", detail="refused"),
    ),
    sandbox(
        "evidence_other_dispute",
        _EVIDENCE,
        200,
        bank_dispute(id="dp_2"),
        Result(U, detail="reference_mismatch"),
    ),
    sandbox("evidence_bare", _EVIDENCE, 200, {"object": "dispute"}, Result(U, detail="unreadable")),
    sandbox(
        "query_evidence",
        _EVIDENCE,
        200,
        lookup("evidence", "ev_a1", "succeeded", dispute=bank_dispute()),
        Result(A, "ch_77", 1099, "EUR"),
        BY_REF,
    ),
    sandbox(
        "query_evidence_bare",
        _EVIDENCE,
        200,
        lookup("evidence", "ev_a1", "succeeded"),
        Result(U, detail="unreadable"),
        BY_REF,
    ),
]
