"""A node and a bank over ISO 8583: the bank's own books say what was charged."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest

from bailiwick.base.errors import ApiError
from bailiwick.checker.places import NodePlace, Places
from bailiwick.checker.run import Wanted, check
from bailiwick.orders import executor, resolver
from bailiwick.resources.payments import create
from bailiwick.resources.payments.params import CancelPayment, CapturePayment
from bailiwick.resources.refunds.params import CreateRefund
from tests.postgres.banks_kit import HASTY_MS, STYLES, Sandbox, live, node, sandbox
from tests.postgres.node_kit import Lost, Region, balance, body, reviews
from tests.postgres.rows_kit import sound
from tests.store_kit import NodeStore
from tests.waiting import until

AGES_MS = 3_600_000
GOOD = 4
UNANSWERED = ["hang_before", "charge_then_hang"]
AT_ONCE = [
    "reset_before", "reset_after", "truncated", "huge", "charge_then_500", "error_500_before",
    "wrong_amount", "wrong_currency", "missing_amount", "partial_approval",
]  # fmt: skip
POINTS = {
    "create.committed": create,
    "call.before": executor,
    "call.answered": executor,
    "settle.before": executor,
    "settle.committed": executor,
    "next.permitted": executor,
}


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with sandbox(tmp_path_factory.mktemp("sandbox")) as made:
        yield made


@pytest.fixture(params=STYLES)
def name(request: pytest.FixtureRequest, peer: Sandbox) -> Iterator[str]:
    yield request.param
    peer.heal()


@pytest.fixture
async def region(store: NodeStore, peer: Sandbox, name: str) -> AsyncIterator[Region]:
    async with node(store, name, peer.at(name)) as made:
        yield made


@pytest.fixture
async def hasty(store: NodeStore, peer: Sandbox, name: str) -> AsyncIterator[Region]:
    """One that does not wait long for an answer."""
    async with node(store, name, peer.at(name), HASTY_MS, visibility_ms=0) as made:
        yield made


def row(peer: Sandbox, name: str, reference: str) -> dict[str, Any]:
    """The one charge in the bank's books with this reference."""
    (found,) = [each for each in peer.books(name)["charges"] if each["reference"] == reference]
    return found


async def open_attempt(region: Region, identifier: str) -> str:
    payment = await region.store.payment(identifier)
    assert payment is not None and payment.open_attempt is not None
    return payment.open_attempt


async def ended(region: Region, identifier: str) -> dict[str, Any]:
    """The payment once nothing of it is open; the resolver looks as if much time had passed."""
    while True:
        payment = await region.store.payment(identifier)
        assert payment is not None
        if payment.open_attempt is None:
            break
        await region.resolve(payment.open_attempt, age_ms=AGES_MS)
    return {"state": payment.state, "received": payment.amount_received}


async def charged(region: Region, key: str = "k") -> str:
    """The reference of a payment's charge."""
    answer = await region.pay(key)
    found = body(answer)
    intent = found["error"]["payment_intent"] if answer.status == 402 else found
    assert intent["id"].startswith("pi_")
    return str(intent["latest_charge"])


# --- what goes well


async def test_an_approval(
    region: Region, peer: Sandbox, name: str, sql: asyncpg.Connection
) -> None:
    done = body(await region.pay("k"))
    assert done["status"] == "succeeded" and done["amount_received"] == 1000
    assert row(peer, name, done["latest_charge"])["amount_captured"] == 1000
    assert -await balance(sql, "merchant:%") == 1000
    await sound(sql)


async def test_a_decline(region: Region, peer: Sandbox, name: str, sql: asyncpg.Connection) -> None:
    for token, code in (
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
        ("pm_card_chargeDeclined", "do_not_honor"),
    ):
        answer = await region.pay(token, payment_method=token)
        assert answer.status == 402
        assert body(answer)["error"]["decline_code"] == code
        assert row(peer, name, body(answer)["error"]["charge"])["status"] == "declined"
    unheard = await region.pay("none", payment_method="pm_of_nobody")
    assert body(unheard)["error"]["code"] == "resource_missing"
    await sound(sql)


