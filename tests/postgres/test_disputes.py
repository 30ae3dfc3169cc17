"""Disputes: opened, answered and decided; their money booked once, whatever is repeated."""

import asyncio
import itertools
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import CallbackEvent, DisputeNotice, Operation, Outcome, Result
from bailiwick.checker import books, inside, stories, tables
from bailiwick.checker.findings import Findings
from bailiwick.checker.kinds import disputes as checked
from bailiwick.checker.places import NodePlace
from bailiwick.checker.reader import snapshot
from bailiwick.idempotency.requests import Answer
from bailiwick.resources.disputes import stored
from bailiwick.resources.disputes.commands import Disputes
from bailiwick.resources.disputes.params import CloseDispute, Evidence, UpdateDispute
from bailiwick.resources.refunds.params import CreateRefund
from tests.postgres.lists_kit import Site, site
from tests.postgres.node_kit import PROFILE, Bank, Region, asked, balance, body, paid, reviews
from tests.postgres.rows_kit import counts, sound
from tests.postgres.test_lists import PAID, pay
from tests.store_kit import NodeStore

FEE = 1500
NEWS = DisputeNotice(
    "dp_1", "needs_response", 1000, "EUR", "fraudulent", 1, "withdrawn", FEE, 4_000_000_000_000
)
OPENED = ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
replace = msgspec.structs.replace
notices = itertools.count()


async def tell(region: Region, bank: Bank, charge: str, notice: str = "", **values: Any) -> str:
    """A callback of the bank about a dispute of a charge."""
    event = CallbackEvent(
        notice or f"n{next(notices)}",
        Operation.CHARGE,
        charge,
        f"b_{charge}",
        dispute=replace(NEWS, **values),
        dated=bool(values.pop("dated", False)),
    )
    return await region.callbacks.take(
        bank.name, {"signature": "genuine"}, msgspec.json.encode(event)
    )


async def types(sql: asyncpg.Connection, subject: str) -> list[str]:
    rows = await sql.fetch("SELECT type FROM event WHERE subject = $1 ORDER BY seq", subject)
    return [row["type"] for row in rows]


async def dispute(sql: asyncpg.Connection, region: Region) -> Any:
    identifier = await sql.fetchval("SELECT id FROM dispute")
    return await stored.find(region.store, identifier)


async def act(region: Region, verb: str, key: str, identifier: str, wish: Any) -> Answer:
    made = asked(f"{verb}_dispute", key, {"id": identifier, "wish": msgspec.to_builtins(wish)})
    work = getattr(Disputes(region.machine), verb)
    return await region.keys.once(made, lambda: work(made, identifier, wish))


async def disputed(region: Region, bank: Bank, sql: asyncpg.Connection, **news: Any) -> Any:
    """A payment with a dispute; the payment and the dispute."""
    payment = await paid(region, "k")
    assert await tell(region, bank, payment["latest_charge"], **news) == "taken"
    return payment, await dispute(sql, region)


WIN = UpdateDispute(evidence=Evidence(uncategorized_text="They have it.", customer_name="Ann"))


async def test_the_whole_life(region: Region, bank: Bank, sql: asyncpg.Connection) -> None:
    payment, row = await disputed(region, bank, sql)
    charge = payment["latest_charge"]
    assert (row.state, row.funds, row.charge) == ("needs_response", "withdrawn", charge)
    assert await types(sql, payment["id"]) == [
        "payment_intent.created", "payment_intent.succeeded", *OPENED,
    ]  # fmt: skip
    assert await balance(sql, "merchant:%") == -1000 + 1000 + FEE
    with pytest.raises(ApiError, match="charged back") as refused:
        await region.refund("r", CreateRefund(payment_intent=payment["id"]))
    assert refused.value.code == "charge_disputed"

    draft = replace(WIN, submit=False)
    shown = body(await act(region, "update", "d", row.id, draft))
    assert shown["evidence"]["customer_name"] == "Ann" and bank.called(Operation.EVIDENCE) == 0
    assert shown["evidence_details"]["has_evidence"]
    assert shown["evidence_details"]["submission_count"] == 0
    said = Evidence(product_description="A ship", customer_name="")
    shown = body(await act(region, "update", "u", row.id, UpdateDispute(evidence=said)))
    assert (shown["status"], shown["evidence_details"]["submission_count"]) == ("under_review", 1)
    sent = next(each for each in bank.calls if each.operation is Operation.EVIDENCE)
    assert sent.evidence == {"uncategorized_text": "They have it.", "product_description": "A ship"}
    assert sent.provider_ref == "dp_1"
    assert body(await act(region, "update", "u", row.id, UpdateDispute(evidence=said))) == shown
    with pytest.raises(ApiError, match="status of under_review"):
        await act(region, "update", "v", row.id, WIN)
    with pytest.raises(ApiError, match="status of under_review"):
        await act(region, "close", "c", row.id, CloseDispute())

    await tell(region, bank, charge, status="won", funds="reinstated", sequence=3, refundable=True)
    assert (await types(sql, payment["id"]))[-2:] == [
        "charge.dispute.closed", "charge.dispute.funds_reinstated",
    ]  # fmt: skip
    assert await balance(sql, "merchant:%") == -1000
    assert await counts_of(sql) == (1, 1, 1)
    body(await region.refund("r2", CreateRefund(payment_intent=payment["id"])))
    await sound(sql)


