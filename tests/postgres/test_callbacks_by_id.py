"""Callbacks as whole requests: those that name nothing but the provider's ids, those whose address
is signed, and what is answered to them."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import msgspec
import pytest

from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import (
    Account,
    Acknowledgement,
    CallbackEvent,
    CallbackRefused,
    Notice,
    Operation,
    Outcome,
    Result,
)
from bailiwick.resources.payments.params import CapturePayment
from bailiwick.resources.refunds.params import CreateRefund
from tests.postgres.lists_kit import Site, site
from tests.postgres.node_kit import PROFILE, Bank, Region, balance, body, paid, reviews
from tests.postgres.rows_kit import sound
from tests.store_kit import NodeStore

APPROVED = Outcome.APPROVED
BY_ID = msgspec.structs.replace(PROFILE, callbacks_by_id=True)
UNSIGNED = msgspec.structs.replace(BY_ID, callbacks=None)
SOON = "UPDATE attempt SET next_check_at = clock_timestamp() + interval '1 day' WHERE state = $1"


async def told(region: Region, bank: Bank, event: CallbackEvent) -> str:
    genuine = {"signature": "genuine"}
    return await region.callbacks.take(bank.name, genuine, msgspec.json.encode(event))


async def pending(region: Region, bank: Bank, key: str = "k", **values: object) -> str:
    bank.script[Operation.CHARGE] = ["pending"]
    return str((await paid(region, key, **values))["latest_charge"])


async def due(store: NodeStore) -> list[str]:
    return sorted(each.id for each in await store.due(99, 1000))


async def refunded(region: Region, bank: Bank, payment: str, key: str, word: str) -> str:
    bank.script[Operation.REFUND] = [word]
    await region.refund(key, CreateRefund(payment_intent=payment, amount=100))
    return bank.calls[-1].reference


async def test_an_object_s_id_is_enough(store: NodeStore, sql: asyncpg.Connection) -> None:
    bank = Bank(profile=BY_ID)
    region = Region(store, bank)
    reference = await pending(region, bank)
    result = Result(APPROVED, f"b_{reference}", 1000, "EUR")
    event = CallbackEvent("n1", Operation.CHARGE, None, result.provider_ref, result)
    assert await told(region, bank, event) == "taken"
    assert await told(region, bank, event) == "seen before"
    assert await balance(sql, "merchant:%") == -1000
    await sound(sql)


async def test_another_account_s_and_unknown_ids_are_nobody_s(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    bank, other = Bank(profile=BY_ID), Bank("other", BY_ID, priority=2)
    region = Region(store, bank, other)
    reference = await pending(region, bank)
    result = Result(APPROVED, f"b_{reference}", 1000, "EUR")
    for teller, about in (
        (other, CallbackEvent("n1", Operation.CHARGE, None, f"b_{reference}", result)),
        (bank, CallbackEvent("n1", Operation.CHARGE, None, "b_another", result)),
        (bank, CallbackEvent("n1", Operation.REFUND, None, f"b_{reference}", result)),
        (bank, CallbackEvent("n1", Operation.CHARGE)),
    ):
        with pytest.raises(ApiError) as refused:
            await told(region, teller, about)
        assert refused.value.status == 404
    assert await balance(sql, "%") == 0


async def test_a_refund_is_found_by_its_charge(store: NodeStore, sql: asyncpg.Connection) -> None:
    bank = Bank(profile=BY_ID)
    region = Region(store, bank)
    payment = await paid(region)
    charge = f"b_{payment['latest_charge']}"
    refund = await refunded(region, bank, payment["id"], "r1", "pending")
    result = Result(APPROVED, f"b_{refund}", 100, "EUR")
    event = CallbackEvent("n1", Operation.REFUND, None, f"b_{refund}", result, charge=charge)
    assert await told(region, bank, event) == "taken"
    assert await balance(sql, "merchant:%") == -900


async def test_of_several_refunds_of_a_charge_each_open_one_is_asked_about(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    bank = Bank(profile=BY_ID)
    region = Region(store, bank)
    payment = await paid(region)
    charge = f"b_{payment['latest_charge']}"
    waiting = [await refunded(region, bank, payment["id"], f"r{n}", "pending") for n in range(2)]
    await sql.execute(SOON, "pending")
    result = Result(APPROVED, None, 100, "EUR")
    event = CallbackEvent("n1", Operation.REFUND, None, None, result, charge=charge)
    assert await told(region, bank, event) == "asked"
    assert await balance(sql, "merchant:%") == -1000, "which of them is it?"
    assert await due(store) == sorted(waiting)


async def test_without_an_operation_all_that_is_open_is_asked_about(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    bank = Bank(profile=UNSIGNED)
    region = Region(store, bank)
    payment = await paid(region)
    waiting = await refunded(region, bank, payment["id"], "r1", "pending")
    await refunded(region, bank, payment["id"], "r2", "approve")
    other = await pending(region, bank, "k2")
    await sql.execute(SOON, "pending")
    event = CallbackEvent("n1", None, None, f"b_{payment['latest_charge']}")
    assert await told(region, bank, event) == "asked"
    assert await due(store) == [waiting]
    assert bank.queries == [], "what has ended well is not asked about"
    event = CallbackEvent("n1", None, None, f"b_{other}")
    assert await told(region, bank, event) == "asked"
    assert await due(store) == [other]


async def test_an_unsigned_one_about_what_was_declined_has_the_provider_asked(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    bank = Bank(profile=UNSIGNED)
    region = Region(store, bank)
    reference = await pending(region, bank)
    bank.decide(reference, "decline")
    await region.resolve(reference)
    event = CallbackEvent("n1", None, None, f"b_{reference}")
    assert await told(region, bank, event) == "asked"
    bank.decide(reference, "approve")
    await told(region, bank, event)
    assert await balance(sql, "unexpected:%") == -1000
    bank.decide(reference, "decline")
    bank.queries.clear()
    assert await told(region, bank, event) == "asked"
    assert bank.queries == [], "what has ended well is not asked about"


async def test_captures_in_parts_have_one_id(store: NodeStore, sql: asyncpg.Connection) -> None:
    """The attempts with an object are more than one: nothing is believed of which it is."""
    profile = msgspec.structs.replace(BY_ID, multiple_captures=True)
    bank = Bank(profile=profile)
    region = Region(store, bank)
    several = {"card": {"request_multicapture": "if_available"}}
    payment = await paid(region, capture_method="manual", payment_method_options=several)
    for number in range(2):
        bank.script[Operation.CAPTURE] = ["approve"]
        wish = CapturePayment(amount_to_capture=100, final_capture=False)
        made = body(await region.act("capture", f"c{number}", payment["id"], wish))
        assert made["amount_received"] == 100 * (number + 1)
    await sql.execute("UPDATE known_object SET provider_ref = 'b_one' WHERE attempt LIKE 'at_%'")
    result = Result(APPROVED, "b_one", 100, "EUR")
    event = CallbackEvent("n1", Operation.CAPTURE, None, "b_one", result)
    assert await told(region, bank, event) == "asked"


HELD: dict[str, object] = {"capture_method": "manual"}


@pytest.mark.parametrize(
    ("values", "operation", "outcome", "word", "reason"),
    [
        ({}, Operation.REFUND, APPROVED, "reviewed", "done_elsewhere"),
        ({}, Operation.REFUND, Outcome.DECLINED, "ignored", None),
        ({}, Operation.REFUND, Outcome.PENDING, "ignored", None),
        ({}, Operation.CAPTURE, APPROVED, "ignored", None),
        ({}, Operation.CAPTURE, Outcome.DECLINED, "reviewed", "contradiction"),
        (HELD, Operation.CAPTURE, APPROVED, "reviewed", "done_elsewhere"),
        (HELD, Operation.CAPTURE, Outcome.DECLINED, "ignored", None),
        (HELD, Operation.VOID, APPROVED, "reviewed", "done_elsewhere"),
    ],
)
async def test_what_others_do_to_a_charge_of_ours_is_looked_at_by_a_person(
    values: dict[str, object],
    operation: Operation,
    outcome: Outcome,
    word: str,
    reason: str | None,
    store: NodeStore,
    sql: asyncpg.Connection,
) -> None:
    bank = Bank(profile=BY_ID)
    region = Region(store, bank)
    payment = await paid(region, **values)
    before = await sql.fetch("SELECT * FROM posting ORDER BY 1, 2")
    charge = f"b_{payment['latest_charge']}"
    result = Result(outcome, "b_theirs", 1000, "EUR")
    event = CallbackEvent("n1", operation, None, "b_theirs", result, charge=charge)
    assert await told(region, bank, event) == word
    assert await reviews(sql) == ({reason} if reason else set())
    assert await sql.fetch("SELECT * FROM posting ORDER BY 1, 2") == before
    await sql.execute("UPDATE review SET closed_at = now()")
    assert await told(region, bank, event) == ("seen before" if reason else word)
    assert await reviews(sql) == set()
    await sound(sql)


async def test_what_is_not_signed_opens_no_review(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    bank = Bank(profile=UNSIGNED)
    region = Region(store, bank)
    charge = f"b_{(await paid(region))['latest_charge']}"
    result = Result(APPROVED, "b_theirs", 1000, "EUR")
    event = CallbackEvent("n1", Operation.REFUND, None, "b_theirs", result, charge=charge)
    with pytest.raises(ApiError) as refused:
        await told(region, bank, event)
    assert refused.value.status == 404
    assert await reviews(sql) == set()


async def test_ids_are_kept_only_where_they_are_needed(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    await paid(Region(store, Bank()))
    assert await sql.fetchval("SELECT count(*) FROM known_object") == 0


# Over HTTP: the whole request, and what is answered to it


class OfAddress:
    """The address is signed with the body, as the provider was told it and as it called it."""

    def sign(self, notice: Notice, account: Account, now_ms: int) -> dict[str, str]:
        return {"signature": hashlib.sha256(notice.url.encode() + notice.body).hexdigest()}

    def check(self, notice: Notice, account: Account, now_ms: int) -> bool:
        if self.sign(notice, account, now_ms)["signature"] != notice.headers.get("signature"):
            raise CallbackRefused("forged")
        return True


@pytest.fixture
async def one(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with site(server_dsn, tmp_path, ("europe",)) as made:
        yield made


async def test_the_whole_request_reaches_the_channel_and_its_word_goes_back(one: Site) -> None:
    bank = one.nodes[0].bank
    seen: list[Notice] = []

    def read(notice: Notice, account: Account, now_ms: int) -> CallbackEvent | None:
        OfAddress().check(notice, account, now_ms)
        seen.append(notice)
        return None

    bank.callback = read  # type: ignore[method-assign]
    bank.profile = msgspec.structs.replace(
        PROFILE,
        callbacks=OfAddress(),
        acknowledgement=Acknowledgement(200, "text/plain", b"success"),
    )
    called = f"{bank.callback_url}?data.id=1%20&type=payment"
    sent = OfAddress().sign(Notice("POST", called, {}, b"{}"), bank.account, 0)
    path = b"/v1/nodes/europe/callbacks/bank?data.id=1%20&type=payment"
    lines = [b"x-request-id: r1\r\n", f"signature: {sent['signature']}\r\n".encode()]
    answer = await one._client.request("POST", path, lines, b"{}")
    assert (answer.status, answer.body) == (200, b"success")
    assert answer.headers[b"content-type"].startswith(b"text/plain")
    (notice,) = seen
    assert (notice.method, notice.url, notice.body) == ("POST", called, b"{}")
    assert notice.headers["x-request-id"] == "r1"
    answer = await one._client.request("POST", path + b"&more=1", lines, b"{}")
    assert answer.status == 400
    bank.profile = msgspec.structs.replace(
        bank.profile, acknowledgement=Acknowledgement(204, "", b"")
    )
    answer = await one._client.request("POST", path, lines, b"{}")
    assert (answer.status, answer.body) == (204, b"")
