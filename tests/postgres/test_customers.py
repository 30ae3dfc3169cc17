"""Customers and payment methods, through access: placed, kept, found, told of, and erased."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import asyncpg
import pytest
from asyncpg.transaction import Transaction

from bailiwick.base.ids import node_of
from bailiwick.checker import inside, stories, tables
from bailiwick.checker.findings import Findings
from bailiwick.checker.kinds import records
from bailiwick.checker.places import NodePlace
from bailiwick.checker.reader import snapshot
from bailiwick_lab.servers import engines
from bailiwick_lab.servers.engines import PostgresServer
from tests.canaries import Canaries
from tests.postgres.hooks_kit import delivering, endpoint, owed, sink, until_paid
from tests.postgres.lists_kit import One, Site, site
from tests.store_kit import NodeStore

DE = {"location[country]": "DE"}
IN = {"location[country]": "IN"}
CARD = {"type": "card", "card[token]": "pm_card_visa"}
ANN = {
    "name": "Ann",
    "email": "ann@example.com",
    "phone": "+49 30 1",
    "description": "first",
    "address[line1]": "Street 1",
    "address[country]": "DE",
    "shipping[name]": "Ann's",
    "shipping[address][city]": "Berlin",
    "preferred_locales[0]": "de-DE",
    "tax_exempt": "reverse",
    "metadata[order]": "7",
    **DE,
}


@pytest.fixture
async def shop(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with site(server_dsn, tmp_path, ("europe", "apac")) as made:
        yield made


async def post(shop: Site, path: str, key: str | None = None, **params: Any) -> Any:
    """A POST that must succeed."""
    given = {name.replace("__", "[", 1) + "]" if "__" in name else name: value
             for name, value in params.items()}  # fmt: skip
    headers = {} if key is None else {"idempotency-key": key}
    status, said = await shop.ask("POST", path, given, headers=headers)
    assert status == 200, said
    return said


async def customer(shop: Site, **params: Any) -> Any:
    return await post(shop, "/v1/customers", **{**ANN, **params})


async def method(shop: Site, **params: Any) -> Any:
    return await post(shop, "/v1/payment_methods", **{**CARD, **DE, **params})


async def attached(shop: Site, of: str, **params: Any) -> Any:
    made = await method(shop, **params)
    return await post(shop, f"/v1/payment_methods/{made['id']}/attach", customer=of)


async def refused(
    shop: Site, path: str, params: dict[str, Any], verb: str = "POST"
) -> tuple[int, str, str]:
    status, said = await shop.ask(verb, path, params)
    error = said["error"]
    return status, error.get("code", ""), error.get("param", "")


async def events(shop: Site, of: str) -> list[tuple[str, int]]:
    _, listed = await shop.ask("GET", "/v1/events", {"limit": "100"})
    found = [each for each in listed["data"] if each["data"]["object"]["id"] == of]
    assert all(each["payment"] is None for each in found)
    return sorted(((each["type"], each["sequence"]) for each in found), key=lambda it: it[1])


async def broken(at: One) -> dict[str, Any]:
    """What ``bailiwick check`` finds wrong in a node's database."""
    found = Findings()
    async with snapshot(NodePlace(at.name, at.dsn)) as db:
        for invariant in (*inside.INSIDE, *records.RECORDS, *records.SETUPS):
            await invariant(db, found.of(invariant))
        rows = await tables.load(db)
        told = stories.Stories(db.node, rows, found)
        await stories.read(db, told)
        await stories.stored_answers(db, found.of(stories.stored_answers), rows, told.edited)
    return {each.name: each.violations for each in found.all() if each.count}


async def sound(at: One) -> None:
    assert await broken(at) == {}


# Where they live


async def test_a_customer_lives_where_its_place_belongs(shop: Site) -> None:
    here, there = await customer(shop), await customer(shop, **IN)
    assert (node_of(here["id"]), here["node"]) == (1, "europe")
    assert (node_of(there["id"]), there["node"]) == (2, "apac")
    assert there["location"] == {"country": "IN", "subdivision": None, "source": "explicit"}
    assert await shop.walk("/v1/customers", limit=1) == [there["id"], here["id"]]
    for each in (here, there):
        assert await shop.ask("GET", f"/v1/customers/{each['id']}") == (200, each)


