"""The script over a real database, with a bank that does everything that banks do."""

import asyncio
from typing import Any

import asyncpg
import msgspec
import pytest

from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import Operation, Permit, Resolve
from bailiwick.idempotency.requests import Refused
from bailiwick.jurisdiction.assign import Considered
from bailiwick.resources.payments import cascade
from bailiwick.resources.payments.params import CancelPayment, CapturePayment, ConfirmPayment
from bailiwick.store.lanes import WriteInDoubt
from tests.postgres.node_kit import (
    ASSIGNMENT,
    PROFILE,
    STRICT,
    SURE_MS,
    Bank,
    Lost,
    Region,
    body,
    paid,
    reviews,
)
from tests.postgres.rows_kit import counts, sound
from tests.store_kit import NodeStore
from tests.waiting import PATIENCE_S, Clock, until

# Same key


async def test_a_thousand_at_once_are_one_payment(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    bank.script[Operation.CHARGE] = ["slow"]
    answers = await asyncio.gather(*[region.pay("one") for _ in range(1_000)])
    assert len(bank.calls) == 1
    assert {(answer.status, bytes(answer.body)) for answer in answers} == {
        (200, bytes(answers[0].body))
    }
    assert sum(not answer.replayed for answer in answers) == 1
    assert (await counts(sql))["payment"] == 1
    assert region.keys.running == 0


async def test_two_processes_with_one_key(
    store: NodeStore, bank: Bank, sql: asyncpg.Connection
) -> None:
    bank.script[Operation.CHARGE] = ["slow"]
    regions = [Region(store, bank) for _ in range(20)]
    answers = await asyncio.gather(*[each.pay("one") for each in regions])
    assert len(bank.calls) == 1 and bank.taken() == 1000
    ids = {body(answer)["id"] for answer in answers}
    assert len(ids) == 1 and (await counts(sql))["payment"] == 1
    assert {body(answer)["status"] for answer in answers} <= {"processing", "succeeded"}


async def test_a_repetition_gets_the_stored_answer(region: Region, bank: Bank) -> None:
    first = await region.pay("k")
    again = await region.pay("k")
    assert again.replayed and not first.replayed
    assert bytes(again.body) == bytes(first.body) and again.status == first.status
    bank.script[Operation.CHARGE] = ["decline"]
    first, again = await region.pay("d"), await region.pay("d")
    assert (first.status, again.status, len(bank.calls)) == (402, 402, 2)
    assert bytes(again.body) == bytes(first.body)


async def test_the_same_key_with_another_body_is_refused(region: Region, bank: Bank) -> None:
    await region.pay("k")
    with pytest.raises(ApiError) as refused:
        await region.pay("k", amount=2000)
    assert refused.value.type == "idempotency_error"
    answer_now = bank.hold_back()
    first = asyncio.ensure_future(region.pay("under way"))
    await until(lambda: len(bank.calls) == 2)
    with pytest.raises(ApiError, match="same parameters"):
        await region.pay("under way", amount=2000)
    answer_now.set()
    await first
    assert len(bank.calls) == 2


async def test_the_client_goes_away(region: Region, bank: Bank) -> None:
    answer_now = bank.hold_back()
    client = asyncio.ensure_future(region.pay("k"))
    await until(lambda: bank.calls)
    client.cancel()
    await asyncio.gather(client, return_exceptions=True)
    answer_now.set()
    answer = await region.pay("k")
    assert body(answer)["status"] == "succeeded" and len(bank.calls) == 1


async def test_past_the_deadline_it_is_shown_as_processing(store: NodeStore, bank: Bank) -> None:
    region = Region(store, bank, deadline_s=PATIENCE_S)
    answer_now = bank.hold_back()
    paying = asyncio.ensure_future(region.pay("k"))
    await until(lambda: bank.calls)
    await Clock().forward(PATIENCE_S)
    assert body(await paying)["status"] == "processing"
    answer_now.set()
    assert body(await region.pay("k"))["status"] == "succeeded"


# Refusals of the node


async def test_no_gateway_is_a_tombstone_for_ever(region: Region, bank: Bank) -> None:
    """Where another node may take it: that one must be sure of it."""
    considered = (*ASSIGNMENT.considered, Considered(2, "apac", "not_reached", "the next"))
    goes_on = msgspec.structs.replace(ASSIGNMENT, considered=considered)
    bank.usage = "on trial"
    with pytest.raises(Refused):
        await region.pay("k", assignment=goes_on)
    bank.usage = "open"
    with pytest.raises(Refused):
        await region.pay("k", assignment=goes_on)
    assert bank.calls == []


async def test_where_nobody_else_may_take_it_the_key_is_not_used_up(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    before = await counts(sql)
    bank.usage = "on trial"
    with pytest.raises(ApiError) as refused:
        await region.pay("k")
    assert (refused.value.status, refused.value.code, refused.value.retry) == (
        503, "no_gateway", True,
    )  # fmt: skip
    assert await counts(sql) == before
    bank.usage = "open"
    assert (await paid(region, "k"))["status"] == "succeeded"


async def test_a_claimed_key_is_replayed_even_where_new_ones_are_refused(
    region: Region, bank: Bank
) -> None:
    first = await region.pay("k")
    bank.usage = "on trial"
    assert bytes((await region.pay("k")).body) == bytes(first.body)


async def test_a_fenced_node_says_so(region: Region, bank: Bank, sql: asyncpg.Connection) -> None:
    held = await paid(region, capture_method="manual")
    await sql.execute("UPDATE fence SET fenced_at = now()")
    for work in (
        region.pay("new"),
        region.act("capture", "c", held["id"], CapturePayment()),
        region.act("cancel", "x", held["id"], CancelPayment()),
    ):
        with pytest.raises(ApiError) as refused:
            await work
        assert (refused.value.status, refused.value.code) == (503, "node_fenced")
    assert len(bank.calls) == 1


# Outcomes


@pytest.mark.parametrize("word", ["wrong", "missing", "currency"])
async def test_an_amount_that_is_not_ours_is_never_booked(
    region: Region, bank: Bank, sql: asyncpg.Connection, word: str
) -> None:
    bank.script[Operation.CHARGE] = [word]
    answer = body(await region.pay("k"))
    assert (answer["status"], answer["amount_received"]) == ("processing", 0)
    assert (await counts(sql))["posting"] == 0
    names = {"wrong": "amount_mismatch", "missing": "amount_missing",
             "currency": "currency_mismatch"}  # fmt: skip
    assert await reviews(sql) == {names[word]}
    # The look-up tells the truth, and that ends it.
    await region.resolve(answer["latest_charge"])
    assert body(await region.pay("k"))["status"] == "succeeded"
    await sound(sql)


@pytest.mark.parametrize("word", ["lost", "never"])
async def test_an_unknown_outcome_stays_open_and_is_resolved(
    store: NodeStore, sql: asyncpg.Connection, word: str
) -> None:
    bank, other = Bank(), Bank("other", priority=2)
    region = Region(store, bank, other)
    bank.script[Operation.CHARGE] = [word]
    answer = body(await region.pay("k"))
    assert answer["status"] == "processing"
    assert other.calls == [], "no second gateway while the first is unknown"
    with pytest.raises(ApiError, match="outcome is not known yet"):
        await region.act("cancel", "x", answer["id"], CancelPayment())
    with pytest.raises(ApiError, match="outcome is not known yet"):
        await region.act("confirm", "y", answer["id"], ConfirmPayment())
    attempt = answer["latest_charge"]
    if word == "lost":
        await region.resolve(attempt)
        assert body(await region.pay("k"))["status"] == "succeeded"
        assert bank.taken() == 1000
    else:
        await region.resolve(attempt, age_ms=SURE_MS - 1)
        assert body(await region.pay("k"))["status"] == "processing", "inside the window"
        await region.resolve(attempt, age_ms=SURE_MS)
        assert (await region.pay("k")).status == 402
    assert other.calls == []
    await sound(sql)


async def test_not_found_means_nothing_while_our_own_call_is_open(
    region: Region, bank: Bank, store: NodeStore
) -> None:
    answer_now = bank.hold_back()
    paying = asyncio.ensure_future(region.pay("k"))
    await until(lambda: bank.calls)
    bank.hidden = True
    await region.resolve(bank.calls[0].reference, age_ms=10**9)
    bank.hidden = False
    answer_now.set()
    assert body(await paying)["status"] == "succeeded"


async def test_a_permit_that_ran_out_is_not_used(
    region: Region, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bailiwick.orders.idempotent_command.permit", lambda begun: Permit(begun))
    answer = await region.pay("k")
    assert (answer.status, bank.calls) == (402, [])
    assert body(answer)["error"]["code"] == "processing_error"


@pytest.mark.parametrize("word", ["retryable", "unsent"])
async def test_the_next_gateway_after_a_definite_no_charge(
    store: NodeStore, sql: asyncpg.Connection, word: str
) -> None:
    bank, other = Bank(), Bank("other", priority=2)
    region = Region(store, bank, other)
    bank.script[Operation.CHARGE] = [word, word]
    answer = await paid(region, "k")
    assert answer["status"] == "succeeded"
    assert (bank.taken(), other.taken()) == (0, 1000)
    rows = await store.attempts(answer["id"])
    assert [row.gateway for row in rows] == ["bank", "other"]
    assert rows[0].state in ("declined", "unsent") and rows[1].state == "approved"
    assert len({row.id for row in rows}) == 2, "another attempt, another reference"
    # A merchant that does not want it.
    assert (await region.pay("k2", merchant=STRICT)).status == 402
    assert len(other.calls) == 1
    await sound(sql)


@pytest.mark.parametrize("word", ["retryable", "unsent"])
async def test_the_next_gateways_charge_is_expanded(store: NodeStore, word: str) -> None:
    first, second = Bank("bank"), Bank("other", priority=2)
    region = Region(store, first, second)
    first.script[Operation.CHARGE] = [word]
    done = await paid(region, expand=["latest_charge"])
    charge = done["latest_charge"]
    assert (charge["gateway"], charge["status"], charge["paid"]) == ("other", "succeeded", True)
    again = await region.pay("k0", expand=["latest_charge"])
    assert again.replayed and body(again) == done


@pytest.mark.parametrize("word", ["decline", "lost", "never", "pending", "act", "wrong"])
async def test_nothing_else_goes_to_the_next_gateway(store: NodeStore, word: str) -> None:
    bank, other = Bank(), Bank("other", priority=2)
    bank.script[Operation.CHARGE] = [word]
    await Region(store, bank, other).pay("k")
    assert other.calls == []


async def test_at_most_three_attempts(store: NodeStore, sql: asyncpg.Connection) -> None:
    banks = [Bank(f"bank-{n}", priority=n) for n in range(6)]
    for each in banks:
        each.script[Operation.CHARGE] = ["retryable"]
    assert (await Region(store, *banks).pay("k")).status == 402
    assert sum(len(each.calls) for each in banks) == cascade.ATTEMPTS_MAX
    await sound(sql)


async def test_the_payer_acts(region: Region, bank: Bank, sql: asyncpg.Connection) -> None:
    bank.script[Operation.CHARGE] = ["act"]
    answer = await paid(region, "k")
    assert answer["status"] == "requires_action"
    assert answer["next_action"]["redirect_to_url"]["url"] == "https://bank/act"
    reference = answer["latest_charge"]
    done = bank.decide(reference, "approve")
    assert await region.notify(bank, reference, done, "n1") == "taken"
    payment = await region.store.payment(answer["id"])
    assert payment is not None and payment.state == "succeeded"
    await sound(sql)


# Processes that die


async def test_death_after_the_call(region: Region, bank: Bank, sql: asyncpg.Connection) -> None:
    """Charged, and the process is gone: the attempt was committed, and the bank is asked."""
    bank.script[Operation.CHARGE] = ["crash"]
    with pytest.raises(Lost):
        await region.pay("k")
    fresh = Region(region.store, bank)
    shown = body(await fresh.pay("k"))
    assert shown["status"] == "processing" and len(bank.calls) == 1
    await fresh.resolve(shown["latest_charge"])
    assert body(await fresh.pay("k"))["status"] == "succeeded"
    assert bank.taken() == 1000 and len(bank.calls) == 1
    await sound(sql)


async def test_death_before_the_call(
    region: Region, bank: Bank, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(*_: Any, **__: Any) -> None:
        raise Lost

    with monkeypatch.context() as patch:
        patch.setattr(region.executor, "drive", dies)
        with pytest.raises(Lost):
            await region.pay("k")
    fresh = Region(region.store, bank)
    shown = body(await fresh.pay("k"))
    assert shown["status"] == "processing" and bank.calls == []
    await fresh.resolve(shown["latest_charge"], age_ms=SURE_MS)
    assert (await fresh.pay("k")).status == 402
    assert bank.calls == [], "nothing is sent after a restart"


@pytest.mark.parametrize("written", [True, False])
async def test_an_outcome_whose_commit_is_in_doubt(
    region: Region, bank: Bank, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch,
    written: bool,
) -> None:  # fmt: skip
    real, failures = region.store.write, 2

    async def doubtful(lane: str, row: Any) -> Any:
        nonlocal failures
        if failures and lane == "move":
            failures -= 1
            if written:
                await real(lane, row)
            raise WriteInDoubt
        return await real(lane, row)

    monkeypatch.setattr(region.store, "write", doubtful)
    answer = await paid(region, "k")
    assert answer["status"] == "succeeded" and len(bank.calls) == 1 and failures < 2
    assert (await counts(sql))["posting"] == 1
    await sound(sql)


async def test_a_first_write_in_doubt_sends_nothing(
    region: Region, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = region.store.write

    async def doubtful(*args: Any) -> Any:
        await real(*args)
        raise WriteInDoubt

    with monkeypatch.context() as patch:
        patch.setattr(region.store, "write", doubtful)
        with pytest.raises(ApiError) as refused:
            await region.pay("k")
    assert refused.value.status == 503 and refused.value.retry
    shown = body(await region.pay("k"))
    assert shown["status"] == "processing" and bank.calls == []


# Replay, where the channel declares it


async def test_a_replay_only_inside_its_retention(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    ways = dict.fromkeys(Operation, (Resolve.REPLAY,))
    profile = msgspec.structs.replace(PROFILE, resolve=ways, replay_ms=60_000)
    bank = Bank(profile=profile)
    region = Region(store, bank)
    bank.script[Operation.CHARGE] = ["lost"]
    shown = await paid(region, "k")
    reference = shown["latest_charge"]
    await sql.execute("UPDATE attempt SET permitted_at = now() - interval '61 s'")
    await region.resolve(reference)
    assert len(bank.calls) == 1, "after the retention a repeat would be a new charge"
    await sql.execute("UPDATE attempt SET permitted_at = now()")
    await region.resolve(reference)
    assert [call.reference for call in bank.calls] == [reference, reference]
    assert body(await region.pay("k"))["status"] == "succeeded" and bank.taken() == 1000
    await sound(sql)


async def test_a_replay_that_is_turned_away_says_nothing_of_the_charge(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    ways = dict.fromkeys(Operation, (Resolve.REPLAY,))
    profile = msgspec.structs.replace(PROFILE, resolve=ways, replay_ms=60_000)
    bank, other = Bank(profile=profile), Bank("other", priority=2)
    region = Region(store, bank, other)
    bank.script[Operation.CHARGE] = ["lost", "revoked"]
    shown = await paid(region, "k")
    assert bank.taken() == 1000
    await region.resolve(shown["latest_charge"])
    assert body(await region.pay("k"))["status"] == "processing"
    assert other.calls == [], "the charge was made: nobody else may make it again"
    await region.resolve(shown["latest_charge"])
    assert body(await region.pay("k"))["status"] == "succeeded"
    assert (bank.taken(), other.taken()) == (1000, 0)
    await sound(sql)
