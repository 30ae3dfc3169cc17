"""Refunds of what was held, at a provider that refunds captures by an id of their own."""

import asyncpg
import msgspec
import pytest

from bailiwick.channels.contract import Operation
from bailiwick.resources.payments.params import CapturePayment
from bailiwick.resources.refunds.params import CreateRefund
from tests.postgres.node_kit import PROFILE, Bank, Region, body
from tests.postgres.rows_kit import sound
from tests.postgres.steps_kit import Orders, begun
from tests.store_kit import NodeStore


def of(bank: Bank, operation: Operation) -> list[str]:
    """Our references of what arrived."""
    return [each.reference for each in bank.calls if each.operation is operation]


async def refunded(region: Region, bank: Bank, payment: str) -> list[tuple[str | None, str | None]]:
    """Give it back in two parts; of which capture, and of which charge."""
    for key, amount in (("r1", 300), ("r2", None)):
        given = CreateRefund(payment_intent=payment, amount=amount)
        assert body(await region.refund(key, given))["status"] == "succeeded"
    calls = [each for each in bank.calls if each.operation is Operation.REFUND]
    assert [each.amount for each in calls] == [300, 700]
    return [(each.capture, each.provider_ref) for each in calls]


@pytest.mark.parametrize("named", [True, False])
async def test_a_refund_names_the_capture_where_it_has_to(
    store: NodeStore, sql: asyncpg.Connection, named: bool
) -> None:
    bank = Bank(profile=msgspec.structs.replace(PROFILE, capture_ids=named))
    region = Region(store, bank)
    payment = str(body(await region.pay("p", capture_method="manual"))["id"])
    bank.script[Operation.CAPTURE] = ["decline"]
    await region.act("capture", "c1", payment, CapturePayment())
    await region.act("capture", "c2", payment, CapturePayment())
    (charge,), captures = of(bank, Operation.CHARGE), of(bank, Operation.CAPTURE)
    assert len(captures) == 2
    # What was declined took nothing, and is not named.
    wanted = f"b_{captures[1]}" if named else None
    assert await refunded(region, bank, payment) == [(wanted, f"b_{charge}")] * 2
    await sound(sql)


async def test_what_was_taken_at_once_has_no_capture_of_its_own(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    bank = Bank(profile=msgspec.structs.replace(PROFILE, capture_ids=True))
    region = Region(store, bank)
    payment = str(body(await region.pay("p"))["id"])
    (charge,) = of(bank, Operation.CHARGE)
    assert await refunded(region, bank, payment) == [(None, f"b_{charge}")] * 2
    await sound(sql)


async def test_a_hold_of_several_requests_is_captured_and_refunded(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    """The void and the capture name what the last step made; the refund the capture."""
    bank = Orders(capture_ids=True)
    region = Region(store, bank)
    payment = await begun(region, capture_method="manual")
    (charge,) = set(of(bank, Operation.CHARGE))
    bank.approve(charge)
    await region.resolve(charge)
    await region.act("capture", "c", payment["id"], CapturePayment())
    (capture,) = (each for each in bank.calls if each.operation is Operation.CAPTURE)
    assert (capture.provider_ref, capture.capture) == (f"paid_{charge}", None)
    wanted = (f"b_{capture.reference}", f"paid_{charge}")
    assert await refunded(region, bank, payment["id"]) == [wanted] * 2
    await sound(sql)
