"""Callbacks and answers about something else than we asked for: nothing of them is booked."""

import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode

import asyncpg
import msgspec
import pytest
from msgspec.structs import replace

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.channels import registry
from bailiwick.channels.contract import CallbackEvent, Operation, Outcome, Resolve, Result
from bailiwick_lab.channel_suite.cases import Callback
from bailiwick_lab.channel_suite.subject import Subject, spelt, subject
from tests.postgres.node_kit import PROFILE, Bank, Region, balance, body, paid, reviews
from tests.postgres.rows_kit import counts, sound
from tests.store_kit import NodeStore

APPROVED = Outcome.APPROVED
MISMATCH = {"reference_mismatch"}


async def pending(region: Region, bank: Bank, key: str = "k", **values: Any) -> str:
    bank.script[Operation.CHARGE] = ["pending"]
    return str((await paid(region, key, **values))["latest_charge"])


async def test_another_object_under_our_reference(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    reference = await pending(region, bank)
    before = await counts(sql)
    await sql.execute("UPDATE attempt SET next_check_at = clock_timestamp() + interval '1 day'")
    strange = Result(APPROVED, "b_another", 1000, "EUR")
    assert await region.notify(bank, reference, strange, "n1") == "contradicts"
    attempt = await region.store.attempt(reference)
    assert attempt is not None
    assert (attempt.state, attempt.provider_ref) == ("pending", f"b_{reference}")
    assert {**await counts(sql), "review": 0, "callback": 0} == {
        **before, "review": 0, "callback": 0
    }  # fmt: skip
    assert await reviews(sql) == MISMATCH
    assert [each.id for each in await region.store.due(9, 1000)] == [reference], "it is asked"
    # Sent again it opens nothing again.
    await sql.execute("UPDATE review SET closed_at = now()")
    assert await region.notify(bank, reference, strange, "n1") == "seen before"
    assert await reviews(sql) == set()
    bank.decide(reference, "approve")
    await region.resolve(reference)
    assert body(await region.pay("k"))["status"] == "succeeded"
    assert await balance(sql, "merchant:%") == -1000 == -bank.taken()
    await sound(sql)


async def test_another_object_for_an_attempt_that_has_ended(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    answer = await paid(region, "k")
    reference = answer["latest_charge"]
    for n, outcome in enumerate((APPROVED, Outcome.DECLINED)):
        strange = Result(outcome, "b_another", 1000, "EUR")
        assert await region.notify(bank, reference, strange, f"n{n}") == "contradicts"
    assert await reviews(sql) == MISMATCH
    assert bank.queries == [], "a yes is not asked about again"
    assert body(await region.pay("k")) == answer
    await sound(sql)


async def test_another_object_after_a_no_has_the_provider_asked(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    reference = await pending(region, bank)
    no = bank.decide(reference, "decline")
    told = msgspec.structs.replace(no, provider_ref=f"b_{reference}")
    assert await region.notify(bank, reference, told, "n1") == "taken"
    bank.decide(reference, "approve")
    strange = Result(APPROVED, "b_another", 1000, "EUR")
    assert await region.notify(bank, reference, strange, "n2") == "contradicts"
    assert bank.queries == [reference]
    assert await balance(sql, "unexpected:%") == -1000, "by what the provider said when asked"
    assert await reviews(sql) == MISMATCH | {"late_success"}
    await sound(sql)


@pytest.mark.parametrize("outcome", [APPROVED, Outcome.DECLINED, Outcome.PENDING])
async def test_another_currency(
    region: Region, bank: Bank, sql: asyncpg.Connection, outcome: Outcome
) -> None:
    reference = await pending(region, bank)
    strange = Result(outcome, f"b_{reference}", 1000, "USD")
    assert await region.notify(bank, reference, strange, "n1") == "asked"
    assert await reviews(sql) == {"currency_mismatch"}
    assert await balance(sql, "%") == 0
    attempt = await region.store.attempt(reference)
    assert attempt is not None and attempt.state == "unknown"
    await sound(sql)


async def test_a_success_after_a_no_that_is_not_the_one_asked_for(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    bank.script[Operation.CHARGE] = ["decline"]
    reference = body(await region.pay("k"))["error"]["payment_intent"]["latest_charge"]
    strange = Result(APPROVED, f"b_{reference}", 999, "EUR")
    assert await region.notify(bank, reference, strange, "n1") == "taken"
    assert await reviews(sql) == {"amount_mismatch"}
    assert await balance(sql, "%") == 0
    await sound(sql)


@pytest.mark.parametrize("kind", ["another account", "another operation"])
async def test_what_is_told_by_or_of_another(
    store: NodeStore, sql: asyncpg.Connection, kind: str
) -> None:
    bank, other = Bank(), Bank("other", priority=2)
    region = Region(store, bank, other)
    reference = await pending(region, bank)
    told = Result(APPROVED, f"b_{reference}", 1000, "EUR")
    teller = other if kind == "another account" else bank
    operation = Operation.REFUND if kind == "another operation" else Operation.CHARGE
    with pytest.raises(ApiError) as refused:
        await region.notify(teller, reference, told, "n1", operation=operation)
    assert refused.value.status == 404
    attempt = await store.attempt(reference)
    assert attempt is not None and attempt.state == "pending"
    assert await reviews(sql) == MISMATCH
    assert await balance(sql, "%") == 0
    await sound(sql)


async def test_by_the_provider_s_id_alone_nothing_is_booked(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    bank, other = Bank(), Bank("other", priority=2)
    region = Region(store, bank, other)
    reference = await pending(region, bank)
    result = Result(APPROVED, f"b_{reference}", 1000, "EUR")
    notice = CallbackEvent("n1", Operation.CHARGE, None, result.provider_ref, result)
    for teller in (bank, other):
        with pytest.raises(ApiError) as refused:
            await region.callbacks.take(
                teller.name, {"signature": "genuine"}, msgspec.json.encode(notice)
            )
        assert refused.value.status == 404
    assert await balance(sql, "%") == 0


async def test_gateways_of_one_account_speak_for_each_other(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    """The provider calls every address that the account has registered."""
    bank, twin = Bank(), Bank("twin", priority=2, vault="bank")
    region = Region(store, bank, twin)
    reference = await pending(region, bank)
    done = bank.decide(reference, "approve")
    assert await region.notify(twin, reference, done, "n1") == "taken"
    assert await region.notify(bank, reference, done, "n1") == "taken"
    assert await balance(sql, "merchant:%") == -1000
    assert await reviews(sql) == set()
    await sound(sql)


async def test_anybody_s_callback_opens_no_review(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    bank = Bank("bank", msgspec.structs.replace(PROFILE, callbacks=None))
    region = Region(store, bank)
    reference = await pending(region, bank)
    strange = Result(APPROVED, "b_another", 1000, "EUR")
    assert await region.notify(bank, reference, strange, "n1") == "contradicts"
    assert await reviews(sql) == set()
    assert await balance(sql, "%") == 0


@pytest.mark.parametrize("way", ["query", "replay"])
async def test_an_answer_about_another_object(
    store: NodeStore, sql: asyncpg.Connection, way: str
) -> None:
    resolve = Resolve.REFERENCE if way == "query" else Resolve.REPLAY
    ways = dict.fromkeys(Operation, (resolve,))
    bank = Bank("bank", msgspec.structs.replace(PROFILE, resolve=ways, replay_ms=600_000))
    region = Region(store, bank)
    bank.script[Operation.CHARGE] = ["wrong"]  # unknown, and the provider's id is known
    reference = (await paid(region, "k"))["latest_charge"]
    instruction, _ = bank.done[reference]
    bank.done[reference] = (instruction, Result(APPROVED, "b_another", 1000, "EUR"))
    await region.resolve(reference)
    attempt = await store.attempt(reference)
    assert attempt is not None
    assert (attempt.state, attempt.provider_ref) == ("unknown", f"b_{reference}")
    assert await reviews(sql) == MISMATCH | {"amount_mismatch"}
    assert await balance(sql, "%") == 0
    bank.done[reference] = (instruction, Result(APPROVED, f"b_{reference}", 1000, "EUR"))
    await region.resolve(reference)
    assert body(await region.pay("k"))["status"] == "succeeded"
    await sound(sql)


# With the real channels' own callbacks


def _approving() -> dict[str, tuple[Subject, Callback]]:
    """Of each channel whose callbacks are believed, one that approves a charge."""
    found: dict[str, tuple[Subject, Callback]] = {}
    for name in registry.names():
        it = subject(registry.channel(name), registry.folder(name))
        for case in it.cases.callbacks:
            said = case.says
            if said is None or said.result is None or said.operation is not Operation.CHARGE:
                continue
            if said.result.outcome is APPROVED and said.reference and said.provider_ref:
                found.setdefault(name, (it, case))
    return found


GENUINE = _approving()


def about(body: bytes, *changes: tuple[str, str]) -> bytes:
    """A callback that is about something else, as its provider spells it; numbers become texts."""

    def changed(found: Any) -> Any:
        if isinstance(found, dict):
            return {key: changed(value) for key, value in found.items()}
        if isinstance(found, list):
            return [changed(each) for each in found]
        for old, new in changes:
            if isinstance(found, (str, int)) and re.fullmatch(spelt(old), str(found)):
                mark = str(found)[old.find("_")]
                return new.replace("_", mark) if "_" in old else new
        return found

    if not body.startswith(b"{"):
        return urlencode(changed(dict(parse_qsl(body.decode(), strict_parsing=True)))).encode()
    return json.dumps(changed(json.loads(body))).encode()


@pytest.mark.parametrize("name", sorted(GENUINE))
async def test_a_channel_s_own_callback_about_another_object(
    store: NodeStore, sql: asyncpg.Connection, name: str
) -> None:
    it, case = GENUINE[name]
    assert case.says is not None and case.says.result is not None
    amount, currency = case.says.result.amount, case.says.result.currency
    assert amount is not None and currency is not None
    bank = Bank()
    region = Region(store, bank)
    reference = await pending(region, bank, amount=amount, currency=currency.lower())
    bank.channel, bank.profile = it.channel, it.profile
    theirs = it.cases.account
    bank.account = replace(theirs, gateway="bank", base_url="")

    async def told(known: str) -> str:
        assert case.says is not None
        assert case.says.reference is not None and case.says.provider_ref is not None
        raw = about(
            case.body,
            (case.says.reference, reference),
            (case.says.provider_ref, known),
            (case.says.notice_id, f"evt_{known}"),
        )
        notice = it.signed(replace(case, body=raw), now_ms(), bank.account, bank.callback_url)
        return await region.callbacks.take("bank", notice.headers, notice.body, case.query)

    assert await told("pi_another") == "contradicts"
    assert await balance(sql, "merchant:%") == 0
    assert await reviews(sql) == MISMATCH
    assert await told(f"b_{reference}") == "taken"
    assert await balance(sql, "merchant:%") == -amount
    await sound(sql)
