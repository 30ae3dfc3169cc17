"""Payouts: never over the balance, sent once, and their money booked once, whatever is repeated."""

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import CallbackEvent, Operation, Outcome
from bailiwick.checker import inside
from bailiwick.checker.findings import Findings
from bailiwick.checker.kinds import payouts
from bailiwick.checker.places import NodePlace
from bailiwick.checker.reader import snapshot
from bailiwick.idempotency.requests import Answer
from bailiwick.resources.payouts import create, stored
from bailiwick.resources.payouts.commands import Payouts
from bailiwick.resources.payouts.params import CancelPayout, CreatePayout, UpdatePayout
from bailiwick.resources.payouts.rows import Payout, sending
from bailiwick.resources.refunds.params import CreateRefund
from tests.postgres.lists_kit import Site, site
from tests.postgres.node_kit import (
    ASSIGNMENT,
    LOCATION,
    PROFILE,
    SURE_MS,
    Bank,
    Lost,
    Region,
    asked,
    balance,
    body,
    paid,
    reviews,
)
from tests.postgres.test_lists import PAID, pay
from tests.store_kit import NodeStore
from tests.waiting import until

WISH = CreatePayout(amount=700, currency="eur", destination="btok_sandbox")
replace = msgspec.structs.replace
notices = itertools.count()


ROW = (
    "INSERT INTO payout (id, merchant, livemode, version, content_seq, state, writer, epoch,"
    " amount, currency, gateway, created_ms, updated_ms)"
    " VALUES ($1, $2, false, 1, 1, 'pending', 1, 1, 700, $3, 'bank', 1, 1)"
)
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


async def pay_out(region: Region, key: str, wish: CreatePayout = WISH) -> Answer:
    """As the route does."""
    made = asked("create_payout", key, msgspec.to_builtins(wish))
    creation = create.PayoutCreation(region.machine)
    return await region.keys.once(made, lambda: creation.create(made, wish, LOCATION, ASSIGNMENT))


async def act(region: Region, verb: str, key: str, identifier: str, wish: Any) -> Answer:
    made = asked(f"{verb}_payout", key, {"id": identifier, "wish": msgspec.to_builtins(wish)})
    work = getattr(Payouts(region.machine), verb)
    return await region.keys.once(made, lambda: work(made, identifier, wish))


async def sent(region: Region, bank: Bank, *words: str, key: str = "po") -> dict[str, Any]:
    """A payout of 700, after a payment of 1000; ``words``: what the bank does with it."""
    await paid(region, f"{key}-k")
    bank.script[Operation.PAYOUT] = list(words or ("pending",))
    return body(await pay_out(region, key))


async def now(region: Region, identifier: str) -> Payout:
    found = await stored.find(region.store, identifier)
    assert found is not None
    return found


async def told(region: Region, bank: Bank, identifier: str, word: str) -> str:
    """The bank changes its mind, and says that there is news."""
    reference = sending(identifier)
    bank.decide(reference, word)
    event = CallbackEvent(f"n{next(notices)}", Operation.PAYOUT, reference, f"b_{reference}")
    return await region.callbacks.take(
        bank.name, {"signature": "genuine"}, msgspec.json.encode(event)
    )


async def types(sql: asyncpg.Connection, subject: str) -> list[str]:
    rows = await sql.fetch("SELECT type FROM event WHERE subject = $1 ORDER BY seq", subject)
    return [row["type"] for row in rows]


async def broken(dsn: str) -> set[str]:
    """What ``bailiwick check`` finds wrong in a node's database."""
    found = Findings()
    async with snapshot(NodePlace("europe", dsn)) as db:
        for invariant in (*inside.INSIDE, *payouts.PAYOUTS):
            await invariant(db, found.of(invariant))
    return {each.name for each in found.all() if each.count}


