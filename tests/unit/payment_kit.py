"""Payments, attempts and refunds made up for tests of the deciding modules."""

from typing import Any

import msgspec

from bailiwick.base.ids import new_id
from bailiwick.channels.contract import Instruction, Operation, Outcome, Result, redirect
from bailiwick.orders.attempts import Attempt
from bailiwick.resources.payments.outcomes import Step
from bailiwick.resources.payments.rows import Details, Payment, Progress
from bailiwick.resources.refunds.rows import Refund, RefundEnd

NOW = 1_800_000_000_000
LOOK = 1_000
REF = "bank_1"
replace = msgspec.structs.replace


def payment(**values: Any) -> Payment:
    """A payment under way: one charge of 1000 EUR cents is open."""
    given: dict[str, Any] = {
        "id": new_id("pi", 1, NOW),
        "merchant": "acct_1",
        "livemode": False,
        "version": 1,
        "state": "processing",
        "epoch": 1,
        "amount": 1000,
        "currency": "EUR",
        "created_ms": NOW,
        "updated_ms": NOW,
        "details": Details("cs_1", {"country": "DE"}, {"node": 1, "name": "europe"}),
        "progress": Progress(payment_method="pm_card_visa"),
        "attempts": 1,
        "open_attempt": "ch_1",
        "charge_attempt": "ch_1",
    }
    return Payment(**{**given, **values})


def attempt(**values: Any) -> Attempt:
    """The open charge of ``payment``."""
    given: dict[str, Any] = {
        "id": "ch_1",
        "subject": "pi_1",
        "number": 1,
        "acts_on": None,
        "merchant": "acct_1",
        "livemode": False,
        "operation": "charge",
        "gateway": "bank",
        "state": "permitted",
        "amount": 1000,
        "currency": "EUR",
        "key": "key-1",
        "provider_ref": None,
        "result": None,
        "age_ms": 0,
        "quiet_ms": 0,
        "checks": 0,
        "replays": 0,
    }
    method = values.pop("payment_method", None)
    given |= values
    asked = Instruction(
        Operation(given["operation"]),
        given["key"] or given["id"],
        given["amount"],
        given["currency"],
        payment_method=method,
    )
    return Attempt(**{"instruction": msgspec.Raw(msgspec.json.encode(asked)), **given})


def refund(**values: Any) -> Refund:
    """A refund of 400 under way by attempt ``at_r``."""
    given: dict[str, Any] = {
        "id": "re_1",
        "payment": "pi_1",
        "merchant": "acct_1",
        "livemode": False,
        "state": "pending",
        "amount": 400,
        "currency": "EUR",
        "attempt": "at_r",
        "created_ms": NOW,
        "details": {"reason": None, "metadata": {}},
    }
    return Refund(**{**given, **values})


def approved(amount: int = 1000, *, captured: bool = True) -> Result:
    return Result(Outcome.APPROVED, REF, amount, "EUR", captured)


def declined(code: str = "card_declined", **values: Any) -> Result:
    return Result(Outcome.DECLINED, code=code, **values)


def pending(url: str | None = None) -> Result:
    return Result(Outcome.PENDING, REF, action=redirect(url))


def unknown(detail: str = "timeout") -> Result:
    return Result(Outcome.UNKNOWN, detail=detail)


def ended(step: Step, row: Attempt) -> Attempt:
    """The attempt as the store holds it once the step is written."""
    for end in step.attempt_ends or []:
        if end.id == row.id:
            kept = None if end.result is None else msgspec.Raw(end.result.encode())
            ref = end.provider_ref or row.provider_ref
            row = replace(row, state=end.state, provider_ref=ref, result=kept)
    return row


def refund_end(step: Step) -> RefundEnd | None:
    """The end of a refund that a step writes."""
    found = (step.beside or {}).get("refund_end")
    assert found is None or isinstance(found, RefundEnd)
    return found
