"""Stripe's answers as data, after its API reference for version 2026-10-28.endive."""

from typing import Any

from bailiwick.channels.contract import Instruction, Operation, Resolve, Result, no_such_method
from tests.contract.answers import A, Case, D, P, U, encode, instruct, missing

_S = "stripe"
_CHARGE = instruct(_S, Operation.CHARGE)
_HOLD = instruct(_S, Operation.CHARGE, automatic=False)
_CAPTURE = instruct(_S, Operation.CAPTURE)
_VOID = instruct(_S, Operation.VOID)
_REFUND = instruct(_S, Operation.REFUND)
_BY_ID = Resolve.PROVIDER_ID


def intent(**more: Any) -> dict[str, Any]:
    """A payment intent that succeeded."""
    return {
        "id": "pi_77",
        "object": "payment_intent",
        "amount": 1099,
        "amount_capturable": 0,
        "amount_received": 1099,
        "client_secret": "pi_77_secret_Dm43xiq1k0ywrRRjDoi8y1gkM",
        "currency": "eur",
        "last_payment_error": None,
        "livemode": False,
        "metadata": {"bailiwick_reference": "ch_a1"},
        "next_action": None,
        "payment_method": "pm_1PgafyB7WZ01zgkWSjxsAJo3",
        "status": "succeeded",
    } | more


def refund(**more: Any) -> dict[str, Any]:
    """A refund that succeeded."""
    return {
        "id": "re_88",
        "object": "refund",
        "amount": 1099,
        "charge": "ch_1",
        "currency": "eur",
        "metadata": {"bailiwick_reference": "re_a1"},
        "payment_intent": "pi_77",
        "status": "succeeded",
    } | more


def error(kind: str, code: str | None, message: str = "No.", **more: Any) -> dict[str, Any]:
    """An error of the API."""
    return {"error": {"type": kind, "code": code, "message": message} | more}


def _stripe(
    name: str,
    instruction: Instruction,
    status: int,
    data: Any,
    expected: Result,
    way: Resolve | None = None,
    **headers: str,
) -> Case:
    body = data if isinstance(data, bytes) else encode(data)
    given = {header.replace("_", "-"): value for header, value in headers.items()}
    return Case(name, instruction, status, body, expected, way, given)


_HELD = {"status": "requires_capture", "amount_capturable": 1099, "amount_received": 0}
_TAGGED = {"bailiwick_reference": "ch_a1", "bailiwick_capture": "cap_a1"}
_CREDENTIALS, _LIMITED = (
    Result(D, code="processing_error", message="No.", retryable=True, detail=why)
    for why in ("credentials", "rate_limited")
)
_CARD_ERROR = {
    "type": "card_error",
    "code": "card_declined",
    "decline_code": "stolen_card",
    "message": "Declined.",
}
_REDIRECT = {
    "type": "redirect_to_url",
    "redirect_to_url": {"url": "https://hooks.test/3ds/1", "return_url": "https://shop.test"},
}