async def test_a_hold_is_captured_in_part_and_refunded(
    region: Region, peer: Sandbox, name: str, sql: asyncpg.Connection
) -> None:
    held = body(await region.pay("k", capture_method="manual"))
    assert held["status"] == "requires_capture"
    assert row(peer, name, held["latest_charge"])["status"] == "authorized"
    wish = CapturePayment(amount_to_capture=700)
    done = body(await region.act("capture", "c", held["id"], wish))
    assert (done["status"], done["amount_received"]) == ("succeeded", 700)
    refund = body(await region.refund("r", CreateRefund(payment_intent=held["id"], amount=200)))
    assert refund["status"] == "succeeded"
    there = row(peer, name, held["latest_charge"])
    assert (there["amount_captured"], there["amount_refunded"]) == (700, 200)
    assert -await balance(sql, "merchant:%") == 500
    await sound(sql)


async def test_a_hold_is_let_go(
    region: Region, peer: Sandbox, name: str, sql: asyncpg.Connection
) -> None:
    held = body(await region.pay("k", capture_method="manual"))
    gone = body(await region.act("cancel", "x", held["id"], CancelPayment()))
    assert gone["status"] == "canceled"
    assert row(peer, name, held["latest_charge"])["status"] == "voided"
    await sound(sql)


async def test_many_at_once(
    region: Region, peer: Sandbox, name: str, sql: asyncpg.Connection
) -> None:
    done = await asyncio.gather(*(region.pay(f"k{number}") for number in range(30)))
    assert {body(each)["status"] for each in done} == {"succeeded"}
    references = {body(each)["latest_charge"] for each in done}
    assert len(references) == 30 and references <= set(live(peer.books(name)))
    assert -await balance(sql, "merchant:%") == 30_000
    await sound(sql)


# --- no answer


@pytest.mark.parametrize("manual", [False, True])
@pytest.mark.parametrize("kind", UNANSWERED)
async def test_no_answer_is_reversed_and_nothing_is_charged(
    hasty: Region, peer: Sandbox, name: str, sql: asyncpg.Connection, kind: str, manual: bool
) -> None:
    peer.fault(name, "charge", kind)
    values = {"capture_method": "manual"} if manual else {}
    answer = await hasty.pay("k", **values)
    assert answer.status == 402, bytes(answer.body)
    assert body(answer)["error"]["code"] == "processing_error"
    reference = body(answer)["error"]["charge"]
    books = peer.books(name)
    assert reference not in live(books)
    (void,) = [each for each in books["reversals"] if each.get("charge_reference") == reference]
    assert bool(void["charge"]) is (kind == "charge_then_hang")
    assert await balance(sql, "%") == 0
    # It is not given up by the next one, nor is anything else.
    done = body(await hasty.pay("again"))
    assert done["status"] == "succeeded"
    await sound(sql)


@pytest.mark.parametrize("kind", AT_ONCE)
async def test_what_decides_nothing_is_reversed(
    region: Region, peer: Sandbox, name: str, sql: asyncpg.Connection, kind: str
) -> None:
    peer.fault(name, "charge", kind)
    answer = await region.pay("k")
    payment = body(answer)["error"]["payment_intent"] if answer.status == 402 else body(answer)
    assert (await ended(region, payment["id"]))["state"] == "requires_payment_method"
    assert payment["latest_charge"] not in live(peer.books(name))
    assert await balance(sql, "%") == 0
    await sound(sql)


async def test_garbage_is_no_answer(
    hasty: Region, peer: Sandbox, name: str, sql: asyncpg.Connection
) -> None:
    peer.fault(name, "charge", "garbage")
    reference = await charged(hasty)
    assert reference not in live(peer.books(name))
    await sound(sql)


@pytest.mark.parametrize("kind", [*UNANSWERED, "reset_after", "charge_then_500"])
async def test_a_reversal_is_repeated_until_it_is_answered(
    hasty: Region, peer: Sandbox, name: str, sql: asyncpg.Connection, kind: str
) -> None:
    before = peer.books(name)["calls"][name.replace("_", "-")].get("void", 0)
    peer.fault(name, "charge", "charge_then_hang")
    peer.fault(name, "void", kind, times=3)
    shown = body(await hasty.pay("k"))
    assert shown["status"] == "processing"
    assert await ended(hasty, shown["id"]) == {"state": "requires_payment_method", "received": 0}
    books = peer.books(name)
    assert shown["latest_charge"] not in live(books)
    assert books["calls"][name.replace("_", "-")]["void"] == before + 4
    done = [
        each
        for each in books["reversals"]
        if each.get("charge_reference") == shown["latest_charge"]
    ]
    assert len(done) == 1
    await sound(sql)