async def test_the_whole_life(
    region: Region, bank: Bank, sql: asyncpg.Connection, dsn: str
) -> None:
    made = await sent(region, bank)
    identifier = made["id"]
    assert (made["status"], made["type"], made["gateway"]) == ("pending", "bank_account", "bank")
    assert body(await pay_out(region, "po")) == made and bank.called(Operation.PAYOUT) == 1
    assert await balance(sql, "merchant:%") == -300
    assert await balance(sql, "transit:%") == -700
    assert await broken(dsn) == set()
    (call,) = [each for each in bank.calls if each.operation is Operation.PAYOUT]
    assert (call.payment_method, call.amount, call.currency) == ("btok_sandbox", 700, "EUR")

    noted = UpdatePayout(metadata={"month": "7"})
    assert body(await act(region, "update", "u", identifier, noted))["metadata"] == {"month": "7"}
    bank.decide(sending(identifier), "in_transit")
    await region.resolve(sending(identifier))
    assert (await now(region, identifier)).state == "in_transit"
    with pytest.raises(ApiError, match="only a pending one"):
        await act(region, "cancel", "c", identifier, CancelPayout())
    bank.decide(sending(identifier), "approve")
    await region.resolve(sending(identifier))
    assert (await now(region, identifier)).state == "paid"
    assert await balance(sql, "transit:%") == 0
    assert await balance(sql, "receivable:%") == 300
    assert await types(sql, identifier) == [
        "payout.created", "payout.updated", "payout.updated", "payout.updated", "payout.paid",
    ]  # fmt: skip
    assert await broken(dsn) == set()

    assert await told(region, bank, identifier, "decline") == "asked"
    back = await now(region, identifier)
    assert (back.state, back.progress.failure_code) == ("failed", "card_declined")
    assert await balance(sql, "merchant:%") == -1000
    assert await balance(sql, "receivable:%") == 1000
    assert await told(region, bank, identifier, "decline") == "asked"
    assert len(await types(sql, identifier)) == 6
    assert await broken(dsn) == set()


@pytest.mark.parametrize(
    ("word", "state", "owed"),
    [
        ("approve", "paid", 300),
        ("lost", "paid", 300),
        ("never", "failed", 1000),
        ("decline", "failed", 1000),
        ("unsent", "failed", 1000),
        ("canceled", "canceled", 1000),
        ("wrong", "paid", 300),
    ],
)
async def test_every_outcome(
    region: Region, bank: Bank, sql: asyncpg.Connection, dsn: str, word: str, state: str, owed: int
) -> None:
    made = await sent(region, bank, word)
    if word in ("lost", "never", "wrong"):
        assert made["status"] == "pending"
        with pytest.raises(ApiError, match="not known yet"):
            await act(region, "cancel", "c", made["id"], CancelPayout())
        assert await broken(dsn) == set()
        await region.resolve(sending(made["id"]), age_ms=SURE_MS + 1)
        made = body(await pay_out(region, "po"))
    assert made["status"] == state
    assert await balance(sql, "merchant:%") == -owed
    assert bank.called(Operation.PAYOUT) == (word not in ("never", "unsent"))
    assert await broken(dsn) == set()


async def test_a_process_that_dies_after_the_call(
    region: Region, bank: Bank, sql: asyncpg.Connection, dsn: str
) -> None:
    await paid(region, "k")
    bank.script[Operation.PAYOUT] = ["crash"]
    with pytest.raises(Lost):
        await pay_out(region, "po")
    identifier = await sql.fetchval("SELECT id FROM payout")
    await region.resolve(sending(identifier))
    assert (await now(region, identifier)).state == "paid" and bank.called(Operation.PAYOUT) == 1
    assert await broken(dsn) == set()


async def test_never_over_the_balance(region: Region, bank: Bank, dsn: str) -> None:
    await paid(region, "k")
    for wish in (replace(WISH, amount=1001), replace(WISH, currency="usd")):
        with pytest.raises(ApiError, match="insufficient funds") as refused:
            await pay_out(region, "over", wish)
        assert (refused.value.code, refused.value.status) == ("balance_insufficient", 400)
    body(await pay_out(region, "a", replace(WISH, amount=1000)))
    with pytest.raises(ApiError, match="insufficient"):
        await pay_out(region, "b", replace(WISH, amount=1))
    assert await broken(dsn) == set()