async def test_a_node_checks_its_jurisdiction_itself(shop: Site) -> None:
    status, said = await shop.ask("POST", "/v1/customers", {**ANN, **IN}, at=shop.nodes[0])
    assert (status, said["error"]["code"], said["error"]["node"]) == (421, "wrong_node", "apac")
    status, _ = await shop.ask("POST", "/v1/payment_methods", {**CARD, **IN}, at=shop.nodes[0])
    assert status == 421


async def test_without_a_place_and_a_default_it_is_refused(shop: Site) -> None:
    assert await refused(shop, "/v1/customers", {"name": "A"}) == (
        400, "location_missing", "location",
    )  # fmt: skip


async def test_confirm_makes_no_customer_one_that_moves_money(shop: Site) -> None:
    assert await refused(shop, "/v1/customers", {**DE, "confirm": "true"}) == (
        400, "parameter_unknown", "confirm",
    )  # fmt: skip


# Customers


async def test_what_is_given_is_shown_and_changed(shop: Site) -> None:
    made = await customer(shop)
    path = f"/v1/customers/{made['id']}"
    assert made["address"] == {"city": None, "country": "DE", "line1": "Street 1", "line2": None,
                               "postal_code": None, "state": None}  # fmt: skip
    assert made["shipping"]["address"]["city"] == "Berlin" and made["tax_exempt"] == "reverse"
    assert (made["preferred_locales"], made["metadata"]) == (["de-DE"], {"order": "7"})
    changed = await post(
        shop, path, name="", email="new@example.com", metadata__order="", metadata__x="1"
    )
    assert (changed["name"], changed["email"]) == (None, "new@example.com")
    assert (changed["metadata"], changed["phone"]) == ({"x": "1"}, made["phone"])
    assert await shop.ask("GET", path) == (200, changed)
    assert await events(shop, made["id"]) == [("customer.created", 1), ("customer.updated", 2)]
    await sound(shop.nodes[0])


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"balance": "5"}, "balance"),
        ({"source": "tok_visa"}, "source"),
        ({"payment_method": "pm_card_visa"}, "payment_method"),
        ({"tax[ip_address]": "1.2.3.4"}, "tax"),
        ({"test_clock": "clock_1"}, "test_clock"),
        ({"invoice_prefix": "ABC"}, "invoice_prefix"),
        ({"invoice_settings[footer]": "x"}, "invoice_settings[footer]"),
        ({"email": "no address"}, "email"),
        ({"invoice_settings[default_payment_method]": "pm_1"},
         "invoice_settings[default_payment_method]"),
        ({"name": "4242424242424242"}, "name"),
        ({"emial": "a@b"}, "emial"),
    ],
    ids=lambda it: next(iter(it)) if isinstance(it, dict) else None,
)  # fmt: skip
async def test_what_is_not_done_is_refused_by_name(
    shop: Site, params: dict[str, str], param: str
) -> None:
    status, code, named = await refused(shop, "/v1/customers", {**DE, **params})
    assert (status, named) == (400, param) and code
    assert await shop.walk("/v1/customers") == []


async def test_lists_are_filtered_and_paged(shop: Site) -> None:
    made = [await customer(shop, email=f"p{n % 2}@example.com", **(DE, IN)[n % 2])
            for n in range(6)]  # fmt: skip
    ids = [each["id"] for each in made]
    assert await shop.walk("/v1/customers", limit=2) == ids[::-1]
    assert await shop.walk("/v1/customers", email="p1@example.com", limit=2) == ids[5::-2]
    assert await shop.walk("/v1/customers", email="P1@example.com") == []
    since = {"created[gt]": made[-1]["created"]}
    assert await shop.walk("/v1/customers", **since) == []
    back = await shop.walk("/v1/customers", "ending_before", ending_before=ids[0], limit=2)
    assert back == ids[1:]
    status, page = await shop.ask("GET", "/v1/customers", key="sk_test_other")
    assert (status, page["data"]) == (200, [])
    status, _ = await shop.ask("GET", f"/v1/customers/{ids[0]}", key="sk_test_other")
    assert status == 404
    status, _ = await shop.ask(
        "GET", "/v1/customers", {"starting_after": ids[0]}, key="sk_live_first"
    )
    assert status == 400


async def test_a_key_is_answered_as_before_byte_for_byte(shop: Site) -> None:
    first = await post(shop, "/v1/customers", key="once", **ANN)
    await post(shop, f"/v1/customers/{first['id']}", name="Other")
    assert await post(shop, "/v1/customers", key="once", **ANN) == first
    status, said = await shop.ask(
        "POST", "/v1/customers", {**ANN, "name": "B"}, headers={"idempotency-key": "once"}
    )
    assert (status, said["error"]["type"]) == (400, "idempotency_error")
    assert len(await shop.walk("/v1/customers")) == 1