@pytest.mark.parametrize("operation", ["capture", "refund"])
@pytest.mark.parametrize("kind", [*UNANSWERED, "reset_after", "charge_then_500"])
async def test_captures_and_refunds_are_repeated_and_done_once(
    hasty: Region, peer: Sandbox, name: str, sql: asyncpg.Connection, operation: str, kind: str
) -> None:
    held = body(await hasty.pay("k", capture_method="manual"))
    peer.fault(name, operation, kind, times=2)
    await hasty.act("capture", "c", held["id"], CapturePayment())
    await ended(hasty, held["id"])
    refund = body(await hasty.refund("r", CreateRefund(payment_intent=held["id"], amount=300)))
    while refund["status"] == "pending":
        (attempt,) = await sql.fetch(
            "SELECT id FROM attempt WHERE operation = 'refund' AND state = 'unknown'"
        )
        await hasty.resolve(attempt["id"], age_ms=AGES_MS)
        wish = CreateRefund(payment_intent=held["id"], amount=300)
        refund = body(await hasty.refund("r", wish))
    assert refund["status"] == "succeeded"
    there = row(peer, name, held["latest_charge"])
    assert (there["amount_captured"], there["amount_refunded"]) == (1000, 300)
    assert -await balance(sql, "merchant:%") == 700
    await sound(sql)


async def test_a_charge_that_the_bank_gets_after_its_reversal_is_none(
    hasty: Region, store: NodeStore, peer: Sandbox, name: str, sql: asyncpg.Connection
) -> None:
    peer.fault(name, "charge", "late", delay_ms=3 * HASTY_MS)
    answer = await hasty.pay("k")
    assert answer.status == 402
    reference = body(answer)["error"]["charge"]
    # Something later, that waits there as long, has been done.
    peer.fault(name, "charge", "latency", delay_ms=3 * HASTY_MS)
    async with node(store, name, peer.at(name)) as patient:
        assert body(await patient.pay("later"))["status"] == "succeeded"
    assert reference not in live(peer.books(name))
    rows = [each for each in peer.books(name)["charges"] if each["reference"] == reference]
    assert [each["status"] for each in rows] in ([], ["declined"])
    await sound(sql)


async def test_an_answer_that_comes_late_is_believed_where_nothing_was_reversed(
    hasty: Region, peer: Sandbox, name: str, sql: asyncpg.Connection
) -> None:
    held = body(await hasty.pay("k", capture_method="manual"))
    peer.fault(name, "capture", "latency", delay_ms=3 * HASTY_MS)
    shown = body(await hasty.act("capture", "c", held["id"], CapturePayment()))
    assert shown["status"] == "processing"

    async def told() -> bool:
        payment = await hasty.store.payment(held["id"])
        return payment is not None and payment.state == "succeeded"

    await until(told)
    assert -await balance(sql, "merchant:%") == 1000
    await sound(sql)


# --- the bank is away


async def test_a_reversal_outlasts_the_bank_s_absence(
    store: NodeStore, tmp_path: Any, sql: asyncpg.Connection
) -> None:
    with sandbox(tmp_path) as peer:
        async with node(store, "bank_packed", peer.at("bank_packed"), HASTY_MS) as region:
            peer.fault("bank_packed", "charge", "charge_then_hang")
            peer.fault("bank_packed", "void", "hang_before")
            shown = body(await region.pay("k"))
            peer.stop()
            void = await open_attempt(region, shown["id"])
            await region.resolve(void, age_ms=AGES_MS)
            assert (await region.store.payment(shown["id"])).state == "voiding"  # type: ignore[union-attr]
            assert await reviews(sql) == {"unresolved"}
            peer.start()
            await ended(region, shown["id"])
            assert shown["latest_charge"] not in live(peer.books("bank_packed"))
    await sound(sql)


async def test_a_bank_that_refuses_the_sign_on_gets_nothing(
    store: NodeStore, peer: Sandbox, name: str, sql: asyncpg.Connection
) -> None:
    peer.fault(name, "charge", "credentials_revoked", times=1_000)
    async with node(store, name, peer.at(name)) as region:
        (gateway,) = region.machine.gateways.all()
        assert "05" in gateway.usage and "secrets.mac_key" in gateway.usage
        with pytest.raises(ApiError) as refused:
            await region.pay("k")
        assert refused.value.status == 503
        peer.heal()
        await until(lambda: gateway.usage == "open")
        assert body(await region.pay("k"))["status"] == "succeeded"
    await sound(sql)


