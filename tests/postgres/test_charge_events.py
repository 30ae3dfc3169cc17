"""What is told of charges beside the events of their payments: through access, over whole nodes."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from bailiwick.channels.contract import Operation
from bailiwick.checker.findings import Findings
from bailiwick.checker.kinds import told
from bailiwick.checker.places import NodePlace
from bailiwick.checker.reader import snapshot
from tests.postgres.hooks_kit import delivering, endpoint, sink, until_paid
from tests.postgres.lists_kit import One, Site, site
from tests.postgres.node_kit import PROFILE, Bank, Banks
from tests.postgres.test_charges import tried
from tests.postgres.test_lists import PAID, pay
from tests.store_kit import NodeStore

ABLE = msgspec.structs.replace(PROFILE, multiple_captures=True, hold_ms=600_000)
HELD = {
    **PAID, "capture_method": "manual",
    "payment_method_options[card][request_multicapture]": "if_available",
}  # fmt: skip
EVENTS = "/v1/events"


@pytest.fixture
async def three(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with site(server_dsn, tmp_path, ("europe", "apac", "americas")) as made:
        for each in made.nodes:
            each.bank = Bank(profile=ABLE)
            each.use(Banks(each.bank))
        yield made


async def do(it: Site, path: str, **params: Any) -> Any:
    status, said = await it.ask("POST", path, params)
    assert status == 200, said
    return said


async def all_events(it: Site, **params: Any) -> list[dict[str, Any]]:
    """Oldest first."""
    _, page = await it.ask("GET", EVENTS, {"limit": 100, **params})
    assert not page["has_more"]
    found: list[dict[str, Any]] = page["data"]
    return found[::-1]


def names(events: list[dict[str, Any]]) -> list[str]:
    return [each["type"] for each in events]


async def sound(at: One) -> dict[str, int]:
    """What ``bailiwick check`` compares and finds wrong of this."""
    found = Findings()
    async with snapshot(NodePlace(at.name, at.dsn)) as db:
        for invariant in told.TOLD:
            await invariant(db, found.of(invariant))
    (one,) = found.all()
    assert one.compared
    return {"wrong": one.count}


async def test_each_tells_of_the_charge_as_it_is_then_and_never_changes(three: Site) -> None:
    """The object equals what the API shows of the charge at that moment; afterwards every event is
    read as it was told first."""
    first: dict[str, Any] = {}

    async def happened(charge: str, payment: str, *types: str) -> None:
        _, now = await three.ask("GET", f"/v1/charges/{charge}")
        events = [each for each in await all_events(three) if each["payment"] == payment]
        fresh = [each for each in events if each["id"] not in first]
        assert [name for name in names(fresh) if name.startswith("charge.")] == list(types)
        for each in fresh:
            first[each["id"]] = each
            about = each["data"]["object"]
            if each["type"].startswith("charge.") and about["object"] == "charge":
                assert about == now, each["type"]
            assert each["sequence"] >= 1 and each["id"].startswith("evt_")
            status, alone = await three.ask("GET", f"{EVENTS}/{each['id']}")
            assert (status, alone) == (200, each)

    paid = await pay(three, **PAID)
    charge, payment = paid["latest_charge"], paid["id"]
    await happened(charge, payment, "charge.succeeded")
    await do(three, f"/v1/charges/{charge}", description="noted")
    await happened(charge, payment, "charge.updated")
    await do(three, "/v1/refunds", payment_intent=payment, amount=300)
    await happened(charge, payment, "charge.refunded", "charge.refund.updated")
    three.nodes[0].bank.script[Operation.REFUND] = ["decline"]
    await three.ask("POST", "/v1/refunds", {"payment_intent": payment, "amount": 100})
    await happened(charge, payment, "charge.refund.updated")
    await do(three, "/v1/refunds", payment_intent=payment)
    await happened(charge, payment, "charge.refunded", "charge.refund.updated")

    held = await pay(three, **HELD, **{"location[country]": "IN"})
    charge, payment = held["latest_charge"], held["id"]
    await happened(charge, payment, "charge.succeeded")
    path = f"/v1/payment_intents/{payment}"
    await do(three, f"{path}/capture", amount_to_capture=400, final_capture="false")
    await happened(charge, payment, "charge.captured")
    await do(three, "/v1/refunds", payment_intent=payment, amount=50)
    await happened(charge, payment, "charge.refunded", "charge.refund.updated")
    await do(three, path, description="renamed")
    await happened(charge, payment)
    await do(three, f"{path}/capture", amount_to_capture=0, final_capture="true")
    await happened(charge, payment, "charge.updated")

    again = await all_events(three)
    assert [{**each, "pending_webhooks": 0} for each in again] == [
        {**first[each["id"]], "pending_webhooks": 0} for each in again
    ]
    assert [await sound(each) for each in three.nodes[:2]] == [{"wrong": 0}] * 2


async def test_failures_and_what_takes_time(three: Site) -> None:
    _, (declined, _) = await tried(three, 1)
    failed = [each for each in await all_events(three) if each["type"] == "charge.failed"]
    assert [each["data"]["object"]["id"] for each in failed] == [declined]
    about = failed[0]["data"]["object"]
    assert (about["status"], about["failure_code"]) == ("failed", "card_declined")
    europe = three.nodes[0]
    europe.bank.script[Operation.CHARGE] = ["pending"]
    slow = await pay(three, **PAID)
    (pending,) = [each for each in await all_events(three) if each["type"] == "charge.pending"]
    assert pending["data"]["object"]["id"] == slow["latest_charge"]
    assert pending["data"]["object"]["status"] == "pending"
    # The next gateway is asked: it is the first charge that failed, with what its bank said.
    other = Bank("second", ABLE, priority=2)
    europe.bank.script[Operation.CHARGE] = ["retryable"]
    europe.use(Banks(europe.bank, other))
    twice = await pay(three, **PAID)
    events = [each for each in await all_events(three) if each["payment"] == twice["id"]]
    assert names(events) == [
        "payment_intent.created", "payment_intent.processing", "charge.failed",
        "payment_intent.succeeded", "charge.succeeded",
    ]  # fmt: skip
    _, charges = await three.ask("GET", "/v1/charges", {"payment_intent": twice["id"]})
    second, first = charges["data"]
    assert events[2]["data"]["object"] == first and first["failure_code"] == "processing_error"
    assert events[4]["data"]["object"] == second
    open_hold = await pay(three, **HELD)
    await do(three, f"/v1/payment_intents/{open_hold['id']}/cancel")
    events = [each for each in await all_events(three) if each["payment"] == open_hold["id"]]
    assert names(events)[-1] == "payment_intent.canceled", "a void tells nothing of the charge"
    assert (await sound(europe)) == {"wrong": 0}


async def test_pages_have_each_event_once(three: Site) -> None:
    for at in range(6):
        made = await pay(three, **PAID, **{"location[country]": ("DE", "IN", "US")[at % 3]})
        if at % 2:
            await do(three, "/v1/refunds", payment_intent=made["id"])
    every = [each["id"] for each in (await all_events(three))[::-1]]
    assert len(every) == len(set(every)) == 6 * 3 + 3 * 4
    types: dict[str, list[str]] = {}
    for each in await all_events(three):
        types.setdefault(each["type"], []).insert(0, each["id"])
    assert len(types["charge.refunded"]) == 3
    for limit in (1, 2, 3, 7, 100):
        assert await three.walk(EVENTS, limit=limit) == every
        back = await three.walk(EVENTS, "ending_before", limit=limit, ending_before=every[-1])
        assert back == every[-2::-1]
        for name, ids in types.items():
            assert await three.walk(EVENTS, limit=limit, type=name) == ids
        some = {"types[0]": "charge.succeeded", "types[1]": "refund.created"}
        wanted = sorted(types["charge.succeeded"] + types["refund.created"], reverse=True)
        assert await three.walk(EVENTS, limit=limit, **some) == wanted
        charges = [each for each in every if any(
            each in ids for name, ids in types.items() if name.startswith("charge."))]  # fmt: skip
        assert await three.walk(EVENTS, limit=limit, type="charge.*") == charges
    for cursor in every:
        for name, wanted in (
            ("starting_after", every[every.index(cursor) + 1 :]),
            ("ending_before", every[: every.index(cursor)]),
        ):
            _, page = await three.ask("GET", EVENTS, {name: cursor, "limit": 100})
            assert [each["id"] for each in page["data"]] == wanted, (name, cursor)
    row = types["payment_intent.succeeded"][0]
    for wrong in (f"{row}_1", f"{row}_3", f"{row}_02", f"{row}_99999", f"{row}_2_2"):
        assert (await three.ask("GET", f"{EVENTS}/{wrong}"))[0] == 404, wrong
    assert (await three.ask("GET", EVENTS, {"starting_after": f"{row}_3"}))[0] == 400
    assert (await three.ask("GET", f"{EVENTS}/{row}_2", key="sk_test_other"))[0] == 404


async def test_they_are_delivered_to_whom_they_are_wanted_by(three: Site) -> None:
    """In the order of the payment's versions, signed and logged under their own ids; again by
    their own ids."""
    node = three.nodes[0]
    sql = await asyncpg.connect(node.dsn)
    store = NodeStore(node.dsn, lambda: 1, pool_max=4)
    await store.open()
    try:
        async with sink() as server:
            every = await endpoint(sql, "acct_1", server.url("/every"))
            charges = await endpoint(sql, "acct_1", server.url("/charges"))
            await sql.execute(
                'UPDATE webhook_endpoint SET events = \'["charge.succeeded", "charge.refunded"]\''
                " WHERE id = $1",
                charges,
            )
            await node.node.endpoints.load(node.node.store)
            paid = await pay(three, **PAID)
            await do(three, "/v1/refunds", payment_intent=paid["id"])
            events = await all_events(three)
            assert [each["pending_webhooks"] for each in events] == [1, 1, 2, 1, 1, 2, 1]
            assert await all_events(three, delivery_success="false") == events
            assert await all_events(three, delivery_success="true") == []
            async with delivering(store):
                await until_paid(sql, every, charges)
            assert await all_events(three, delivery_success="false") == []
            taken = await all_events(three, delivery_success="true", type="charge.*")
            assert names(taken) == ["charge.succeeded", "charge.refunded", "charge.refund.updated"]
            await sql.execute(
                "UPDATE delivery SET status = 500 WHERE endpoint = $1 AND event = $2",
                every,
                taken[0]["id"],
            )
            failed = await all_events(three, delivery_success="false")
            assert [each["id"] for each in failed] == [taken[0]["id"]]
            assert (await three.ask("GET", EVENTS, {"delivery_success": "x"}))[0] == 400
            ids = {each["type"]: each["id"] for each in events}
            told_of = server.seen("came", "/charges")
            assert told_of == [ids["charge.succeeded"], ids["charge.refunded"]]
            came = server.seen("came", "/every")
            assert sorted(came) == sorted(each["id"] for each in events)
            order = {each["id"]: each["sequence"] for each in events}
            assert [order[each] for each in came] == sorted(order.values())
            bodies = {each["webhook-id"]: body for each, body in
                      zip(server.heads, server.bodies, strict=True)}  # fmt: skip
            told_it = msgspec.json.decode(bodies[ids["charge.refunded"]])
            assert told_it["data"]["object"]["amount_refunded"] == 1000
            which = {"event": ids["charge.refunded"]}
            _, tries = await three.ask("GET", "/v1/webhook_deliveries", which)
            assert {each["webhook_endpoint"] for each in tries["data"]} == {every, charges}
            again = await do(
                three, f"{EVENTS}/{ids['charge.succeeded']}/retry", webhook_endpoint=charges
            )
            assert again["type"] == "charge.succeeded" and again["pending_webhooks"] == 1
            async with delivering(store):
                await until_paid(sql, charges)
            assert server.seen("came", "/charges")[2:] == [ids["charge.succeeded"]]
            done = await store.row(
                "deliveries_resend", charges, "acct_1", False, 0, 2**53, ["charge.refunded"],
                False, "", 500,
            )  # fmt: skip
            assert done is not None and done["sent"] == 1 and done["last"] == ids["charge.refunded"]
    finally:
        await store.close()
        await sql.close()


async def test_the_checker_knows_them(three: Site) -> None:
    node = three.nodes[0]
    await tried(three, 1)
    assert await sound(node) == {"wrong": 0}
    sql = await asyncpg.connect(node.dsn)
    await sql.execute("ALTER TABLE event DISABLE TRIGGER event_append_only")
    try:
        for planted, where in (
            ("charge.captured", "type = 'payment_intent.payment_failed'"),
            ("charge.nonsense", "type = 'payment_intent.succeeded'"),
            ("charge.succeeded charge.succeeded", "type = 'payment_intent.succeeded'"),
            ("charge.failed charge.failed", "type = 'payment_intent.payment_failed'"),
        ):
            row = await sql.fetchrow(f"SELECT id, also FROM event WHERE {where}")
            assert row is not None
            await sql.execute("UPDATE event SET also = $2 WHERE id = $1", row["id"], planted)
            assert (await sound(node))["wrong"] > 0, planted
            await sql.execute("UPDATE event SET also = $2 WHERE id = $1", row["id"], row["also"])
        assert await sound(node) == {"wrong": 0}
    finally:
        await sql.close()