async def test_of_many_with_one_key_one_is_made(shop: Site, tmp_path: Path) -> None:
    """At two processes of one node: what one has under way the other does not know of."""
    first, second = shop.nodes[0], One(1, "europe")
    await second.server.start()
    await second.start(first.dsn, tmp_path)
    for number in range(1, 6):
        headers = {"idempotency-key": f"same-{number}"}
        made = await asyncio.gather(
            *(
                shop.ask("POST", "/v1/customers", ANN, at=at, headers=headers)
                for at in (first, second) * 4
            )
        )
        assert {status for status, _ in made} == {200}
        assert len({said["id"] for _, said in made}) == 1
        assert len(await shop.walk("/v1/customers")) == number
    path = f"/v1/customers/{made[0][1]['id']}"
    changes = [{f"metadata[k{n}]": n} for n in range(12)]
    await asyncio.gather(
        *(shop.ask("POST", path, each, at=(first, second)[n % 2]) for n, each in enumerate(changes))
    )
    _, now = await shop.ask("GET", path)
    assert set(now["metadata"]) == {"order", *(f"k{n}" for n in range(12))}
    await second.stop()
    await sound(first)


async def test_changes_at_once_are_all_made(shop: Site) -> None:
    made = await customer(shop)
    path = f"/v1/customers/{made['id']}"
    await asyncio.gather(*(post(shop, path, **{f"metadata[k{n}]": n}) for n in range(12)))
    _, now = await shop.ask("GET", path)
    assert set(now["metadata"]) == {"order", *(f"k{n}" for n in range(12))}
    assert [seq for _, seq in await events(shop, made["id"])] == list(range(1, 14))
    await sound(shop.nodes[0])


async def test_a_fenced_node_writes_nothing(shop: Site) -> None:
    made = await customer(shop)
    sql = await asyncpg.connect(shop.nodes[0].dsn)
    await sql.execute("UPDATE fence SET fenced_at = now()")
    status, said = await shop.ask("POST", f"/v1/customers/{made['id']}", {"name": "B"})
    assert (status, said["error"]["code"]) == (503, "node_fenced")
    assert await sql.fetchval("SELECT count(*) FROM idempotency_key") == 1
    await sql.close()


# Payment methods


async def test_a_method_is_made_attached_and_listed(shop: Site) -> None:
    of = await customer(shop)
    made = await method(shop, **{"billing_details[name]": "Ann", "metadata[a]": "1"})
    assert (made["customer"], made["card"]["brand"], made["card"]["last4"]) == (
        None,
        "visa",
        "4242",
    )
    assert "pm_card_visa" not in json.dumps(made), "a token is shown to nobody"
    path = f"/v1/payment_methods/{made['id']}"
    assert (await refused(shop, path, {"metadata[a]": "2"}))[:2] == (
        400, "payment_method_unexpected_state",
    )  # fmt: skip
    got = await post(shop, f"{path}/attach", customer=of["id"], **{"expand[0]": "customer"})
    assert got["customer"] == of
    changed = await post(
        shop, path, allow_redisplay="always", **{"billing_details[email]": "a@b.example"}
    )
    assert (changed["billing_details"]["name"], changed["billing_details"]["email"]) == (
        "Ann", "a@b.example",
    )  # fmt: skip
    for listed in (f"/v1/customers/{of['id']}/payment_methods", "/v1/payment_methods"):
        params = {} if "customers" in listed else {"customer": of["id"]}
        status, page = await shop.ask("GET", listed, {"type": "card", **params})
        assert (status, page["data"], page["url"]) == (200, [changed], listed)
        _, none = await shop.ask("GET", listed, {"type": "sepa_debit", **params})
        assert none["data"] == []
    one = f"/v1/customers/{of['id']}/payment_methods/{made['id']}"
    assert await shop.ask("GET", one) == (200, changed)
    assert [name for name, _ in await events(shop, made["id"])] == [
        "bailiwick.payment_method.created", "payment_method.attached", "payment_method.updated",
    ]  # fmt: skip
    await sound(shop.nodes[0])


