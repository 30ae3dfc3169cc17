"""Searches over whole nodes: what they find is what the language means, of all that was filled."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from bailiwick.channels.contract import Operation
from bailiwick.resources import declared
from bailiwick.search import filler as filler_module
from bailiwick.search import index
from bailiwick.search.filler import Filler, SearchOutbox
from bailiwick.search.terms import Scope, term
from tests.postgres.lists_kit import One, Site, site
from tests.postgres.search_kit import Asker, entries, entry, expected, filled, ids, search, text
from tests.postgres.test_lists import PAID, START, customer, fill, pay
from tests.waiting import until

EVERY = {each.resource.prefix: each for each in declared("SEARCHED", "search")}
PAYMENTS, CHARGES = "/v1/payment_intents/search", "/v1/charges/search"
CUSTOMERS = "/v1/customers/search"


@pytest.fixture
async def three(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    """Three nodes."""
    async with site(server_dsn, tmp_path, ("europe", "apac", "americas")) as made:
        yield made


@pytest.fixture
async def one(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    """One node."""
    async with site(server_dsn, tmp_path, ("europe",)) as made:
        yield made


async def lives(it: Site) -> None:
    """Payments in all kinds of states, at all nodes."""
    places = ("DE", "IN", "US")
    customers = [[await customer(it, place) for place in places] for _ in range(2)]
    for at in range(12):
        more: dict[str, Any] = {
            "location[country]": places[at % 3], "amount": 100 + at % 5,
            "currency": ("eur", "usd")[at % 2], "metadata[order]": str(at),
            "metadata[Shop]": "ÄZ b",
        }  # fmt: skip
        if at % 3:
            more["customer"] = customers[at % 2][at % 3]
        if at == 0:
            more["metadata[odd \\ \"key'\n]"] = "x\ny \\ \"z' null"
        made = await pay(it, **more)
        path = f"/v1/payment_intents/{made['id']}"
        node = next(each for each in it.nodes if each.name == made["node"])
        word = ("approve", "decline", "pending", "act", "unsent", "approve")[at % 6]
        if at >= 2:
            node.bank.script[Operation.CHARGE] = [word]
            if word == "decline":
                node.bank.script[Operation.CHARGE] += ["approve"]
                await it.ask("POST", f"{path}/confirm", {"payment_method": "pm_card_visa"})
            await it.ask("POST", f"{path}/confirm", {"payment_method": "pm_card_visa"})
        now = (await it.ask("GET", path))[1]
        if now["status"] == "succeeded":
            refund = {"payment_intent": now["id"], "amount": now["amount"] if at % 2 else 1}
            assert (await it.ask("POST", "/v1/refunds", refund))[0] == 200
            note = {"metadata[parcel]": str(at), "metadata[order]": ""}
            assert (await it.ask("POST", f"/v1/charges/{now['latest_charge']}", note))[0] == 200
        if at == 0:
            assert (await it.ask("POST", f"{path}/cancel"))[0] == 200
    for at in range(9):
        wish = {"location[country]": places[at % 3], "name": ("Ann", "Bo Ö")[at % 2]}
        if at % 4:
            wish |= {"email": f"p{at % 3}@example.com", "metadata[order]": str(at)}
        if at % 3:
            wish |= {"phone": "+49 30 1", "description": "not searched"}
        status, made = await it.ask("POST", "/v1/customers", wish)
        assert status == 200, made
        if at in (4, 7):
            await it.ask("DELETE", f"/v1/customers/{made['id']}")
        if at in (1, 5):
            await it.ask("POST", f"/v1/customers/{made['id']}", {"email": "", "name": "Cy"})
    held = await pay(it, **PAID, capture_method="manual")
    node = next(each for each in it.nodes if each.name == held["node"])
    node.bank.script[Operation.CAPTURE] = ["pending"]
    await it.ask("POST", f"/v1/payment_intents/{held['id']}/capture")


async def test_entries_are_what_the_objects_show(three: Site) -> None:
    await lives(three)
    await filled(*three.nodes)
    seen: set[str] = set()
    for prefix, of in EVERY.items():
        scope = Scope(prefix, "acct_1", False)
        _, page = await three.ask("GET", of.resource.path, {"limit": 100})
        shown = {it["id"]: entry(scope, of, it) for it in page["data"]}
        held: dict[str, Any] = {}
        for each in three.nodes:
            sql = await asyncpg.connect(each.dsn)
            held |= await entries(sql, prefix)
            await sql.close()
        assert held == shown
        seen |= {f"{prefix} {it.get('status', 'there')}" for it in page["data"]}
    assert seen == {
        "pi canceled", "pi requires_payment_method", "pi succeeded", "pi processing",
        "pi requires_action", "ch succeeded", "ch failed", "ch pending", "cus there",
    }  # fmt: skip


@pytest.mark.parametrize("newest", [2_000, 3, 0])
async def test_what_is_found_is_what_the_language_means(
    three: Site, monkeypatch: pytest.MonkeyPatch, newest: int
) -> None:
    """Also where the first look goes through few entries, so that the index gives the rest."""
    monkeypatch.setattr(index, "NEWEST", newest)
    await lives(three)
    await filled(*three.nodes)
    for at, of in enumerate(EVERY.values()):
        _, page = await three.ask("GET", of.resource.path, {"limit": 100})
        objects = page["data"]
        asker = Asker(of.fields, objects, at)
        found_any = 0
        for turn in range(60):
            query = asker.query()
            said = text(query, of.fields)
            wanted = expected(query, objects)
            found = await search(three, of.path, said, limit=(100, 2, 1)[turn % 3])
            assert ids(found) == wanted, said
            found_any += bool(wanted)
            if turn % 10 == 0:
                status, page = await three.ask(
                    "GET", of.path, {"query": said, "expand[]": "total_count", "limit": 1}
                )
                assert (status, page["total_count"]) == (200, len(wanted))
                assert page["data"] == [it for it in objects if it["id"] in wanted[:1]]
        assert 20 < found_any < 60, "neither always nothing nor always something"


async def test_each_merchant_and_mode_finds_its_own(three: Site) -> None:
    mine = await pay(three, **PAID, **{"metadata[a]": "1"})
    await filled(*three.nodes)
    query = "metadata['a']:'1'"
    for path in (PAYMENTS, CHARGES):
        (found,) = await search(three, path, query)
        assert mine["id"] in (found["id"], found.get("payment_intent"))
        for key in ("sk_test_other", "sk_live_first"):
            for more in ({}, {"expand[]": "total_count"}):
                status, page = await three.ask("GET", path, {"query": query, **more}, key=key)
                assert (status, page["data"], page.get("total_count", 0)) == (200, [], 0)


async def test_requests_that_are_wrong(three: Site) -> None:
    await pay(three, **PAID)
    await pay(three, **PAID)
    await filled(*three.nodes)
    status, page = await three.ask("GET", PAYMENTS, {"query": "amount>1", "limit": 1})
    token = page["next_page"]
    assert status == 200 and token
    for at in (None, three.nodes[0]):
        for wish, param in (
            ({}, "query"), ({"query": ""}, "query"), ({"query": "amount=1"}, "query"),
            ({"query": "x" * 5_001}, "query"), ({"query": "refunded:'true'"}, "query"),
            ({"query": "amount>2", "page": token}, "page"),
            ({"query": "amount>1", "page": token[:-1]}, "page"),
            ({"query": "amount>1", "page": "x"}, "page"),
            ({"query": "amount>1", "limit": 101}, "limit"),
            ({"query": "amount>1", "expand[]": "data.client_secret"}, "expand"),
            ({"query": "amount>1", "starting_after": "pi_1"}, "starting_after"),
            ({"query": "amount>1", "customer": "cus_1"}, "customer"),
        ):  # fmt: skip
            status, body = await three.ask("GET", PAYMENTS, wish, at=at)
            assert (status, body["error"]["param"]) == (400, param), (wish, body)
        for key, code in (("sk_test_nobody", 401), ("sk_test_other", 400)):
            wish = {"query": "amount>1", "page": token}
            assert (await three.ask("GET", PAYMENTS, wish, key=key, at=at))[0] == code
        status, body = await three.ask("GET", PAYMENTS, {"query": "amount~'1'"}, at=at)
        assert "at character 7" in body["error"]["message"]
        status, body = await three.ask("GET", "/v1/refunds/search", {"query": "amount>1"}, at=at)
        assert status in (400, 404), "as in Stripe's API, there is none"


async def test_a_node_that_is_away(three: Site) -> None:
    here = await pay(three)
    await pay(three, **{"location[country]": "IN"})
    await filled(*three.nodes)
    await three.nodes[1].server.stop()
    status, body = await three.ask("GET", PAYMENTS, {"query": "amount>1"})
    assert (status, body["error"]["code"]) == (503, "node_unavailable")
    assert "apac" in body["error"]["message"]
    status, page = await three.ask("GET", PAYMENTS, {"query": "amount>1", "partial": "allow"})
    assert (status, ids(page["data"]), page["unavailable_nodes"]) == (200, [here["id"]], ["apac"])


async def test_objects_of_any_size_come_once(three: Site) -> None:
    made = await fill(three, 15, 5, [10, 3_000, 300_000])
    await filled(*three.nodes)
    for limit in (1, 7, 100):
        assert ids(await search(three, PAYMENTS, "amount:1000", limit=limit)) == made
    for node in three.nodes:
        own = await search(three, PAYMENTS, "amount:1000", at=node, limit=100)
        assert set(ids(own)) < set(made)


async def test_expanded(one: Site) -> None:
    made = await pay(one, **PAID)
    await filled(*one.nodes)
    for at in (None, one.nodes[0]):
        wish = {"query": "amount>1", "expand[0]": "data.latest_charge", "expand[1]": "total_count"}
        _, page = await one.ask("GET", PAYMENTS, wish, at=at)
        assert page["data"][0]["latest_charge"]["id"] == made["latest_charge"]
        assert page["total_count"] == 1
        _, page = await one.ask(
            "GET", CHARGES, {"query": "amount>1", "expand[]": "data.payment_intent"}, at=at
        )
        assert page["data"][0]["payment_intent"] == made
        assert "total_count" not in page


async def test_created_reaches_over_any_time(one: Site) -> None:
    node = one.nodes[0]
    rows = [node.row(START + at * 1_000, 10) for at in range(10)]
    for row in rows:
        await node.node.store.write("create", row)
    await filled(node)
    second = START // 1000
    for query, count in (
        (f"created:{second + 3}", 1), (f"created>{second + 3}", 6), (f"created<={second}", 1),
        (f"created>{second} created<{second + 2}", 1), (f"-created:{second}", 9),
        ("created>9007199254740992", 0), ("created<0", 0), ("created>-5", 10),
        ("created<9007199254740992", 10), (f"created:{second} OR created:{second + 9}", 2),
        (f"created>{second} created<{second}", 0), ("amount>=9007199254740992", 0),
    ):  # fmt: skip
        assert len(await search(one, PAYMENTS, query)) == count, query


async def test_an_erased_customer_is_found_no_more(three: Site) -> None:
    made = []
    for at, place in enumerate(["DE", "IN", "US", "DE", "DE"]):
        wish = {"location[country]": place, "email": "ann@example.com", "metadata[n]": str(at)}
        made.append((await three.ask("POST", "/v1/customers", wish))[1]["id"])
    await filled(*three.nodes)
    query = "email:'ann@example.com'"
    for gone in (made[3], made[1], made[4]):
        assert gone in ids(await search(three, CUSTOMERS, query, limit=1))
        assert (await three.ask("DELETE", f"/v1/customers/{gone}"))[0] == 200
        for limit in (1, 2, 100):  # nothing is left of it, whether the entries know it yet or not
            found = ids(await search(three, CUSTOMERS, query, limit=limit))
            assert gone not in found and made[0] in found
    await filled(*three.nodes)
    assert ids(await search(three, CUSTOMERS, query)) == sorted([made[0], made[2]], reverse=True)
    for each in three.nodes:
        sql = await asyncpg.connect(each.dsn)
        assert set(await entries(sql, "cus")) <= {made[0], made[2]}
        await sql.close()


async def test_customers_of_a_strict_place_are_found_in_their_region_alone(
    server_dsn: str, tmp_path: Path
) -> None:
    async with site(server_dsn, tmp_path, ("europe", "apac"), region="apac") as elsewhere:
        europe = elsewhere.nodes[0]
        wish = {"location[country]": "DE", "name": "Ann"}
        assert (await elsewhere.ask("POST", "/v1/customers", wish, at=europe))[0] == 200
        await filled(*elsewhere.nodes)
        query = {"query": "name:'ann'"}
        status, said = await elsewhere.ask("GET", CUSTOMERS, query)
        assert (status, said["error"]["code"]) == (421, "wrong_region")
        status, page = await elsewhere.ask("GET", CUSTOMERS, query, at=europe)
        assert (status, len(page["data"])) == (200, 1)


# The table


async def test_terms_are_the_same_in_the_program_and_the_database(
    sql: asyncpg.Connection,
) -> None:
    for merchant, livemode, kind, field, key, value in (
        ("acct_1", False, "pi", "status", None, "Succeeded"),
        ("a", True, "ch", "status", None, None),
        ("a", False, "pi", "metadata", "Größe\n€ 😀", "ÄÖ Zz\\\n\t\u0130"),
        ("a", True, "pi", "metadata", "", ""),
    ):  # fmt: skip
        made = await sql.fetchval(
            "SELECT search_term($1 || E'\\n' || $2 || E'\\n' || $3, $4, $5, $6)",
            merchant, "live" if livemode else "test", kind, field, key or "", value,
        )  # fmt: skip
        assert made == term(Scope(kind, merchant, livemode), field, key, value)


async def look(node: One) -> asyncpg.Connection:
    return await asyncpg.connect(node.dsn)


async def test_what_changes_is_found_anew(one: Site) -> None:
    made = await pay(one, **{"metadata[a]": "1"})
    await filled(*one.nodes)
    assert ids(await search(one, PAYMENTS, "metadata['a']:'1'")) == [made["id"]]
    path = f"/v1/payment_intents/{made['id']}"
    who = await customer(one)
    await one.ask("POST", path, {"metadata[a]": "2", "customer": who, "amount": 77})
    assert ids(await search(one, PAYMENTS, "metadata['a']:'1'")) == [made["id"]], "not yet"
    await filled(*one.nodes)
    for query, count in (
        ("metadata['a']:'1'", 0), (f"metadata['a']:'2' amount:77 customer:'{who}'", 1),
        ("-customer:null", 1), ("customer:null", 0), ("metadata['b']:null", 1),
    ):  # fmt: skip
        assert len(await search(one, PAYMENTS, query)) == count, query
    await one.ask("POST", path, {"metadata": "", "customer": ""})
    await filled(*one.nodes)
    assert len(await search(one, PAYMENTS, "customer:null metadata['a']:null")) == 1


async def test_an_older_database_is_gone_through_from_the_beginning(
    one: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filler_module, "PAGE", 3)
    node = one.nodes[0]
    for _ in range(5):
        await pay(one, **PAID)
    new = Filler(SearchOutbox(node.dsn), list(node.node.filler._fills), lambda: 1, lambda: 1)
    node.node.filler = new
    sql = await look(node)
    await filled(node)
    assert len(await search(one, CHARGES, "amount>1")) == 5
    before = await entries(sql, "pi")
    await sql.execute("DELETE FROM search_entry WHERE kind = 'pi'")
    await filled(node)
    assert await entries(sql, "pi") == {}, "its place is known: nothing is read again"
    for lost in ("origin = 'another cluster'", "stream = 'of another version'", "origin = NULL"):
        await sql.execute(f"DELETE FROM search_entry; UPDATE relay SET {lost}")
        new.behind = True
        await filled(node)
        assert await entries(sql, "pi") == before, lost
    assert await sql.fetchval("SELECT count(*) FROM relay WHERE consumer = 'search'") == 1
    await new._outbox.close()
    await sql.close()


async def test_place_and_entries_are_written_together(
    one: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = one.nodes[0]
    await filled(node)
    await pay(one, **PAID)
    outbox = node.node.filler._outbox
    advance = outbox.advance

    async def dies(*arguments: Any) -> None:
        await advance(*arguments)
        raise OSError("the process dies before the commit")

    monkeypatch.setattr(outbox, "advance", dies)
    with pytest.raises(OSError, match="dies"):
        await node.node.filler._careful()
    monkeypatch.undo()
    sql = await look(node)
    assert await entries(sql, "pi") == {}
    await filled(node)
    assert len(await entries(sql, "pi")) == len(await entries(sql, "ch")) == 1
    await sql.close()


async def test_one_process_fills_and_none_while_the_node_is_fenced(one: Site) -> None:
    node = one.nodes[0]
    await pay(one, **PAID)
    sql = await look(node)
    fills = list(node.node.filler._fills)
    other = Filler(SearchOutbox(node.dsn), fills, lambda: 1, lambda: 1)
    async with node.node.filler._outbox.claimed(1) as claim:
        assert claim is not None
        await other.step()
        assert await entries(sql, "pi") == {}
    await sql.execute("UPDATE fence SET fenced_at = now()")
    await filled(node)
    assert await entries(sql, "pi") == {}
    await sql.execute("UPDATE fence SET fenced_at = NULL")
    other._seen, other.behind = -1, True
    await other.step()
    while other.behind:
        await other.step()
    assert len(await entries(sql, "pi")) == 1
    await other._outbox.close()
    await sql.close()


async def test_an_entry_that_cannot_be_made_is_left_out_alone(
    one: Site,
) -> None:
    node = one.nodes[0]
    for _ in range(5):
        await pay(one)
    row = node.row(START, 10)
    broken = row.content.replace('"description":"', '"customer":"\\u0000","description":"')
    assert broken != row.content
    await node.node.store.write("create", type(row)(**{
        **{name: getattr(row, name) for name in row.__struct_fields__}, "content": broken,
    }))  # fmt: skip
    await filled(node)
    assert len(await search(one, PAYMENTS, "amount:1000")) == 5


async def test_a_node_that_runs_fills_by_itself(one: Site) -> None:
    node = one.nodes[0]
    task = asyncio.create_task(node.node.filler.run())
    made = await pay(one, **PAID)

    async def found() -> bool:
        return ids(await search(one, PAYMENTS, "status:'succeeded'")) == [made["id"]]

    await until(found)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
