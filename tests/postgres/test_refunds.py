"""What a refund shows, one that comes back, and what cannot be canceled."""

import asyncpg
import pytest

from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import Operation, Outcome, Result
from bailiwick.resources.refunds.params import CreateRefund
from tests.postgres.node_kit import STRICT, Bank, Region, asked, balance, body, paid
from tests.postgres.rows_kit import sound

CARD = {"type": "card", "card": {"type": "refund"}}
PENDING = {"type": "card", "card": {"type": "pending"}}


async def test_what_a_refund_shows_of_its_payment(region: Region) -> None:
    made = await paid(region)
    shown = body(await region.refund("r", CreateRefund(payment_intent=made["id"], amount=400)))
    assert (shown["customer"], shown["payment_method"]) == (None, "pm_card_visa")
    assert (shown["destination_details"], shown["pending_reason"]) == (CARD, None)


async def test_a_pending_refund_says_why(region: Region, bank: Bank) -> None:
    made = await paid(region)
    bank.script[Operation.REFUND] = ["pending"]
    shown = body(await region.refund("r", CreateRefund(payment_intent=made["id"])))
    assert (shown["status"], shown["pending_reason"]) == ("pending", "processing")
    assert shown["destination_details"] == PENDING


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("lost_or_stolen_card", "lost_or_stolen_card"),
        ("card_declined", "declined"),
        ("bank_down", "unknown"),
        (None, "unknown"),
    ],
    ids=str,
)
async def test_a_refund_that_comes_back(
    region: Region, bank: Bank, sql: asyncpg.Connection, code: str | None, reason: str
) -> None:
    made = await paid(region)
    first = body(await region.refund("r", CreateRefund(payment_intent=made["id"], amount=400)))
    assert first["status"] == "succeeded" and await balance(sql, "merchant:%") == -600
    row = await region.store.refund(first["id"])
    assert row is not None
    lost = Result(Outcome.DECLINED, f"b_{row.attempt}", code=code)
    for notice in ("n1", "n2"):
        await region.notify(bank, row.attempt, lost, notice, operation=Operation.REFUND)
    row = await region.store.refund(first["id"])
    assert row is not None and (row.state, row.details["failure_reason"]) == ("failed", reason)
    assert await balance(sql, "merchant:%") == -1000, "the money is the merchant's again, once"
    told = await sql.fetch(
        "SELECT e.type, count(p.*) FROM event e LEFT JOIN posting p USING (subject, seq) "
        "WHERE e.type LIKE 'refund.%' GROUP BY e.type, e.seq ORDER BY e.seq"
    )
    assert [tuple(each) for each in told] == [
        ("refund.created", 0), ("refund.updated", 1), ("refund.failed", 1),
    ]  # fmt: skip
    again = body(await region.refund("r2", CreateRefund(payment_intent=made["id"])))
    assert (again["status"], again["amount"]) == ("succeeded", 1000)
    await sound(sql)


async def test_nothing_here_can_be_canceled(region: Region, bank: Bank) -> None:
    made = await paid(region)
    bank.script[Operation.REFUND] = ["pending"]
    shown = body(await region.refund("r", CreateRefund(payment_intent=made["id"])))
    wish = asked("cancel_refund", "c", {})
    with pytest.raises(ApiError, match="status of pending: only one that requires_action") as no:
        await region.refunds.cancel(wish, shown["id"])
    assert no.value.status == 400
    with pytest.raises(ApiError) as missing:
        await region.refunds.cancel(asked("cancel_refund", "c", {}, STRICT), shown["id"])
    assert missing.value.status == 404
    assert bank.called(Operation.REFUND) == 1