async def test_a_detached_method_is_used_no_more(shop: Site) -> None:
    of = await customer(shop)
    made = await attached(shop, of["id"])
    path, cus = f"/v1/payment_methods/{made['id']}", f"/v1/customers/{of['id']}"
    default = "invoice_settings[default_payment_method]"
    with_it = await post(
        shop, cus, **{default: made["id"], "expand[0]": "invoice_settings.default_payment_method"}
    )
    assert with_it["invoice_settings"]["default_payment_method"] == made
    wish = {"expand[0]": "data.invoice_settings.default_payment_method"}
    _, page = await shop.ask("GET", "/v1/customers", wish)
    assert page["data"][0]["invoice_settings"]["default_payment_method"] == made
    gone = await post(shop, f"{path}/detach")
    assert gone["customer"] is None
    _, now = await shop.ask("GET", cus)
    assert now["invoice_settings"]["default_payment_method"] is None
    assert (await events(shop, of["id"]))[-1] == ("customer.updated", 3)
    for verb, params in (("attach", {"customer": of["id"]}), ("detach", {})):
        assert (await refused(shop, f"{path}/{verb}", params))[0] == 400
    assert (await refused(shop, cus, {default: made["id"]}))[1:] == ("resource_missing", default)
    assert await shop.walk(f"{cus}/payment_methods") == []
    await sound(shop.nodes[0])


async def test_a_method_is_one_customer_s(shop: Site) -> None:
    first, second, away = await customer(shop), await customer(shop), await customer(shop, **IN)
    made = await attached(shop, first["id"])
    path = f"/v1/payment_methods/{made['id']}/attach"
    assert (await refused(shop, path, {"customer": second["id"]}))[0] == 400
    assert await post(shop, path, customer=first["id"]) == made
    other = await method(shop)
    path = f"/v1/payment_methods/{other['id']}/attach"
    assert await refused(shop, path, {"customer": away["id"]}) == (
        400, "customer_elsewhere", "customer",
    )  # fmt: skip
    assert await refused(shop, path, {"customer": "cus_none"}) == (
        404, "resource_missing", "customer",
    )  # fmt: skip
    one = f"/v1/customers/{second['id']}/payment_methods/{made['id']}"
    assert (await refused(shop, one, {}, "GET"))[0] == 404


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"type": "card", "card[number]": "4242424242424242"}, "card[number]"),
        ({"type": "sepa_debit"}, "type"),
        ({**CARD, "customer": "cus_1"}, "customer"),
        ({**CARD, "card[vault]": "nowhere"}, "card[vault]"),
        ({"type": "card"}, "card"),
    ],
    ids=["number", "type", "customer", "vault", "nothing"],
)
async def test_what_is_no_method_is_refused(shop: Site, params: dict[str, str], param: str) -> None:
    status, _, named = await refused(shop, "/v1/payment_methods", {**DE, **params})
    assert (status, named) == (400, param)


async def test_fingerprints_tell_a_token_again_to_its_merchant_alone(shop: Site) -> None:
    async def mark(token: str, key: str = "sk_test_first") -> str:
        wish = {**CARD, **DE, "card[token]": token}
        _, made = await shop.ask("POST", "/v1/payment_methods", wish, key=key)
        return str(made["card"]["fingerprint"])

    ours = await mark("tok_one")
    assert ours == await mark("tok_one") and ours != await mark("tok_two")
    assert ours != await mark("tok_one", "sk_test_other") != await mark("tok_one", "sk_live_first")


# Regions, webhooks, lost commits, and what the checker sees


async def test_a_strict_place_s_customers_stay_in_its_region(
    server_dsn: str, tmp_path: Path
) -> None:
    async with site(server_dsn, tmp_path, ("europe", "apac"), region="apac") as it:
        status, said = await it.ask("POST", "/v1/customers", {**ANN, **DE})
        assert (status, said["error"]["code"]) == (421, "wrong_region")
        node = it.nodes[0]
        _, made = await it.ask("POST", "/v1/customers", {**ANN, **DE}, at=node)
        _, card = await it.ask("POST", "/v1/payment_methods", {**CARD, **DE}, at=node)
        free = await customer(it, **{"location[country]": "BR"})
        _, told = await it.ask("GET", "/v1/events", {"type": "customer.created"}, at=node)
        strict = next(each for each in told["data"] if each["data"]["object"]["id"] == made["id"])
        for path in (
            f"/v1/customers/{made['id']}",
            f"/v1/customers/{made['id']}/payment_methods",
            f"/v1/payment_methods/{card['id']}",
            f"/v1/events/{strict['id']}",
            "/v1/customers",
            "/v1/payment_methods",
            "/v1/events",
        ):
            status, said = await it.ask("GET", path)
            assert (status, said["error"]["code"]) == (421, "wrong_region"), path
        assert (await it.ask("DELETE", f"/v1/customers/{made['id']}"))[0] == 421
        assert await it.ask("GET", f"/v1/customers/{free['id']}") == (200, free)