STRIPE = [
    _stripe("succeeded", _CHARGE, 200, intent(), Result(A, "pi_77", 1099, "EUR")),
    _stripe("held", _HOLD, 200, intent(**_HELD), Result(A, "pi_77", 1099, "EUR", False)),
    _stripe(
        "amount_missing",
        _CHARGE,
        200,
        missing(intent(), "amount_received"),
        Result(A, "pi_77", None, "EUR"),
    ),
    _stripe(
        "hold_amount_missing",
        _HOLD,
        200,
        missing(intent(**_HELD), "amount_capturable"),
        Result(A, "pi_77", None, "EUR", False),
    ),
    _stripe(
        "processing",
        _CHARGE,
        200,
        intent(status="processing"),
        Result(P, "pi_77", detail="processing"),
    ),
    _stripe(
        "redirect",
        _CHARGE,
        200,
        intent(status="requires_action", amount_received=0, next_action=_REDIRECT),
        Result(P, "pi_77", action_url="https://hooks.test/3ds/1", detail="requires_action"),
    ),
    _stripe(
        "action_by_their_script",
        _CHARGE,
        200,
        intent(status="requires_action", next_action={"type": "use_stripe_sdk"}),
        Result(P, "pi_77", detail="requires_action"),
    ),
    _stripe(
        "failed_later",
        _CHARGE,
        200,
        intent(status="requires_payment_method", last_payment_error=_CARD_ERROR),
        Result(
            D,
            "pi_77",
            code="card_declined",
            decline_code="stolen_card",
            message="Declined.",
            detail="declined",
        ),
    ),
    _stripe(
        "no_reason",
        _CHARGE,
        200,
        intent(status="requires_payment_method"),
        Result(U, "pi_77", detail="undecided_status"),
    ),
    _stripe(
        "unconfirmed",
        _CHARGE,
        200,
        intent(status="requires_confirmation"),
        Result(U, "pi_77", detail="undecided_status"),
    ),
    _stripe(
        "canceled",
        _CHARGE,
        200,
        intent(status="canceled"),
        Result(D, "pi_77", code="charge_canceled", detail="canceled"),
    ),
    _stripe(
        "other_reference", _CHARGE, 200, intent(metadata={}), Result(U, detail="reference_mismatch")
    ),
    _stripe(
        "card_error",
        _CHARGE,
        402,
        error(
            "card_error",
            "card_declined",
            decline_code="insufficient_funds",
            payment_intent={"id": "pi_77", "object": "payment_intent"},
        ),
        Result(
            D,
            "pi_77",
            code="card_declined",
            decline_code="insufficient_funds",
            message="No.",
            detail="declined",
        ),
    ),
    _stripe(
        "issuer_not_available",
        _CHARGE,
        402,
        error("card_error", "card_declined", decline_code="issuer_not_available"),
        Result(
            D,
            code="card_declined",
            decline_code="issuer_not_available",
            message="No.",
            retryable=True,
            detail="declined",
        ),
    ),
    _stripe("402_other", _CHARGE, 402, error("api_error", None), Result(U, detail="http_402")),
    _stripe(
        "invalid",
        _CHARGE,
        400,
        error("invalid_request_error", "amount_too_small"),
        Result(D, code="amount_too_small", message="No.", detail="invalid_request"),
    ),
    _stripe(
        "invalid_without_code",
        _CHARGE,
        400,
        error("invalid_request_error", None),
        Result(D, code="invalid_request", message="No.", detail="invalid_request"),
    ),
    _stripe(
        "no_such_method",
        _CHARGE,
        400,
        error("invalid_request_error", "resource_missing", param="payment_method"),
        no_such_method(),
    ),
    _stripe(
        "something_else_missing",
        _CHARGE,
        404,
        error("invalid_request_error", "resource_missing", param="intent"),
        Result(D, code="resource_missing", message="No.", detail="invalid_request"),
    ),
    _stripe(
        "other_parameters",
        _CHARGE,
        400,
        error("idempotency_error", None),
        Result(U, detail="reference_mismatch"),
    ),
    _stripe(
        "in_progress",
        _CHARGE,
        409,
        error("idempotency_error", "idempotency_key_in_use"),
        Result(U, detail="in_progress"),
    ),
    _stripe(
        "conflict",
        _CHARGE,
        409,
        error("invalid_request_error", "lock_timeout"),
        Result(U, detail="http_409"),
    ),
    _stripe("key_wrong", _CHARGE, 401, error("invalid_request_error", None), _CREDENTIALS),
    _stripe("key_restricted", _CHARGE, 403, error("invalid_request_error", None), _CREDENTIALS),
    _stripe("rate_limited", _CHARGE, 429, error("invalid_request_error", "rate_limit"), _LIMITED),
    _stripe("rate_limited_bare", _CHARGE, 429, b"", Result(U, detail="http_429")),
    _stripe("error_500", _CHARGE, 500, error("api_error", None), Result(U, detail="http_500")),
    _stripe(
        "stored_500",
        _CHARGE,
        500,
        error("api_error", None),
        Result(U, detail="stored_failure"),
        idempotent_replayed="true",
    ),
    _stripe("gateway_page", _CHARGE, 502, b"<html>", Result(U, detail="http_502")),
    _stripe("garbage", _CHARGE, 200, b"\xff\xfe", Result(U, detail="unreadable")),
    _stripe("capture", _CAPTURE, 200, intent(metadata=_TAGGED), Result(A, "pi_77", 1099, "EUR")),
    _stripe(
        "capture_unexpected_state",
        _CAPTURE,
        400,
        error("invalid_request_error", "payment_intent_unexpected_state"),
        Result(U, detail="unexpected_state"),
    ),
    _stripe(
        "capture_too_large",
        _CAPTURE,
        400,
        error("invalid_request_error", "amount_too_large"),
        Result(D, code="amount_too_large", message="No.", detail="invalid_request"),
    ),
    _stripe(
        "void",
        _VOID,
        200,
        intent(status="canceled", amount_received=0),
        Result(A, "pi_77", 1099, "EUR", False),
    ),
    _stripe(
        "void_of_another",
        _VOID,
        200,
        intent(id="pi_1", status="canceled"),
        Result(U, detail="reference_mismatch"),
    ),
    _stripe("refund", _REFUND, 200, refund(), Result(A, "re_88", 1099, "EUR")),
    _stripe(
        "refund_pending",
        _REFUND,
        200,
        refund(status="pending"),
        Result(P, "re_88", 1099, "EUR", detail="pending"),
    ),
    _stripe(
        "refund_needs_action",
        _REFUND,
        200,
        refund(status="requires_action"),
        Result(P, "re_88", 1099, "EUR", detail="requires_action"),
    ),
    _stripe(
        "refund_failed",
        _REFUND,
        200,
        refund(status="failed", failure_reason="expired_or_canceled_card"),
        Result(D, "re_88", code="expired_or_canceled_card", detail="failed"),
    ),
    _stripe(
        "refund_canceled",
        _REFUND,
        200,
        refund(status="canceled"),
        Result(D, "re_88", code="refund_canceled", detail="canceled"),
    ),
    _stripe(
        "refund_without_status",
        _REFUND,
        200,
        refund(status=None),
        Result(U, "re_88", detail="undecided_status"),
    ),
    _stripe(
        "refund_too_large",
        _REFUND,
        400,
        error("invalid_request_error", "charge_already_refunded"),
        Result(D, code="charge_already_refunded", message="No.", detail="invalid_request"),
    ),
    _stripe("query_charge", _CHARGE, 200, intent(), Result(A, "pi_77", 1099, "EUR"), _BY_ID),
    _stripe(
        "query_404",
        _CHARGE,
        404,
        error("invalid_request_error", "resource_missing"),
        Result(U, detail="http_404"),
        _BY_ID,
    ),
    _stripe(
        "query_key_wrong",
        _CHARGE,
        401,
        error("invalid_request_error", None),
        Result(U, detail="http_401"),
        _BY_ID,
    ),
    _stripe(
        "query_capture",
        _CAPTURE,
        200,
        intent(metadata=_TAGGED),
        Result(A, "pi_77", 1099, "EUR"),
        _BY_ID,
    ),
    _stripe(
        "query_capture_by_others",
        _CAPTURE,
        200,
        intent(),
        Result(U, "pi_77", detail="captured_otherwise"),
        _BY_ID,
    ),
    _stripe(
        "query_capture_not_yet",
        _CAPTURE,
        200,
        intent(**_HELD),
        Result(U, "pi_77", detail="not_captured"),
        _BY_ID,
    ),
    _stripe(
        "query_capture_canceled",
        _CAPTURE,
        200,
        intent(status="canceled"),
        Result(D, "pi_77", code="capture_failed", detail="canceled"),
        _BY_ID,
    ),
    _stripe(
        "query_void_captured",
        _VOID,
        200,
        intent(),
        Result(D, "pi_77", code="already_captured", detail="captured"),
        _BY_ID,
    ),
    _stripe(
        "query_void_not_yet",
        _VOID,
        200,
        intent(**_HELD),
        Result(U, "pi_77", detail="not_voided"),
        _BY_ID,
    ),
    _stripe("query_refund", _REFUND, 200, refund(), Result(A, "re_88", 1099, "EUR"), _BY_ID),
    _stripe(
        "query_refund_listed",
        _REFUND,
        200,
        {"object": "list", "data": [refund(id="re_1", metadata={}), refund()]},
        Result(A, "re_88", 1099, "EUR"),
        _BY_ID,
    ),
    _stripe(
        "query_refund_not_listed",
        _REFUND,
        200,
        {"object": "list", "data": []},
        Result(U, detail="not_listed"),
        _BY_ID,
    ),
]
