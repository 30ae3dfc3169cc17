"""Callbacks: before the answer, again and again, late, forged, cut short."""

import asyncio
from typing import Any

import asyncpg
import msgspec
import pytest

from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import Operation, Outcome, Resolve, Result
from bailiwick.resources.payments.params import CancelPayment, ConfirmPayment
from bailiwick.resources.refunds.params import CreateRefund
from tests.postgres.node_kit import (
    PROFILE,
    Bank,
    Lost,
    Region,
    balance,
    body,
    paid,
    reviews,
)
from tests.postgres.rows_kit import counts, sound
from tests.store_kit import NodeStore

APPROVED = Outcome.APPROVED


async def test_a_callback_that_comes_before_the_answer(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    async def early(instruction: Any) -> None:
        result = bank.done[instruction.reference][1]
        assert await region.notify(bank, instruction.reference, result, "n1") == "taken"

    bank.before_answer = early
    answer = await paid(region, "k")
    assert answer["status"] == "succeeded"
    assert (await counts(sql))["event"] == 2, "the answer was a no-op"
    assert bytes((await region.pay("k")).body) == msgspec.json.encode(answer)
    assert region.executor.inflight == {}
    await sound(sql)


async def test_a_callback_a_hundred_times(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    bank.script[Operation.CHARGE] = ["pending"]
    reference = (await paid(region, "k"))["latest_charge"]
    done = bank.decide(reference, "approve")
    told = await asyncio.gather(
        *[region.notify(bank, reference, done, f"n{n % 2}") for n in range(100)]
    )
    assert set(told) <= {"taken", "seen before"}
    assert await region.notify(bank, reference, done, "n0") == "seen before"
    assert await balance(sql, "merchant:%") == -1000
    assert (await counts(sql))["event"] == 3
    await sound(sql)


async def test_a_seen_callback_is_not_taken_again_even_when_it_would_count(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    """A refund that came back, then the old callback of its success: it stays as it is."""
    answer = await paid(region)
    refund = body(await region.refund("r", CreateRefund(payment_intent=answer["id"])))
    row = await region.store.refund(refund["id"])
    assert row is not None
    good = Result(APPROVED, f"b_{row.attempt}", 1000, "EUR")
    lost = Result(Outcome.DECLINED, f"b_{row.attempt}", code="lost_or_stolen_card")
    kind = {"operation": Operation.REFUND}
    assert await region.notify(bank, row.attempt, good, "n1", **kind) == "taken"
    assert await region.notify(bank, row.attempt, lost, "n2", **kind) == "taken"
    payment = await region.store.payment(answer["id"])
    assert payment is not None and payment.amount_refunded == 0
    before = await counts(sql)
    assert await region.notify(bank, row.attempt, good, "n1", **kind) == "seen before"
    assert await counts(sql) == before
    await sound(sql)


async def test_a_callback_that_could_not_be_carried_out_is_taken_when_it_comes_again(
    region: Region, bank: Bank, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.script[Operation.CHARGE] = ["decline"]
    assert (await region.pay("k")).status == 402
    (reference,) = bank.done
    done = bank.decide(reference, "approve")

    async def dies(*_: Any, **__: Any) -> None:
        raise Lost

    with monkeypatch.context() as patch:
        patch.setattr(region.executor, "record_outcome", dies)
        with pytest.raises(Lost):
            await region.notify(bank, reference, done, "n1")
    # Also when the process itself was gone: nothing but the database tells.
    assert await region.notify(bank, reference, done, "n1") == "taken"
    assert await reviews(sql) == {"late_success"}


async def test_callbacks_that_are_not_for_us(region: Region, bank: Bank, store: NodeStore) -> None:
    bank.script[Operation.CHARGE] = ["pending"]
    reference = (await paid(region, "k"))["latest_charge"]
    good = Result(APPROVED, "b", 1000, "EUR")
    other = Bank("other")
    both = Region(store, bank, other)
    for work, status in (
        (both.notify(other, reference, good, "n1"), 404),
        (region.notify(bank, "ch_unknown", good, "n1"), 404),
        (region.notify(bank, reference, good, "n1", operation=Operation.REFUND), 404),
        (region.callbacks.take("bank", {"signature": "x"}, b"{}"), 400),
        (region.callbacks.take("nobody", {}, b"{}"), 404),
    ):
        with pytest.raises(ApiError) as refused:
            await work
        assert refused.value.status == status
    payment = await store.attempt(reference)
    assert payment is not None and payment.state == "pending"
    wrong = Result(APPROVED, f"b_{reference}", 999, "EUR")
    assert await region.notify(bank, reference, wrong, "n2") == "asked"  # not certain: not kept
    row = await store.attempt(reference)
    assert row is not None and row.state == "unknown"


@pytest.mark.parametrize("state", ["requires_payment_method", "canceled", "succeeded"])
async def test_a_late_success_is_never_dropped(
    region: Region, bank: Bank, sql: asyncpg.Connection, state: str
) -> None:
    bank.script[Operation.CHARGE] = ["decline"]
    declined = body(await region.pay("k"))["error"]["payment_intent"]
    reference = declined["latest_charge"]
    if state == "canceled":
        await region.act("cancel", "x", declined["id"], CancelPayment())
    if state == "succeeded":
        wish = ConfirmPayment(payment_method="pm_card_visa")
        assert (await region.act("confirm", "y", declined["id"], wish)).status == 200
    expected = 1000 if state == "succeeded" else 0
    done = bank.decide(reference, "approve")
    for n in range(3):
        await region.notify(bank, reference, done, f"n{n}")
    payment = await region.store.payment(declined["id"])
    assert payment is not None
    assert (payment.state, payment.amount_received) == (state, expected)
    assert await balance(sql, "unexpected:%") == -1000
    assert await balance(sql, "receivable:%") == bank.taken() == 1000 + expected
    assert await reviews(sql) == {"late_success"}
    await sound(sql)


async def test_an_old_signature_about_what_is_open_makes_the_resolver_ask(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    bank.script[Operation.CHARGE] = ["pending"]
    reference = (await paid(region, "k"))["latest_charge"]
    false = Result(Outcome.DECLINED, code="card_declined")
    bank.decide(reference, "approve")
    await sql.execute("UPDATE attempt SET next_check_at = clock_timestamp() + interval '1 day'")
    assert await region.notify(bank, reference, false, "n1", dated=True) == "asked"
    assert bank.queries == [], "not from here: many may come"
    assert [each.id for each in await region.store.due(9, 1000)] == [reference]
    await region.resolve(reference)
    attempt = await region.store.attempt(reference)
    assert attempt is not None and attempt.state == "approved"
    # The same callback, fresh: it was not remembered.
    assert await region.notify(bank, reference, false, "n1") == "taken"
    assert await reviews(sql) == {"contradiction"}
    await sound(sql)


async def test_an_old_signature_about_what_has_ended_has_the_provider_asked(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    """A success after a no, and a refund that came back: told by a clock that is wrong."""
    bank.script[Operation.CHARGE] = ["decline"]
    reference = body(await region.pay("k"))["error"]["payment_intent"]["latest_charge"]
    late = bank.decide(reference, "approve")
    for _ in range(3):
        assert await region.notify(bank, reference, late, "n1", dated=True) == "asked"
    assert bank.queries == [reference], "once: then it says nothing new"
    assert await balance(sql, "unexpected:%") == -1000
    assert await reviews(sql) == {"late_success"}
    answer = await paid(region, "k2")
    refund = body(await region.refund("r", CreateRefund(payment_intent=answer["id"])))
    row = await region.store.refund(refund["id"])
    assert row is not None and row.state == "succeeded"
    lost = bank.decide(row.attempt, "decline")
    kind = {"operation": Operation.REFUND, "dated": True}
    for _ in range(3):
        assert await region.notify(bank, row.attempt, lost, "n2", **kind) == "asked"
    assert bank.queries == [reference, row.attempt]
    payment = await region.store.payment(answer["id"])
    assert payment is not None and payment.amount_refunded == 0
    await sound(sql)


async def test_an_old_signature_names_what_nobody_else_can_ask_about(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    """The answer was lost, and with it the provider's id, by which alone it can be asked."""
    ways = dict.fromkeys(Operation, (Resolve.PROVIDER_ID, Resolve.CALLBACK))
    bank = Bank("bank", msgspec.structs.replace(PROFILE, resolve=ways))
    region = Region(store, bank)
    bank.script[Operation.CHARGE] = ["lost"]
    assert (await paid(region, "k"))["status"] == "processing"
    ((reference, (_, done)),) = bank.done.items()
    await region.resolve(reference)
    assert bank.queries == []
    assert await region.notify(bank, reference, done, "n", dated=True) == "asked"
    assert bank.queries == [reference]
    assert body(await region.pay("k"))["status"] == "succeeded"
    await sound(sql)


@pytest.mark.parametrize("said", ["the same as ever", "nothing"])
async def test_an_old_signature_is_not_believed(
    region: Region, bank: Bank, sql: asyncpg.Connection, said: str
) -> None:
    """It comes again until the provider says so too, and nothing is done before."""
    bank.script[Operation.CHARGE] = ["decline"]
    reference = body(await region.pay("k"))["error"]["payment_intent"]["latest_charge"]
    bank.hidden = said == "nothing"
    before = await counts(sql)
    with pytest.raises(ApiError) as refused:
        await region.notify(bank, reference, Result(APPROVED, "b", 1000, "EUR"), "n", dated=True)
    assert refused.value.status == 503
    assert await counts(sql) == before
    # Another amount than ours is no success, so there is nothing to ask.
    wrong = Result(APPROVED, "b", 999, "EUR")
    assert await region.notify(bank, reference, wrong, "n", dated=True) == "asked"
    assert bank.queries == [reference]


async def test_an_unsigned_callback_about_what_has_ended_has_the_provider_asked(
    bank: Bank, store: NodeStore, sql: asyncpg.Connection
) -> None:
    unsigned = Bank("unsigned", msgspec.structs.replace(PROFILE, callbacks=None))
    region = Region(store, unsigned)
    unsigned.script[Operation.CHARGE] = ["decline"]
    reference = body(await region.pay("k"))["error"]["payment_intent"]["latest_charge"]
    late = unsigned.decide(reference, "approve")
    assert await region.notify(unsigned, reference, late, "n") == "asked"
    assert await reviews(sql) == {"late_success"}
    assert await balance(sql, "unexpected:%") == -1000
    await sound(sql)


@pytest.mark.parametrize("when", ["while the void is open", "after it"])
async def test_a_hold_that_is_gone_because_we_cancelled_it_is_no_contradiction(
    region: Region, bank: Bank, sql: asyncpg.Connection, when: str
) -> None:
    held = await paid(region, "k", capture_method="manual")
    charged = f"b_{held['latest_charge']}"
    gone = Result(Outcome.DECLINED, charged, code="charge_voided", detail="voided")
    if when == "while the void is open":
        bank.script[Operation.VOID] = ["lost"]
    await region.act("cancel", "c", held["id"], CancelPayment())
    payment = await region.store.payment(held["id"])
    assert payment is not None
    assert payment.state == ("voiding" if when == "while the void is open" else "canceled")
    assert await region.notify(bank, held["latest_charge"], gone, "n") == "taken"
    assert await reviews(sql) == set()
    await sound(sql)