async def counts_of(sql: asyncpg.Connection) -> tuple[int, ...]:
    """How often each event is there that moves money, and the one that opens."""
    names = ("created", "funds_withdrawn", "funds_reinstated")
    return tuple(
        [
            await sql.fetchval(
                "SELECT count(*) FROM event WHERE type = $1", f"charge.dispute.{name}"
            )
            for name in names
        ]
    )


async def test_everything_told_often_and_in_any_order(
    store: NodeStore, bank: Bank, sql: asyncpg.Connection
) -> None:
    first, second = Region(store, bank), Region(store, bank)
    stages = [
        {},
        {"status": "under_review", "sequence": 2, "submissions": 1},
        {"status": "won", "sequence": 3, "funds": "reinstated", "refundable": True},
    ]
    for seed in range(6):
        payment = await paid(first, f"k{seed}")
        chance = random.Random(seed)
        told = [(f"{seed}-{n}-{m}", stage) for n, stage in enumerate(stages) for m in range(5)]
        chance.shuffle(told)
        done = await asyncio.gather(
            *[
                tell(
                    chance.choice((first, second)), bank, payment["latest_charge"], notice,
                    provider_ref=f"dp_{seed}", **stage,
                )
                for notice, stage in told
            ],
            return_exceptions=True,
        )  # fmt: skip
        for (notice, stage), each in zip(told, done, strict=True):
            if isinstance(each, ApiError):  # told again, as it was asked for
                assert each.status == 503
                await tell(
                    first, bank, payment["latest_charge"], notice,
                    provider_ref=f"dp_{seed}", **stage,
                )  # fmt: skip
        row = await stored.told_by(store, bank.name, f"dp_{seed}")
        assert row is not None and (row.state, row.funds, row.sequence) == ("won", "reinstated", 3)
    assert await counts_of(sql) == (6, 6, 6)
    assert await balance(sql, "merchant:%") == -6000
    assert await reviews(sql) == set()
    await sound(sql)


