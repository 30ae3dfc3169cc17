"""``error_on_requires_action``: a charge that waits for the payer is voided, and fails."""

from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from bailiwick.channels.contract import Operation
from bailiwick.idempotency.requests import Answer
from bailiwick.resources.payments.holds import voids
from bailiwick.resources.payments.params import CancelPayment, ConfirmPayment
from tests.postgres.node_kit import SURE_MS, Bank, Lost, Region, balance, body, reviews
from tests.postgres.rows_kit import sound

CHARGE, VOID = Operation.CHARGE, Operation.VOID


async def pay(region: Region, key: str = "k", **values: Any) -> Answer:
    return await region.pay(key, error_on_requires_action=True, **values)


def failed(answer: Answer) -> dict[str, Any]:
    """The payment in an answer that it failed for want of authentication."""
    assert answer.status == 402, bytes(answer.body)
    error = body(answer)["error"]
    assert (error["type"], error["code"]) == ("card_error", "authentication_required")
    shown: dict[str, Any] = error["payment_intent"]
    assert (shown["status"], shown["payment_method"]) == ("requires_payment_method", None)
    assert shown["last_payment_error"]["code"] == "authentication_required"
    return shown


async def open_attempt(region: Region, identifier: str) -> str:
    payment = await region.store.payment(identifier)
    assert payment is not None and payment.open_attempt is not None
    return payment.open_attempt


async def test_it_fails_instead_of_waiting(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    bank.script[CHARGE] = ["act"]
    first = await pay(region, expand=["latest_charge"])
    shown = failed(first)
    assert shown["latest_charge"]["failure_code"] == "authentication_required"
    assert [each.operation for each in bank.calls] == [CHARGE, VOID]
    assert bank.calls[1].charge_reference == shown["latest_charge"]["id"]
    again = await pay(region, expand=["latest_charge"])
    assert again.replayed and bytes(again.body) == bytes(first.body) and len(bank.calls) == 2
    wish = ConfirmPayment(payment_method="pm_card_mastercard")
    done = body(await region.act("confirm", "c", shown["id"], wish))
    assert done["status"] == "succeeded" and bank.taken() == 1000
    await sound(sql)


async def test_on_confirm_too_and_only_where_it_was_asked_for(region: Region, bank: Bank) -> None:
    bank.script[CHARGE] = ["act", "act"]
    made = body(await region.pay("k", confirm=False))
    wish = ConfirmPayment(error_on_requires_action=True)
    shown = failed(await region.act("confirm", "c", made["id"], wish))
    wish = ConfirmPayment(payment_method="pm_card_visa")
    waits = body(await region.act("confirm", "d", shown["id"], wish))
    assert waits["status"] == "requires_action"
    gone = body(await region.act("cancel", "x", shown["id"], CancelPayment()))
    assert gone["status"] == "canceled"


async def test_an_unknown_void_is_resolved(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    bank.script[CHARGE], bank.script[VOID] = ["act"], ["lost"]
    shown = body(await pay(region))
    assert (shown["status"], shown["next_action"]) == ("processing", None)
    await region.resolve(shown["latest_charge"])
    assert body(await pay(region))["status"] == "processing", "the void has it"
    await region.resolve(await open_attempt(region, shown["id"]))
    failed(await pay(region))
    assert bank.called(VOID) == 1
    await sound(sql)


async def test_a_charge_that_was_taken_meanwhile_counts(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    bank.script[CHARGE], bank.script[VOID] = ["act"], ["decline"]
    shown = body(await pay(region))
    assert shown["status"] == "processing"
    bank.decide(shown["latest_charge"], "approve")
    await region.resolve(shown["latest_charge"])
    done = await pay(region)
    assert done.status == 200 and body(done)["status"] == "succeeded" and bank.taken() == 1000
    await sound(sql)


async def test_a_refused_void_is_tried_again_but_not_for_ever(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    bank.script[CHARGE], bank.script[VOID] = ["act"], ["decline", "unsent", *["decline"] * 20]
    shown = body(await pay(region))
    for _ in range(voids.FORGO_MAX):
        await region.resolve(shown["latest_charge"])
    waits = body(await pay(region))
    assert waits["status"] == "requires_action"
    assert waits["next_action"]["redirect_to_url"]["url"] == "https://bank/act"
    row = await region.store.payment(shown["id"])
    assert row is not None and row.attempts == voids.FORGO_MAX
    bank.script[VOID] = []
    gone = body(await region.act("cancel", "x", shown["id"], CancelPayment()))
    assert gone["status"] == "canceled"
    await sound(sql)


@pytest.mark.parametrize("how", ["callback", "resolver"])
async def test_that_the_payer_must_act_is_learnt_later(
    region: Region, bank: Bank, sql: asyncpg.Connection, how: str
) -> None:
    bank.script[CHARGE] = ["pending"]
    shown = body(await pay(region))
    result = bank.decide(shown["latest_charge"], "act")
    if how == "callback":
        assert await region.notify(bank, shown["latest_charge"], result, "n1") == "taken"
    else:
        await region.resolve(shown["latest_charge"])
    failed(await pay(region))
    assert bank.called(VOID) == 1
    await sound(sql)


async def test_a_late_success_is_booked_apart(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    bank.script[CHARGE] = ["act"]
    shown = failed(await pay(region))
    result = bank.decide(shown["latest_charge"], "approve")
    await region.notify(bank, shown["latest_charge"], result, "n1")
    assert await reviews(sql) == {"late_success"}
    assert await balance(sql, "unexpected:%") == -1000 and await balance(sql, "merchant:%") == 0


async def test_a_hold_of_such_a_payment_is_canceled_as_any(region: Region, bank: Bank) -> None:
    held = body(await pay(region, capture_method="manual"))
    assert held["status"] == "requires_capture"
    gone = body(await region.act("cancel", "x", held["id"], CancelPayment()))
    assert gone["status"] == "canceled"


@pytest.mark.parametrize("word", ["crash", "never"])
async def test_death_at_the_void(
    region: Region, bank: Bank, sql: asyncpg.Connection, word: str
) -> None:
    bank.script[CHARGE], bank.script[VOID] = ["act"], [word]
    if word == "crash":
        with pytest.raises(Lost):
            await pay(region)
    else:
        assert body(await pay(region))["status"] == "processing"
    fresh = Region(region.store, bank)
    shown = body(await pay(fresh))
    assert shown["status"] == "processing"
    await fresh.resolve(await open_attempt(fresh, shown["id"]), age_ms=SURE_MS)
    if word == "never":  # it never arrived, which is certain: the charge is asked, and voided
        await fresh.resolve(shown["latest_charge"])
    failed(await pay(fresh))
    assert bank.called(VOID) == 1
    await sound(sql)


async def test_death_before_the_void_is_sent(
    region: Region, bank: Bank, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The permit of the void is committed with what the provider said of the charge."""

    def dies(name: str) -> Callable[[], None] | None:
        if name == "next.permitted":
            raise Lost
        return None

    bank.script[CHARGE] = ["act"]
    with monkeypatch.context() as patch:
        patch.setattr("bailiwick.orders.executor.crash_point", dies)
        with pytest.raises(Lost):
            await pay(region)
    fresh = Region(region.store, bank)
    shown = body(await pay(fresh))
    assert shown["status"] == "processing" and bank.called(VOID) == 0
    await fresh.resolve(await open_attempt(fresh, shown["id"]), age_ms=SURE_MS)
    await fresh.resolve(shown["latest_charge"])
    failed(await pay(fresh))
    assert bank.called(VOID) == 1
    await sound(sql)
