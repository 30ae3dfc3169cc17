"""Charges that the merchant's rules refuse: never sent, counted exactly, found after a crash."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import msgspec
import pytest
import standardwebhooks
from aiohttp import web

from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import Operation
from bailiwick.resources.payments.params import ConfirmPayment
from bailiwick.resources.payments.shown.charge import charge, charge_view
from bailiwick.screening.facts import Facts
from bailiwick.screening.scorer import OutsideScorer
from bailiwick.screening.screener import Screener
from bailiwick.screening.velocity import Velocity
from bailiwick.topology.merchants import Merchant
from bailiwick.topology.screening import Limit, Listed, Scorer, Screening
from tests.postgres.node_kit import MERCHANT, Bank, Region, balance, body
from tests.postgres.rows_kit import sound
from tests.store_kit import NodeStore

SECRET = b"0123456789abcdef"
HOUR_MS = 3_600_000
SIGNING = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" * 2
POLICY = Scorer(75, 65, "allow", 60_000)


def shop(*lists: Listed, limits: tuple[Limit, ...] = (), scorer: Scorer | None = None) -> Merchant:
    return msgspec.structs.replace(MERCHANT, screening=Screening(lists, limits, scorer))


def a_list(by: Any, value: str, action: Any = "block") -> Listed:
    return Listed("chargebacks", action, by, frozenset({value}))


def region(store: NodeStore, *banks: Bank, scorer: OutsideScorer | None = None) -> Region:
    return Region(store, *banks, screener=Screener(Velocity(store, SECRET), scorer))


async def outcome_of(store: NodeStore, payment: str) -> dict[str, Any]:
    found = await store.payment(payment)
    assert found is not None
    assert found.charge_attempt is not None
    attempt = await store.attempt(found.charge_attempt)
    assert attempt is not None
    shown: dict[str, Any] = charge(found, charge_view(attempt))["outcome"]
    return shown


async def test_who_is_listed_is_refused_and_nothing_is_sent(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    bank, other = Bank(), Bank("other", priority=2)
    node = region(store, bank, other)
    answer = await node.pay("k", merchant=shop(a_list("country", "DE")))
    said = body(answer)["error"]
    assert answer.status == 402
    assert (said["code"], said["decline_code"]) == ("card_declined", "fraudulent")
    assert "chargebacks" not in bytes(answer.body).decode(), "a payer is not told the rule"
    assert said["payment_intent"]["status"] == "requires_payment_method"
    assert bank.calls == other.calls == [], "nor is it tried elsewhere"
    assert bank.seen == [], "the gateway has not failed"
    outcome = await outcome_of(store, said["payment_intent"]["id"])
    assert outcome["type"] == "blocked"
    assert outcome["network_status"] == "not_sent_to_network"
    assert (outcome["reason"], outcome["rule"]) == ("rule", "chargebacks")
    assert await balance(sql, "%") == 0
    await sound(sql)


async def test_a_payer_refused_may_pay_by_another_card(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    bank = Bank()
    node = region(store, bank)
    card = "6e8a3f2c5d1b9047"
    merchant = shop(a_list("card", card))
    first = body(await node.pay("k", merchant=merchant))
    facts: list[Facts] = []

    class Watching(Screener):
        async def verdict(self, seen: Facts, wanted: Screening) -> Any:
            facts.append(seen)
            return await super().verdict(seen, wanted)

    watching = Region(store, bank, screener=Watching(Velocity(store, SECRET), None))
    await watching.pay("k2", merchant=merchant)
    mark = facts[0].card
    assert first["status"] == "succeeded"
    assert mark is not None
    refused = await node.pay("k3", merchant=shop(a_list("card", mark)))
    assert refused.status == 402
    payment = body(refused)["error"]["payment_intent"]["id"]
    wish = ConfirmPayment(payment_method="pm_card_mastercard")
    again = await node.act("confirm", "k4", payment, wish, shop(a_list("card", mark)))
    assert body(again)["status"] == "succeeded"
    await sound(sql)


async def test_who_is_trusted_is_not_counted(store: NodeStore, sql: asyncpg.Connection) -> None:
    node = region(store, Bank())
    once = Limit("once", "merchant", HOUR_MS, 1)
    merchant = shop(a_list("country", "DE", "allow"), limits=(once,))
    for number in range(3):
        assert (await node.pay(f"k{number}", merchant=merchant)).status == 200
    assert await sql.fetchval("SELECT count(*) FROM velocity") == 0


async def test_limits_are_exact_for_all_who_come_at_once(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    """Also over two processes that serve one node."""
    bank = Bank()
    nodes = [region(store, bank), region(store, bank)]
    five = Limit("five", "merchant", HOUR_MS, 5)
    much = Limit("much", "ip_address", HOUR_MS, 7_999, "EUR")
    place = {"country": "DE", "ip_address": "203.0.113.7"}
    answers = await asyncio.gather(
        *(
            nodes[number % 2].pay(f"k{number}", merchant=shop(limits=(five, much)), location=place)
            for number in range(40)
        )
    )
    assert sorted(each.status for each in answers) == [200] * 5 + [402] * 35
    assert len(bank.calls) == 5
    amount = shop(limits=(much,))
    more = await asyncio.gather(
        *(
            nodes[number % 2].pay(f"m{number}", merchant=amount, location=place)
            for number in range(9)
        )
    )
    assert sorted(each.status for each in more) == [200] * 2 + [402] * 7
    assert len(bank.calls) == 7
    assert await balance(sql, "merchant:%") == -7000
    refused = next(each for each in more if each.status == 402)
    outcome = await outcome_of(store, body(refused)["error"]["payment_intent"]["id"])
    assert (outcome["type"], outcome["rule"]) == ("blocked", "much")
    await sound(sql)


async def test_one_key_is_counted_once(store: NodeStore) -> None:
    bank = Bank()
    node = region(store, bank)
    merchant = shop(limits=(Limit("two", "merchant", HOUR_MS, 2),))
    same = await asyncio.gather(*(node.pay("k", merchant=merchant) for _ in range(8)))
    assert {each.status for each in same} == {200}
    again = await node.pay("k", merchant=merchant)
    assert again.replayed
    assert (await node.pay("k2", merchant=merchant)).status == 200
    assert (await node.pay("k3", merchant=merchant)).status == 402
    assert len(bank.calls) == 2


async def test_what_is_asked_again_is_counted_once(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    """A confirmation is decided anew when another request has changed the payment meanwhile."""
    velocity = Velocity(store, SECRET)
    limits = (Limit("two", "merchant", HOUR_MS, 2),)
    facts = Facts("r1", "acct_1", False, "pi_1", 1000, "EUR", "DE", "card")
    asked = [velocity.exceeded(facts, limits) for _ in range(4)]
    assert await asyncio.gather(*asked) == [None] * 4
    assert await velocity.exceeded(facts, limits) is None
    assert await sql.fetchval("SELECT sum(amount) FROM velocity") == 1
    for reference, over in (("r2", None), ("r3", "two"), ("r3", "two")):
        again = msgspec.structs.replace(facts, reference=reference)
        assert await velocity.exceeded(again, limits) == over


async def test_confirmations_count_as_well(store: NodeStore) -> None:
    bank = Bank()
    node = region(store, bank)
    merchant = shop(limits=(Limit("two", "card", HOUR_MS, 2),))
    bank.script[Operation.CHARGE] = ["decline", "decline"]
    payment = body(await node.pay("k", merchant=merchant))["error"]["payment_intent"]["id"]
    wish = ConfirmPayment(payment_method="pm_card_visa")
    await node.act("confirm", "c1", payment, wish, merchant)
    assert len(bank.calls) == 2
    third = await node.act("confirm", "c2", payment, wish, merchant)
    assert third.status == 402
    assert len(bank.calls) == 2
    other = ConfirmPayment(payment_method="pm_card_mastercard")
    assert (await node.act("confirm", "c3", payment, other, merchant)).status == 200


async def test_what_is_over_counts_no_more_and_is_forgotten(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    node = region(store, Bank())
    merchant = shop(limits=(Limit("once", "merchant", HOUR_MS, 1),))
    assert (await node.pay("k", merchant=merchant)).status == 200
    assert (await node.pay("k2", merchant=merchant)).status == 402
    await sql.execute("UPDATE velocity SET slot_ms = slot_ms - $1", HOUR_MS - 60_000)
    assert (await node.pay("k3", merchant=merchant)).status == 402, "not all of its hour is over"
    await sql.execute("UPDATE velocity SET slot_ms = slot_ms - $1, until_ms = 0", 120_000)
    assert (await node.pay("k4", merchant=merchant)).status == 200
    assert await Velocity(store, SECRET).step() > 0
    assert await sql.fetchval("SELECT count(*) FROM velocity") == 1


async def test_who_is_counted_stands_nowhere(store: NodeStore, sql: asyncpg.Connection) -> None:
    node = region(store, Bank())
    merchant = shop(limits=(Limit("tries", "ip_address", HOUR_MS, 9),))
    await node.pay("k", merchant=merchant, location={"country": "DE", "ip_address": "203.0.113.7"})
    (row,) = await sql.fetch("SELECT velocity::text AS shown FROM velocity")
    assert "203.0.113.7" not in row["shown"]
    assert b"203.0.113.7".hex() not in row["shown"]


async def test_after_a_crash_it_is_still_refused_and_nobody_is_asked(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    bank = Bank()
    node = region(store, bank)

    async def dies(*_: object, **__: object) -> None:
        raise asyncio.CancelledError

    whole = node.executor.drive
    node.executor.drive = dies  # type: ignore[assignment, method-assign]
    with pytest.raises((asyncio.CancelledError, ApiError)):
        await node.pay("k", merchant=shop(a_list("country", "DE")))
    node.executor.drive = whole  # type: ignore[method-assign]
    attempt = await sql.fetchval("SELECT id FROM attempt")
    await node.resolve(attempt)
    payment = await sql.fetchval("SELECT subject FROM attempt")
    assert (await outcome_of(store, payment))["type"] == "blocked"
    assert bank.calls == []
    assert bank.queries == []
    await sound(sql)


async def test_a_fenced_node_counts_nothing(store: NodeStore, sql: asyncpg.Connection) -> None:
    node = region(store, Bank())
    await sql.execute("UPDATE fence SET fenced_at = now()")
    with pytest.raises(ApiError) as refused:
        await node.pay("k", merchant=shop(limits=(Limit("a", "merchant", HOUR_MS, 9),)))
    assert refused.value.status == 503
    assert await sql.fetchval("SELECT count(*) FROM velocity") == 0


# The scorer outside


Answering = Callable[[web.Request], Awaitable[web.Response]]


@pytest.fixture
async def scorer_at() -> AsyncIterator[Callable[[Answering], Awaitable[OutsideScorer]]]:
    runners: list[web.AppRunner] = []
    made: list[OutsideScorer] = []

    async def start(answering: Answering) -> OutsideScorer:
        app = web.Application()
        app.router.add_post("/score", answering)
        runner = web.AppRunner(app)
        await runner.setup()
        runners.append(runner)
        place = web.TCPSite(runner, "127.0.0.1", 0)
        await place.start()
        assert place._server is not None
        port = place._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        made.append(OutsideScorer(f"http://127.0.0.1:{port}/score?v=1", SIGNING))
        return made[-1]

    yield start
    for each in made:
        each.close()
    for runner in runners:
        await runner.cleanup()


async def test_a_scorer_is_asked_and_heard(store: NodeStore, scorer_at: Any) -> None:
    asked: list[dict[str, Any]] = []

    async def answering(request: web.Request) -> web.Response:
        raw = await request.text()
        standardwebhooks.Webhook(SIGNING).verify(raw, dict(request.headers))
        asked.append(msgspec.json.decode(raw))
        high = asked[-1]["amount"] > 5_000
        return web.json_response({"score": 90 if high else 70, "reason": "amount"})

    bank = Bank()
    node = region(store, bank, scorer=await scorer_at(answering))
    merchant = shop(scorer=POLICY)
    place = {"country": "DE", "ip_address": "203.0.113.7"}
    passed = body(await node.pay("k", merchant=merchant, location=place, receipt_email="a@b.de"))
    assert passed["status"] == "succeeded"
    outcome = await outcome_of(store, passed["id"])
    assert (outcome["risk_level"], outcome["risk_score"]) == ("elevated", 70)
    refused = await node.pay("k2", merchant=merchant, amount=6_000)
    assert refused.status == 402
    outcome = await outcome_of(store, body(refused)["error"]["payment_intent"]["id"])
    assert (outcome["type"], outcome["reason"]) == ("blocked", "highest_risk_level")
    assert (outcome["risk_level"], outcome["risk_score"], outcome["rule"]) == (
        "highest", 90, "amount",
    )  # fmt: skip
    assert len(bank.calls) == 1
    first = asked[0]
    assert first["payment_intent"] == passed["id"]
    assert first["ip_address"] == "203.0.113.7"
    assert first["email"] == "a@b.de"
    assert (first["amount"], first["currency"], first["country"]) == (1000, "eur", "DE")


@pytest.mark.parametrize(("late", "status"), [("allow", 200), ("block", 402)])
@pytest.mark.parametrize("how", ["late", "error", "garbage", "too_high", "closed", "none"])
async def test_what_counts_without_a_score_is_the_merchant_s_to_say(
    how: str, late: Any, status: int, store: NodeStore, scorer_at: Any
) -> None:
    never = asyncio.Event()

    async def answering(request: web.Request) -> web.Response:
        if how == "late":
            await never.wait()
        if how == "closed":
            assert request.transport is not None
            request.transport.close()
        said = {"garbage": "<html>", "too_high": '{"score": 101}'}.get(how, '{"score": 0}')
        return web.Response(text=said, status=500 if how == "error" else 200)

    scorer = None if how == "none" else await scorer_at(answering)
    node = region(store, Bank(), scorer=scorer)
    policy = Scorer(75, 65, late, 50 if how == "late" else 60_000)
    answer = await node.pay("k", merchant=shop(scorer=policy))
    never.set()
    assert answer.status == status
    found = body(answer)
    payment = found["id"] if status == 200 else found["error"]["payment_intent"]["id"]
    outcome = await outcome_of(store, payment)
    assert outcome["risk_level"] == "not_assessed"
    assert "risk_score" not in outcome
    if status == 402:
        assert outcome["rule"] == ("no_scorer" if how == "none" else "no_answer")