async def test_an_inquiry_moves_no_money_until_it_escalates(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    inquiry = {"status": "warning_needs_response", "funds": "held", "refundable": True}
    payment, row = await disputed(region, bank, sql, **inquiry)
    assert await counts_of(sql) == (1, 0, 0) and await balance(sql, "merchant:%") == -1000
    shown = body(await act(region, "update", "u", row.id, WIN))
    assert shown["status"] == "warning_under_review" and shown["is_charge_refundable"]
    await tell(region, bank, payment["latest_charge"], sequence=4)
    assert await counts_of(sql) == (1, 1, 0)
    assert await balance(sql, "merchant:%") == FEE
    await tell(region, bank, payment["latest_charge"], **inquiry, sequence=2)  # old news
    assert (await dispute(sql, region)).state == "needs_response"
    shown = body(await act(region, "close", "c", row.id, CloseDispute()))
    assert shown["status"] == "lost"
    assert (await types(sql, payment["id"]))[-1] == "charge.dispute.closed"
    await tell(region, bank, payment["latest_charge"], status="lost", sequence=6)
    assert (await types(sql, payment["id"])).count("charge.dispute.closed") == 1
    await sound(sql)


@pytest.mark.parametrize("word", ["lost", "never", "crash", "slow"])
async def test_evidence_whose_answer_does_not_come(
    region: Region, bank: Bank, sql: asyncpg.Connection, word: str
) -> None:
    _, row = await disputed(region, bank, sql)
    bank.script[Operation.EVIDENCE] = [word]
    wish = replace(WIN, submit=True)
    try:
        shown = body(await act(region, "update", "u", row.id, wish))
        assert shown["status"] == ("under_review" if word == "slow" else "needs_response")
    except Exception:
        assert word == "crash"
    if word != "slow":
        with pytest.raises(ApiError, match="is being asked"):
            await act(region, "close", "c", row.id, CloseDispute())
        open_attempt = (await dispute(sql, region)).open_attempt
        assert open_attempt is not None
        await region.resolve(open_attempt, age_ms=60_000)
    after = await dispute(sql, region)
    assert after.open_attempt is None
    assert after.state == ("needs_response" if word == "never" else "under_review")
    assert bank.called(Operation.EVIDENCE) == (0 if word == "never" else 1)
    await sound(sql)


async def test_a_no_of_the_provider_is_the_answer(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    _, row = await disputed(region, bank, sql)
    bank.script[Operation.EVIDENCE] = ["decline"]
    answer = await act(region, "update", "u", row.id, WIN)
    assert answer.status == 400 and body(answer)["error"]["message"] == "No."
    after = await dispute(sql, region)
    assert (after.state, after.open_attempt) == ("needs_response", None)
    body(await act(region, "update", "v", row.id, UpdateDispute(submit=True)))
    assert (await dispute(sql, region)).state == "under_review"
    await sound(sql)


async def test_what_cannot_be_is_put_before_a_person(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    payment, _ = await disputed(region, bank, sql, status="lost", sequence=5)
    before = await counts(sql)
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("dispute_state", {"status": "needs_response", "sequence": 6}),
        ("dispute_funds", {"status": "lost", "sequence": 6, "funds": "held"}),
        ("dispute_amount", {"status": "lost", "sequence": 6, "amount": 900}),
        ("dispute_amount", {"provider_ref": "dp_2", "currency": "USD"}),
        ("dispute_amount", {"provider_ref": "dp_3", "amount": 1001}),
    ]
    for reason, news in wrong:
        assert await tell(region, bank, payment["latest_charge"], **news) == "taken"
        assert reason in await reviews(sql)
    assert (await counts(sql))["event"] == before["event"]
    assert await balance(sql, "merchant:%") == FEE
    await sound(sql)


async def test_a_dispute_of_no_charge_of_ours(
    region: Region, bank: Bank, sql: asyncpg.Connection
) -> None:
    bank.script[Operation.CHARGE] = ["decline", "pending"]
    no = body(await region.pay("k"))["error"]["payment_intent"]
    await tell(region, bank, no["latest_charge"])
    assert await reviews(sql) == {"dispute_unmatched"}
    pending = await paid(region, "k2")
    with pytest.raises(ApiError) as early:
        await tell(region, bank, pending["latest_charge"])
    assert early.value.status == 503
    held = await paid(region, "k3", capture_method="manual")
    with pytest.raises(ApiError, match="not known to be captured"):
        await tell(region, bank, held["latest_charge"])
    assert await sql.fetchval("SELECT count(*) FROM dispute") == 0


async def test_a_stale_or_unsigned_callback_proves_nothing(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    quiet = Bank("quiet", replace(PROFILE, callbacks=None))
    for bank, dated in ((Bank(), True), (quiet, False)):
        region = Region(store, bank)
        payment = await paid(region, f"k-{bank.name}")
        event = CallbackEvent(
            "n", Operation.CHARGE, payment["latest_charge"], f"b_{payment['latest_charge']}",
            dispute=NEWS, dated=dated,
        )  # fmt: skip
        with pytest.raises(ApiError) as refused:
            await region.callbacks.take(
                bank.name, {"signature": "genuine"}, msgspec.json.encode(event)
            )
        assert refused.value.status == 503
    assert await sql.fetchval("SELECT count(*) FROM dispute") == 0


async def test_a_channel_without_evidence_says_so(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    ways = {each: how for each, how in PROFILE.resolve.items() if each is not Operation.EVIDENCE}
    bank = Bank(profile=replace(PROFILE, resolve=ways))
    region = Region(store, bank)
    _, row = await disputed(region, bank, sql)
    with pytest.raises(ApiError, match="own dashboard"):
        await act(region, "update", "u", row.id, WIN)
    with pytest.raises(ApiError, match="no evidence to submit"):
        await act(region, "update", "v", row.id, UpdateDispute(submit=True))
    assert Result(Outcome.APPROVED) not in bank.done.values()


# What the checker sees


async def broken(dsn: str) -> set[str]:
    """What ``bailiwick check`` finds wrong in a node's database."""
    found = Findings()
    async with snapshot(NodePlace("europe", dsn)) as db:
        for invariant in (*inside.INSIDE, checked.disputes_booked_once):
            await invariant(db, found.of(invariant))
        rows = await tables.load(db)
        told = stories.Stories(db.node, rows, found)
        await stories.read(db, told)
        await stories.stored_answers(db, found.of(stories.stored_answers), rows, told.edited)
    return {each.name for each in found.all() if each.count}


POSTED = "SELECT subject, seq FROM event WHERE type = 'charge.dispute.funds_{}'"
AGAIN = (
    "INSERT INTO posting SELECT subject, seq, (number + 10)::smallint, debit, credit, amount,"
    " currency, created_ms FROM posting WHERE (subject, seq) IN (" + POSTED + ") AND number = 1"
)
LATER = (
    "INSERT INTO posting SELECT p.subject, e.seq, p.number, p.debit, p.credit, p.amount,"
    " p.currency, p.created_ms FROM posting p JOIN event e ON e.subject = p.subject"
    "  AND e.type = 'charge.dispute.closed'"
    " WHERE (p.subject, p.seq) IN (" + POSTED.format("withdrawn") + ")"
)
PLANTS = {
    "withdrawn twice in one version": (AGAIN.format("withdrawn"), "disputes_booked_once"),
    "given back twice": (AGAIN.format("reinstated"), "disputes_booked_once"),
    "withdrawn by two versions": (LATER, "disputes_booked_once"),
    "never withdrawn": ("UPDATE dispute SET funds = 'held'", "disputes_booked_once"),
    "never given back": ("UPDATE dispute SET funds = 'withdrawn'", "disputes_booked_once"),
    "another amount": ("UPDATE dispute SET amount = 900", "disputes_booked_once"),
    "another fee": ("UPDATE dispute SET fee = 0", "disputes_booked_once"),
    "asks for ever": ("UPDATE dispute SET open_attempt = 'at_1'", "disputes_booked_once"),
    "another merchant's": ("UPDATE dispute SET merchant = 'acct_2'", "tenants_match"),
    "another payment's": ("UPDATE dispute SET payment = 'pi_1'", "events_name_their_object"),
    "it is gone": ("DELETE FROM dispute", "events_name_their_object"),
}


@pytest.mark.parametrize("name", PLANTS)
async def test_the_checker_sees_what_is_wrong(
    region: Region, bank: Bank, sql: asyncpg.Connection, dsn: str, name: str
) -> None:
    payment, row = await disputed(region, bank, sql)
    await act(region, "update", "u", row.id, WIN)
    news = {"status": "won", "sequence": 3, "funds": "reinstated"}
    await tell(region, bank, payment["latest_charge"], **news)
    assert await broken(dsn) == set()
    plant, seen = PLANTS[name]
    await sql.execute(plant)
    assert seen in await broken(dsn)


BOOKED = tables.Dispute("du_1", "pi_1", "bank", "dp_1", "under_review", "withdrawn", 10, 1, 2)


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ({}, False),
        ({"sequence": 3, "status": "won", "funds": "reinstated"}, False),
        ({"id": "dp_2"}, True),
        ({"amount": 11}, True),
        ({"fee": 0}, True),
        ({"funds": "held"}, True),
        ({"status": "lost"}, True),
        ({"status": "lost", "updated": 1000}, False),
    ],
    ids=["same", "ahead", "missing", "amount", "fee", "funds", "state", "changed later"],
)
def test_the_checker_compares_with_the_books(row: dict[str, Any], wrong: bool) -> None:
    given = {
        "provider": "p", "id": "dp_1", "charge": "b_1", "amount": 10, "currency": "EUR",
        "status": "under_review", "created": 1, "updated": 2, "fee": 1, "sequence": 2,
        "funds": "withdrawn", **row,
    }  # fmt: skip
    theirs = books.Dispute(**given)
    found = Findings().of(checked.disputes_match_books)
    known = {(theirs.provider, theirs.id): theirs}
    mine = {BOOKED.id: BOOKED}
    checked.disputes_match_books("n", mine, known, {"bank": "p"}, 1000, found)
    assert bool(found.violations) is wrong


# Over HTTP


@pytest.fixture
async def two(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    """Two nodes."""
    async with site(server_dsn, tmp_path, ("europe", "apac")) as made:
        yield made


async def called_back(it: Site, payment: Any, provider_ref: str, **news: Any) -> None:
    """A provider tells of a dispute, through access."""
    charge = payment["latest_charge"]
    told = replace(NEWS, provider_ref=provider_ref, **news)
    event = CallbackEvent(
        f"n{next(notices)}", Operation.CHARGE, charge, f"b_{charge}", dispute=told
    )
    path = f"/v1/nodes/{payment['node']}/callbacks/bank"
    status, said = await it.ask(
        "POST", path, body=msgspec.json.encode(event), headers={"signature": "genuine"}
    )
    assert status == 200, said


async def test_over_http(two: Site) -> None:
    here, there = [await pay(two, **PAID, **{"location[country]": place}) for place in ("DE", "IN")]
    await called_back(two, here, "dp_1")
    await called_back(two, there, "dp_2", status="warning_needs_response", funds="held", fee=0)
    ids = await two.walk("/v1/disputes", limit=1)
    assert len(ids) == 2
    shown = [(await two.ask("GET", f"/v1/disputes/{each}"))[1] for each in ids]
    assert shown == (await two.ask("GET", "/v1/disputes", {"limit": 10}))[1]["data"]
    mine = next(each for each in shown if each["payment_intent"] == here["id"])
    theirs = next(each for each in shown if each != mine)
    (moved,) = mine["balance_transactions"]
    assert (moved["amount"], moved["fee"], moved["net"]) == (-1000, FEE, -1000 - FEE)
    assert (moved["type"], moved["reporting_category"]) == ("adjustment", "dispute")
    assert moved["source"] == mine["id"] and theirs["balance_transactions"] == []
    _, owed = await two.ask("GET", "/v1/balance")
    assert owed["available"] == [
        {"amount": 1000 - FEE, "currency": "eur", "source_types": {"card": 1000 - FEE}}
    ]
    _, charge = await two.ask("GET", f"/v1/charges/{here['latest_charge']}")
    assert charge["disputed"] is True

    async def found(**params: Any) -> list[str]:
        status, page = await two.ask("GET", "/v1/disputes", params)
        assert status == 200, page
        return [each["id"] for each in page["data"]]

    assert await found(charge=here["latest_charge"]) == [mine["id"]]
    assert await found(payment_intent=there["id"]) == [theirs["id"]]
    assert await found(**{"created[gt]": 4_000_000_000}) == []
    assert (await two.ask("GET", "/v1/disputes", {"charge": "ch_x"}))[0] == 404
    other = {"key": "sk_test_other"}
    assert (await two.ask("GET", f"/v1/disputes/{mine['id']}", **other))[0] == 404
    assert (await two.ask("GET", "/v1/disputes", **other))[1]["data"] == []
    expand = {"expand[0]": "charge", "expand[1]": "payment_intent"}
    _, whole = await two.ask("GET", f"/v1/disputes/{mine['id']}", expand)
    assert whole["charge"]["id"] == here["latest_charge"]
    assert whole["payment_intent"]["id"] == here["id"]

    path = f"/v1/disputes/{mine['id']}"
    for params, name, said in (
        ({"evidence[appeal][reason]": "x"}, "evidence[appeal]", "not supported"),
        ({"evidence[enhanced_evidence][visa_compliance][fee_acknowledged]": "true"},
         "evidence[enhanced_evidence]", "not supported"),
        ({"intended_submission_method": "manual"}, "intended_submission_method", "not supported"),
        ({"evidence[recipt]": "x"}, "evidence[recipt]", "receipt|nknown"),
        ({"evidence[service_date]": "x" * 501}, "evidence[service_date]", "500|long"),
        ({"evidence[uncategorized_text]": "card 4242424242424242"}, "evidence", "card"),
        ({"submit": "true"}, "evidence", "no evidence"),
    ):  # fmt: skip
        status, answer = await two.ask("POST", path, params)
        assert status == 400, answer
        assert str(answer["error"].get("param")).startswith(name[:8]), answer
        assert re.search(said, answer["error"]["message"]), answer
    status, noted = await two.ask("POST", path, {"metadata[case]": "7"})
    assert status == 200 and noted["metadata"] == {"case": "7"}
    assert noted["status"] == "needs_response"
    status, sent = await two.ask("POST", path, {"evidence[uncategorized_text]": "winning_evidence"})
    assert status == 200 and sent["status"] == "under_review"
    assert sent["evidence_details"]["due_by"] == NEWS.due_ms // 1000  # type: ignore[operator]
    status, done = await two.ask("POST", f"/v1/disputes/{theirs['id']}/close", {})
    assert status == 200 and done["status"] == "warning_closed"
    events = (await two.ask("GET", "/v1/events", {"type": "charge.dispute.created"}))[1]["data"]
    assert {each["data"]["object"]["id"] for each in events} == set(ids)
    await called_back(two, here, "dp_1", status="won", funds="reinstated", sequence=9)
    _, page = await two.ask("GET", "/v1/balance_transactions", {"type": "adjustment"})
    assert [(each["amount"], each["fee"]) for each in page["data"]] == [(1000, -FEE), (-1000, FEE)]
    _, owed = await two.ask("GET", "/v1/balance")
    assert owed["available"][0]["amount"] == 2000
    for node in two.nodes:
        assert await broken(node.dsn) == set()