# --- a process that dies


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("kind", ["", "charge_then_hang"])
async def test_a_process_that_dies_anywhere_leaves_no_charge_that_is_not_ours(
    store: NodeStore,
    peer: Sandbox,
    name: str,
    sql: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
    kind: str,
) -> None:
    async with AsyncExitStack() as stack:
        region = await stack.enter_async_context(node(store, name, peer.at(name), HASTY_MS))
        if kind:
            peer.fault(name, "charge", kind)

        def dies(here: str) -> None:
            if here == point:
                raise Lost

        monkeypatch.setattr(POINTS[point], "crash_point", dies)
        never = point == "next.permitted" and not kind
        with contextlib.nullcontext() if never else pytest.raises(Lost):
            await region.pay("k")
    monkeypatch.undo()
    (payment,) = await sql.fetch("SELECT id, charge_attempt FROM payment")
    async with node(store, name, peer.at(name), HASTY_MS, visibility_ms=0) as anew:
        told = await ended(anew, payment["id"])
        again = await anew.pay("k")
    there = live(peer.books(name))
    charged_there = there.get(payment["charge_attempt"], 0)
    assert charged_there == told["received"]
    assert again.status == (200 if charged_there else 402)
    assert -await balance(sql, "merchant:%") == charged_there
    await sound(sql)


@pytest.mark.parametrize("point", ["replay.permitted", "resolve.asked", "resolve.settled"])
async def test_a_resolver_that_dies_is_followed_by_another(
    store: NodeStore,
    peer: Sandbox,
    name: str,
    sql: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
) -> None:
    async with node(store, name, peer.at(name), HASTY_MS, visibility_ms=0) as region:
        peer.fault(name, "charge", "charge_then_hang")
        peer.fault(name, "void", "hang_before")
        shown = body(await region.pay("k"))
        void = await open_attempt(region, shown["id"])

        def dies(here: str) -> None:
            if here == point:
                raise Lost

        monkeypatch.setattr(resolver, "crash_point", dies)
        with pytest.raises(Lost):
            await region.resolve(void, age_ms=AGES_MS)
    monkeypatch.undo()
    async with node(store, name, peer.at(name), HASTY_MS) as anew:
        assert (await ended(anew, shown["id"]))["received"] == 0
        assert body(await anew.pay("k"))["error"]["code"] == "processing_error"
    assert shown["latest_charge"] not in live(peer.books(name))
    await sound(sql)


# --- both books, by the checker


@pytest.mark.parametrize("channel", STYLES)
async def test_the_checker_finds_both_books_equal(
    store: NodeStore, dsn: str, tmp_path: Any, sql: asyncpg.Connection, channel: str
) -> None:
    with sandbox(tmp_path) as peer:
        async with node(store, channel, peer.at(channel), HASTY_MS, visibility_ms=0) as region:
            held = body(await region.pay("held", capture_method="manual"))
            await region.act("capture", "c", held["id"], CapturePayment(amount_to_capture=400))
            await region.refund("r", CreateRefund(payment_intent=held["id"], amount=100))
            gone = body(await region.pay("gone", capture_method="manual"))
            await region.act("cancel", "x", gone["id"], CancelPayment())
            for number, kind in enumerate((*UNANSWERED, *AT_ONCE)):
                for good in range(GOOD):  # or the gateway would close
                    await region.pay(f"{kind}{good}")
                peer.fault(channel, "charge", kind)
                if number % 3:
                    peer.fault(channel, "void", UNANSWERED[number % 2], times=number % 3)
                await region.pay(kind)
            for row in await sql.fetch("SELECT id FROM payment WHERE open_attempt IS NOT NULL"):
                await ended(region, row["id"])
            await region.pay("declined", payment_method="pm_card_chargeDeclined")
            await region.pay("paid")
        places = Places(
            [NodePlace("europe", dsn, {"bank": channel.replace("_", "-")})], f"{peer.url}/books"
        )
        found = await check(Wanted(places))
        books = peer.books(channel)
    wrong = {
        each.name: [f"{one.id} {one.wrong}" for one in each.violations]
        for each in found.findings.all()
        if each.count
    }
    assert wrong == {}
    bad = len(UNANSWERED) + len(AT_ONCE)
    assert found.attempts == 3 + 2 + bad * (GOOD + 2) + 2
    assert sorted(live(books).values()) == [400, *[1000] * (bad * GOOD + 1)]