async def test_webhooks_are_owed_and_delivered_in_order(shop: Site) -> None:
    node = shop.nodes[0].node
    sql = await asyncpg.connect(shop.nodes[0].dsn)
    async with sink() as there:
        to = await endpoint(sql, "acct_1", there.url("/hook"))
        await node.endpoints.load(node.store)
        made = await customer(shop)
        await post(shop, f"/v1/customers/{made['id']}", name="B")
        await attached(shop, made["id"])
        assert await owed(sql, to) == 3, "not what only we have, which * leaves out"
        assert (await shop.ask("DELETE", f"/v1/customers/{made['id']}"))[0] == 200
        async with delivering(cast(NodeStore, node.store)):
            await until_paid(sql, to)
        told = {row["id"]: row["type"] for row in await sql.fetch("SELECT id, type FROM event")}
        arrived = [told[each] for each in there.seen("answered", "/hook")]
        of_customer = [each for each in arrived if each.startswith("customer")]
        assert of_customer == ["customer.created", "customer.updated", "customer.deleted"]
        assert sorted(set(arrived) - set(of_customer)) == [
            "payment_method.attached", "payment_method.detached",
        ]  # fmt: skip
    await sql.close()


async def test_a_commit_whose_answer_is_lost_is_found_by_its_key(
    shop: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Done and not told, or not done: the same key does it once."""
    node = shop.nodes[0]
    commit = Transaction.commit

    async def done(self: Transaction) -> None:
        await commit(self)
        raise ConnectionResetError

    async def never(self: Transaction) -> None:
        raise ConnectionResetError

    for number, lost in enumerate((done, never), 1):
        headers = {"idempotency-key": f"lost-{number}"}
        with monkeypatch.context() as patch:
            patch.setattr(Transaction, "commit", lost)
            status, said = await shop.ask("POST", "/v1/customers", ANN, headers=headers, at=node)
            assert (status, said["error"]["code"]) == (503, "unavailable")
        assert node.node.store._unsure == 1
        status, _ = await shop.ask("POST", "/v1/customers", ANN, headers=headers, at=node)
        assert status == 200 and node.node.store._unsure == 0
        assert len(await shop.walk("/v1/customers")) == number
    await sound(node)


@pytest.mark.parametrize(
    ("plant", "seen"),
    [
        ("UPDATE record SET version = version + 1 WHERE id LIKE 'cus%'", "records_told"),
        ("DELETE FROM personal_event WHERE seq = 1 AND subject LIKE 'cus%'", "records_told"),
        ("UPDATE record SET details = '{}', active = false WHERE id LIKE 'cus%'", "records_told"),
        ("UPDATE record SET merchant = 'acct_2' WHERE id LIKE 'pm%'", "methods_owned"),
        ("UPDATE record SET belongs_to = NULL WHERE id LIKE 'pm%'", "methods_owned"),
        ("DELETE FROM record WHERE id LIKE 'pm%'", "tenants_match"),
    ],
    ids=["version", "told", "erased", "merchant", "default", "parent"],
)  # fmt: skip
async def test_the_checker_sees_what_is_wrong(shop: Site, plant: str, seen: str) -> None:
    made = await customer(shop)
    card = await attached(shop, made["id"])
    default = {"invoice_settings[default_payment_method]": card["id"]}
    await post(shop, f"/v1/customers/{made['id']}", **default)
    await sound(shop.nodes[0])
    sql = await asyncpg.connect(shop.nodes[0].dsn)
    await sql.execute(plant)
    await sql.close()
    assert seen in await broken(shop.nodes[0])


# Erasure


async def test_a_deleted_customer_is_shown_as_deleted(shop: Site) -> None:
    made = await customer(shop)
    card = await attached(shop, made["id"])
    path = f"/v1/customers/{made['id']}"
    gone = {"id": made["id"], "object": "customer", "deleted": True}
    assert await shop.ask("DELETE", path) == (200, gone)
    assert await shop.ask("GET", path) == (200, gone)
    for verb, where in (("DELETE", path), ("POST", path), ("GET", f"{path}/payment_methods")):
        assert (await shop.ask(verb, where, {"name": "B"} if verb == "POST" else {}))[0] == 404
    assert await shop.walk("/v1/customers") == await shop.walk("/v1/payment_methods") == []
    assert (await events(shop, made["id"]))[-1] == ("customer.deleted", 2)
    assert (await events(shop, card["id"]))[-1] == ("payment_method.detached", 3)
    await sound(shop.nodes[0])


UNCOMPRESSED = """
DO $$ DECLARE each record; BEGIN
    FOR each IN SELECT c.relname, a.attname
                  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
                 WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
                   AND a.attnum > 0 AND a.attstorage = 'x'
    LOOP EXECUTE format('ALTER TABLE %I ALTER %I SET STORAGE EXTERNAL', each.relname, each.attname);
    END LOOP;
END $$
"""
"""So that what is long can be found in files as it is."""


def held(data: Path, words: Canaries) -> set[str]:
    """Which words stand in the files of a database's tables, indexes and statistics."""
    files = [each for each in data.rglob("base/*/*") if each.is_file()]
    assert len(files) > 500
    return {field for each in files for field in words.fields_in(each.read_bytes())}


async def _person(shop: Site, word: Canaries) -> Any:
    """A customer of whom every field has a word of its own, and what happens to it."""
    person = {
        "name": word("name"),
        "email": f"{word('email')}@example.com",
        "phone": word("phone"),
        "description": word("description"),
        "address[line1]": word("line1"),
        "shipping[name]": word("shipping"),
        "shipping[address][city]": word("city"),
        "metadata[a]": word("metadata"),
        **DE,
    }
    made = await post(shop, "/v1/customers", **person)
    path = f"/v1/customers/{made['id']}"
    billing = {"billing_details[name]": word("billing"), "card[token]": f"tok_{word('token')}"}
    cards = [await attached(shop, made["id"], **billing) for _ in range(2)]
    await post(shop, f"/v1/payment_methods/{cards[0]['id']}/detach", **{"expand[0]": "customer"})
    default = {
        "invoice_settings[default_payment_method]": cards[1]["id"],
        "expand[0]": "invoice_settings.default_payment_method",
    }
    await post(shop, path, description=word("again"), **default)
    return {"id": made["id"], "request": person}


@pytest.fixture
async def server() -> AsyncIterator[tuple[PostgresServer, Path]]:
    """A server of the test's own, whose files can be looked at."""
    place = Path(tempfile.mkdtemp(prefix="bwe-"))
    place.chmod(0o755)
    data = place / "postgres"
    made = await PostgresServer.start(data)
    yield made, data
    await made.stop()
    engines.remove(data)
    shutil.rmtree(place, ignore_errors=True)


async def test_nothing_personal_is_left_in_the_database_s_files(
    server: tuple[PostgresServer, Path], tmp_path: Path
) -> None:
    postgres, data = server
    gone, kept = Canaries(), Canaries()
    async with site(postgres.tcp_dsn, tmp_path, ("europe",)) as shop:
        sql = await asyncpg.connect(shop.nodes[0].dsn)
        await sql.execute(UNCOMPRESSED)
        erased, _ = await _person(shop, gone), await _person(shop, kept)
        again = await post(shop, "/v1/customers", key="again", **erased["request"])
        await sql.execute("ANALYZE")
        for each in (erased["id"], again["id"]):
            assert (await shop.ask("DELETE", f"/v1/customers/{each}"))[0] == 200
        for table in ("record", "personal_event"):
            await sql.execute(f"VACUUM (FULL) {table}")
        await sql.execute("VACUUM")
        told = "SELECT count(*) FROM event WHERE subject = $1"
        assert await sql.fetchval(told, erased["id"]) == 3, "that it was there is not forgotten"
        replayed = await post(shop, "/v1/customers", key="again", **erased["request"])
        assert (replayed["id"], replayed["deleted"]) == (again["id"], True)
        _, listed = await shop.ask("GET", "/v1/events", {"limit": "100"})
        assert gone.find(json.dumps(listed).encode()) == []
        assert kept.find(json.dumps(listed).encode())
        await sql.close()
        await sound(shop.nodes[0])
        admin = await asyncpg.connect(postgres.admin_dsn)
        await admin.execute("CHECKPOINT")
        await admin.close()
        # While the schema is there.
        assert held(data, gone) == set()
        assert held(data, kept) == set(kept.fields)