async def test_what_was_refunded_or_is_at_another_gateway_is_not_there(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    payment = await paid(region, "k")
    body(await region.refund("r", CreateRefund(payment_intent=payment["id"], amount=400)))
    with pytest.raises(ApiError, match="600 is available"):
        await pay_out(region, "a", replace(WISH, amount=601))
    other = Bank("other")
    region.banks.banks["other"] = other
    bank.usage = "closed"
    await paid(region, "k2", amount=500)
    with pytest.raises(ApiError, match=r"any one of its providers .*600"):
        await pay_out(region, "a", replace(WISH, amount=601))
    bank_closed = replace(WISH, amount=600)
    with pytest.raises(ApiError, match="Retry") as waiting:
        await pay_out(region, "a", bank_closed)
    assert waiting.value.status == 503
    assert body(await pay_out(region, "b", replace(WISH, amount=500)))["gateway"] == "other"
    assert await sql.fetchval("SELECT count(*) FROM payout") == 1


async def test_the_database_refuses_what_the_gateway_does_not_hold(
    region: Region, sql: asyncpg.Connection
) -> None:
    await paid(region, "k")
    row = ROW.replace("'bank'", "'other'")
    with pytest.raises(asyncpg.CheckViolationError, match="balance_insufficient"):
        await sql.execute(row, "po_1", "acct_1", "EUR")
    for merchant, currency in (("acct_2", "EUR"), ("acct_1", "USD")):
        with pytest.raises(asyncpg.CheckViolationError, match="balance_insufficient"):
            await sql.execute(ROW, "po_1", merchant, currency)
    await sql.execute(ROW, "po_1", "acct_1", "EUR")


async def test_many_at_once_take_no_more_than_there_is(
    region: Region, bank: Bank, sql: asyncpg.Connection, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database holds it by itself: what is read before is blind here."""
    for number in range(3):
        await paid(region, f"k{number}")

    async def plenty(*_: object) -> dict[str, int]:
        return {"bank": 10**9}

    monkeypatch.setattr(stored, "room", plenty)
    tries = [pay_out(region, f"po{number}") for number in range(12)]
    ended = await asyncio.gather(*tries, return_exceptions=True)
    refused = [each for each in ended if isinstance(each, ApiError)]
    assert {each.code for each in refused} == {"balance_insufficient"} and len(refused) == 8
    assert await balance(sql, "merchant:%") == -(3000 - 4 * 700)
    assert bank.called(Operation.PAYOUT) == 4
    assert await broken(dsn) == set()


async def test_two_processes_take_no_more_than_there_is(
    region: Region, bank: Bank, store: NodeStore, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two lanes over two connections: the lock is what orders them."""
    other = NodeStore(dsn, lambda: 1, pool_max=4)
    await other.open()
    second = Region(other, bank)

    async def plenty(*_: object) -> dict[str, int]:
        return {"bank": 10**9}

    monkeypatch.setattr(stored, "room", plenty)
    try:
        for turn in range(10):
            await paid(region, f"k{turn}")
            both = [pay_out(each, f"po{turn}-{n}") for n, each in enumerate((region, second))]
            ended = await asyncio.gather(*both, return_exceptions=True)
            assert sum(isinstance(each, ApiError) for each in ended) >= 1, turn
            await pay_out(region, f"rest{turn}", replace(WISH, amount=300))
    finally:
        await other.close()
    assert await broken(dsn) == set()


async def test_one_waits_for_the_other(region: Region, sql: asyncpg.Connection, dsn: str) -> None:
    """What was not committed when the second began is seen by it: it was not, without the lock."""
    await paid(region, "k")
    await paid(region, "k2", currency="usd")
    first, second = [await asyncpg.connect(dsn) for _ in range(2)]
    try:
        begun = first.transaction()
        await begun.start()
        await first.execute(ROW, "po_1", "acct_1", "EUR")
        await sql.execute(ROW, "po_2", "acct_1", "USD")  # other money: it waits for nobody
        trying = asyncio.create_task(second.execute(ROW, "po_3", "acct_1", "EUR"))

        async def decided() -> bool:
            return trying.done() or bool(await sql.fetchval(WAITING))

        await until(decided)
        assert not trying.done()
        await begun.commit()
        with pytest.raises(asyncpg.CheckViolationError, match="balance_insufficient"):
            await trying
    finally:
        await first.close()
        await second.close()


@pytest.mark.parametrize("word", ["approve", "lost", "decline", "never", "crash"])
async def test_canceled(
    region: Region, bank: Bank, sql: asyncpg.Connection, dsn: str, word: str
) -> None:
    made = await sent(region, bank)
    bank.script[Operation.PAYOUT_CANCEL] = [word]
    done = word in ("approve", "lost", "crash")
    if word == "crash":
        with pytest.raises(Lost):
            await act(region, "cancel", "c", made["id"], CancelPayout())
    else:
        answer = await act(region, "cancel", "c", made["id"], CancelPayout())
        assert answer.status == (400 if word == "decline" else 200)
    if word in ("lost", "never", "crash"):
        assert (await now(region, made["id"])).state == "pending"
        with pytest.raises(ApiError, match="being canceled"):
            await act(region, "cancel", "c2", made["id"], CancelPayout())
        assert await broken(dsn) == set()
        recall = (await now(region, made["id"])).open_attempt or ""
        await region.resolve(recall, age_ms=SURE_MS + 1)
    after = await now(region, made["id"])
    assert after.state == ("canceled" if done else "pending")
    assert await balance(sql, "merchant:%") == (-1000 if done else -300)
    again = await act(region, "cancel", "c", made["id"], CancelPayout())
    assert again.status == (200 if done else 400)
    assert await broken(dsn) == set()
    if not done:  # it goes on, and may be canceled anew
        body(await act(region, "cancel", "c3", made["id"], CancelPayout()))
    assert (await now(region, made["id"])).state == "canceled"
    assert await told(region, bank, made["id"], "canceled") == "asked"
    assert await broken(dsn) == set()


async def test_canceled_and_paid_cross(
    region: Region, bank: Bank, sql: asyncpg.Connection, dsn: str
) -> None:
    made = await sent(region, bank)
    gate = bank.hold_back()
    bank.script[Operation.PAYOUT_CANCEL] = ["decline"]
    canceling = asyncio.create_task(act(region, "cancel", "c", made["id"], CancelPayout()))
    while not bank.called(Operation.PAYOUT_CANCEL):
        await asyncio.sleep(0)
    bank.decide(sending(made["id"]), "approve")
    await region.resolve(sending(made["id"]))
    assert (await now(region, made["id"])).state == "paid"
    assert await broken(dsn) == set()
    gate.set()
    assert (await canceling).status == 400
    assert (await now(region, made["id"])).open_attempt is None
    assert await broken(dsn) == set()


async def test_money_that_arrives_after_a_no(
    region: Region, bank: Bank, sql: asyncpg.Connection, dsn: str
) -> None:
    made = await sent(region, bank, "decline")
    await told(region, bank, made["id"], "approve")
    assert (await now(region, made["id"])).state == "failed"
    assert await balance(sql, "merchant:%") == -1000
    assert await balance(sql, "unexpected:%") == 700
    assert await reviews(sql) == {"late_success"}
    await told(region, bank, made["id"], "approve")
    assert await balance(sql, "unexpected:%") == 700
    assert await broken(dsn) == set()


@pytest.mark.parametrize("seed", range(6))
async def test_any_order_of_anything(
    region: Region, bank: Bank, sql: asyncpg.Connection, dsn: str, seed: int
) -> None:
    chance = random.Random(seed)
    made: list[str] = []
    for turn in range(25):
        word = chance.choice(["pay", "out", "out", "tell", "tell", "cancel", "look"])
        if word == "pay":
            await paid(region, f"k{turn}")
        elif word == "out":
            bank.script[Operation.PAYOUT] = [chance.choice(["pending", "approve", "lost", "never"])]
            wish = replace(WISH, amount=chance.choice([1, 300, 700, 1000]))
            held = await stored.room(region.store, "acct_1", False, "EUR")
            if sum(held.values()) < wish.amount:
                with pytest.raises(ApiError, match="insufficient"):
                    await pay_out(region, f"po{turn}", wish)
            else:
                made.append(body(await pay_out(region, f"po{turn}", wish))["id"])
        elif made and word == "cancel":
            bank.script[Operation.PAYOUT_CANCEL] = [chance.choice(["decline", "lost", "never"])]
            with contextlib.suppress(ApiError):
                await act(region, "cancel", f"c{turn}", chance.choice(made), CancelPayout())
        elif made:
            one = chance.choice(made)
            row = await now(region, one)
            known = bank.done.get(sending(one))
            if word == "tell" and known is not None and known[1].outcome is Outcome.PENDING:
                bank.decide(sending(one), chance.choice(["in_transit", "approve", "decline"]))
            if row.open_attempt is not None:
                await region.resolve(row.open_attempt, age_ms=SURE_MS + 1)
        assert await broken(dsn) == set(), (turn, word)
    taken = await balance(sql, "receivable:%")
    out = sum(
        instruction.amount
        for instruction, result in bank.done.values()
        if instruction.operation is Operation.PAYOUT and result.outcome is Outcome.APPROVED
    )
    assert bank.taken() - out <= taken  # what is not known yet is not booked yet


def test_a_channel_without_payouts_says_so() -> None:
    bank = Bank(profile=replace(PROFILE, resolve={}))
    assert not create._able(bank, False, "EUR")  # type: ignore[arg-type]
    assert create._able(Bank(), False, "EUR")  # type: ignore[arg-type]
    assert not create._able(Bank(), True, "EUR")  # type: ignore[arg-type]


SECOND = (
    "ALTER TABLE payout DISABLE TRIGGER payout_within_balance; INSERT INTO payout SELECT"
    " 'po_~', merchant, livemode, version, content_seq, state, writer, epoch, 400, currency,"
    " attempts, open_attempt, gateway, created_ms, updated_ms FROM payout"
)
POSTED = (
    "INSERT INTO posting SELECT subject, 1, 9, {}, credit, amount, currency, created_ms"
    " FROM posting WHERE subject ^@ 'po_' AND seq = 1"
)
TOLD = "UPDATE event SET type = 'payout.failed' WHERE type = 'payout.paid'"
PLANTS: dict[str, tuple[str, set[str]]] = {
    "more than there was": (
        "UPDATE payout SET amount = 1100", {"payouts_within_balance", "payouts_posted_once"},
    ),
    "a second one": (SECOND, {"payouts_within_balance"}),
    "at another gateway": ("UPDATE payout SET gateway = 'other'", {"payouts_within_balance"}),
    "posted twice": (POSTED.format("debit"), {"payouts_posted_once"}),
    "paid and given back": ("UPDATE payout SET state = 'failed'", {"payouts_posted_once"}),
    "still on its way": (
        "UPDATE payout SET state = 'pending'", {"payouts_follow_attempts", "payouts_told"},
    ),
    "asks for ever": ("UPDATE payout SET open_attempt = 'at_1'", {"payouts_follow_attempts"}),
    "another story": (TOLD, {"payouts_told"}),
    "its attempt is another's": (
        "UPDATE attempt SET amount = 1 WHERE operation = 'payout'", {"payouts_follow_attempts"},
    ),
    "an account that is none": (POSTED.format("'transfers:bank'"), {"postings_balance"}),
    "an event is missing": (
        "DELETE FROM event WHERE subject ^@ 'po_' AND seq = 1", {"events_gap_free"},
    ),
    "it is gone": ("DELETE FROM payout", {"tenants_match"}),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTS)
async def test_the_checker_sees_what_is_wrong(
    region: Region, bank: Bank, sql: asyncpg.Connection, dsn: str, name: str
) -> None:
    made = await sent(region, bank, "approve")
    assert made["status"] == "paid" and await broken(dsn) == set()
    plant, seen = PLANTS[name]
    for table in ("event", "posting"):
        await sql.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    await sql.execute(plant)
    assert await broken(dsn) >= seen


@pytest.fixture
async def two(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    """Two nodes."""
    async with site(server_dsn, tmp_path, ("europe", "apac")) as made:
        yield made


OUT = {"amount": 600, "currency": "eur", "destination": "btok_sandbox"}


async def test_over_http(two: Site) -> None:
    for place in ("DE", "IN"):
        await pay(two, **PAID, **{"location[country]": place})
    europe = two.nodes[0].bank
    europe.script[Operation.PAYOUT] = ["pending", "approve"]
    key = {"idempotency-key": "out-1"}
    wish = {**OUT, "location[country]": "DE", "description": "July", "metadata[a]": "b"}
    status, made = await two.ask("POST", "/v1/payouts", wish, headers=key)
    assert status == 200, made
    assert (made["object"], made["status"], made["node"]) == ("payout", "pending", "europe")
    assert (await two.ask("POST", "/v1/payouts", wish, headers=key))[1] == made
    path = f"/v1/payouts/{made['id']}"
    _, seen = await two.ask("GET", path)
    assert seen["balance_transaction"].startswith("txn_")
    assert seen["failure_balance_transaction"] is None
    _, moved = await two.ask("GET", f"/v1/balance_transactions/{seen['balance_transaction']}")
    assert (moved["amount"], moved["type"], moved["source"]) == (-600, "payout", made["id"])
    _, owed = await two.ask("GET", "/v1/balance")
    assert owed["available"][0]["amount"] == 1400
    status, error = await two.ask("POST", "/v1/payouts", {**wish, "amount": 401})
    assert (status, error["error"]["code"]) == (400, "balance_insufficient")
    status, other = await two.ask("POST", "/v1/payouts", {**OUT, "location[country]": "IN"})
    assert status == 200 and (other["node"], other["status"]) == ("apac", "paid")

    assert await two.walk("/v1/payouts", limit=1) == [other["id"], made["id"]]
    for params, ids in (
        ({"status": "pending"}, [made["id"]]),
        ({"status": "failed"}, []),
        ({"destination": "wallet_x"}, []),
        ({"created[gt]": 4_000_000_000}, []),
    ):
        _, page = await two.ask("GET", "/v1/payouts", params)
        assert [each["id"] for each in page["data"]] == ids
    foreign = {"key": "sk_test_other"}
    assert (await two.ask("GET", path, **foreign))[0] == 404
    assert (await two.ask("POST", f"{path}/cancel", **foreign))[0] == 404

    status, noted = await two.ask("POST", path, {"metadata[a]": "", "metadata[c]": "d"})
    assert (status, noted["metadata"]) == (200, {"c": "d"})
    status, refused = await two.ask("POST", f"{path}/reverse", {})
    assert status == 400 and "not reversed here" in refused["error"]["message"]
    status, done = await two.ask("POST", f"{path}/cancel", {})
    assert (status, done["status"]) == (200, "canceled")
    _, seen = await two.ask("GET", path)
    back = seen["failure_balance_transaction"]
    _, moved = await two.ask("GET", f"/v1/balance_transactions/{back}")
    assert (moved["amount"], moved["type"]) == (600, "payout_cancel")
    for wanted, amounts in (("payout", [-600, -600]), ("payout_cancel", [600])):
        _, page = await two.ask("GET", "/v1/balance_transactions", {"type": wanted})
        assert [each["amount"] for each in page["data"]] == amounts
    _, owed = await two.ask("GET", "/v1/balance")
    assert owed["available"][0]["amount"] == 1400
    _, events = await two.ask("GET", "/v1/events", {"type": "payout.*"})
    assert {each["type"] for each in events["data"]} == {
        "payout.created", "payout.updated", "payout.paid", "payout.canceled",
    }  # fmt: skip
    for node in two.nodes:
        assert await broken(node.dsn) == set()


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"destination": "DE89370400440532013000"}, "destination"),
        ({"destination": ""}, "destination"),
        ({"method": "instant"}, "method"),
        ({"source_type": "bank_account"}, "source_type"),
        ({"payout_method": "fa_1"}, "payout_method"),
        ({"statement_descriptor": "x" * 23}, "statement_descriptor"),
        ({"amount": 0}, "amount"),
        ({"amount": 10**13}, "amount"),
        ({"currency": "xyz"}, "currency"),
        ({"currency": "isk", "amount": 150}, "amount"),
        ({"description": "4242424242424242"}, None),
    ],
)
async def test_what_is_refused(two: Site, params: dict[str, Any], param: str | None) -> None:
    status, said = await two.ask(
        "POST", "/v1/payouts", {**OUT, "location[country]": "DE", **params}
    )
    assert status == 400, said
    if param is not None:
        assert said["error"]["param"] == param, said
