"""What is personal of a payer goes, everywhere; what is money stays, and the books agree."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import asyncpg
import msgspec
import pytest

from bailiwick.erasure.payer import Asked, names_email
from bailiwick.resources.disputes import shape as disputes
from bailiwick.resources.payments import shape as payments
from bailiwick.resources.refunds import shape as refunds
from bailiwick_lab.servers.engines import PostgresServer
from tests.canaries import Canaries
from tests.postgres.erase_kit import command_says, echo, erase, payer, talked_about, words_of, wrong
from tests.postgres.hooks_kit import delivering, endpoint, sink, until_paid
from tests.postgres.lists_kit import Site, site
from tests.postgres.search_kit import filled, search
from tests.postgres.test_customers import DE, UNCOMPRESSED, held, post, server
from tests.store_kit import NodeStore

__all__ = ["server"]
REWRITTEN = (
    "event",
    "attempt",
    "refund",
    "dispute",
    "review",
    "record",
    "personal_event",
    "file_content",
    "delivery_try",
    "search_entry",
)
"""As the operators' page says."""


SHAPES: dict[str, Any] = {
    "payment_intents": payments.PaymentIntent,
    "charges": payments.Charge,
    "refunds": refunds.SHAPE,
    "disputes": disputes.SHAPE,
}


@pytest.fixture
async def shop(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with site(server_dsn, tmp_path, ("europe", "apac")) as made:
        yield made


@pytest.fixture
async def sql(shop: Site) -> AsyncIterator[asyncpg.Connection]:
    """At the first node."""
    made = await asyncpg.connect(shop.nodes[0].dsn)
    yield made
    await made.close()


async def money(sql: asyncpg.Connection) -> list[Any]:
    """All that is reckoned with."""
    found: list[Any] = []
    for table, columns in (
        ("payment", "id, state, amount, currency, amount_received, amount_refunded, attempts"),
        ("posting", "subject, seq, debit, credit, amount, currency"),
        ("attempt", "id, state, amount, provider_ref, result::json ->> 'amount'"),
        ("refund", "id, state, amount"),
        ("dispute", "id, state, amount, fee, funds"),
        ("idempotency_key", "identity, object"),
    ):
        found += await sql.fetch(f"SELECT {columns} FROM {table} ORDER BY 1, 2")
    return found


async def test_nothing_personal_is_left_anywhere(
    server: tuple[PostgresServer, Path],
    tmp_path: Path,
) -> None:
    postgres, data = server
    gone, kept = Canaries(), Canaries()
    async with site(postgres.tcp_dsn, tmp_path, ("europe",)) as shop, sink() as there:
        node = shop.nodes[0]
        sql = await asyncpg.connect(node.dsn)
        await sql.execute(UNCOMPRESSED)
        to = await endpoint(sql, "acct_1", there.url("/hook"))
        await node.node.endpoints.load(node.node.store)
        of = {}
        for number, word in (("1", gone), ("2", kept)):
            echo(there, word)
            async with delivering(cast(NodeStore, node.node.store)):
                of[word.mark] = await payer(shop, word, number)
                await until_paid(sql, to)
            await talked_about(sql, word, of[word.mark])
        ids = of[gone.mark]
        await sql.execute("ANALYZE")
        before = await money(sql)
        asked = Asked((ids["customer"],), (ids["guest"],))
        seen, done = await erase(node, asked)
        assert seen.payer.orders == sorted([ids["first"], ids["declined"], ids["guest"]])
        assert sorted(done.erased) == sorted([*seen.payer.orders, ids["customer"]])
        assert await sql.fetchval("SELECT count(*) FROM file_content") == 1, "the neighbour's"
        assert await money(sql) == before
        assert await wrong(node) == {}
        for table in REWRITTEN:
            await sql.execute(f"VACUUM (FULL) {table}")
        await sql.execute("VACUUM")
        await sql.close()
        admin = await asyncpg.connect(postgres.admin_dsn)
        await admin.execute("CHECKPOINT")
        await admin.close()
        # While the schema is there.
        assert held(data, gone) == set()
        assert held(data, kept) == set(kept.fields)


async def test_what_is_read_afterwards(shop: Site, sql: asyncpg.Connection) -> None:
    word = Canaries()
    ids = await payer(shop, word, "1")
    before = (await shop.ask("GET", f"/v1/payment_intents/{ids['first']}"))[1]
    await erase(shop.nodes[0], Asked((ids["customer"],), (ids["guest"],)))
    _, after = await shop.ask("GET", f"/v1/payment_intents/{ids['first']}")
    same = ("id", "amount", "amount_received", "currency", "status", "latest_charge", "created",
            "customer", "node", "assignment", "routing", "payment_method_types")  # fmt: skip
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert after["location"] == {
        "country": "DE", "source": "explicit", "confidence": "high",
        "subdivision": None, "evidence": {}, "contradictions": [],
    }  # fmt: skip
    assert (after["metadata"], after["shipping"], after["receipt_email"]) == ({}, None, None)
    # The key is answered with what is left, and its payer is not charged again.
    again = {**words_of(word), "customer": ids["customer"], "confirm": "true",
             "return_url": f"https://shop.example/{word('return')}",
             "expand[0]": "latest_charge", "expand[1]": "customer"}  # fmt: skip
    calls = len(shop.nodes[0].bank.calls)
    replayed = await post(shop, "/v1/payment_intents", key="pay-1", **again)
    assert (replayed["id"], replayed["metadata"]) == (ids["first"], {})
    assert replayed["customer"] == {"id": ids["customer"], "object": "customer", "deleted": True}
    assert len(shop.nodes[0].bank.calls) == calls
    for path in ("payment_intents", "charges", "refunds", "disputes", "events", "customers"):
        status, listed = await shop.ask("GET", f"/v1/{path}", {"limit": "100"})
        assert status == 200
        assert word.find(json.dumps(listed).encode()) == [], path
        if path in SHAPES:
            assert listed["data"] and msgspec.convert(listed["data"], list[SHAPES[path]])
    _, told = await shop.ask("GET", "/v1/events", {"type": "bailiwick.payment_intent.erased"})
    assert {each["data"]["object"]["id"] for each in told["data"]} == {
        ids["first"], ids["declined"], ids["guest"],
    }  # fmt: skip
    assert await sql.fetchval("SELECT count(*) FROM erasure") == 6, "the evidence's file too"
    assert await wrong(shop.nodes[0]) == {}


async def test_it_is_found_no_more_by_what_it_said(shop: Site, sql: asyncpg.Connection) -> None:
    word = Canaries()
    ids = await payer(shop, word, "1")
    await filled(*shop.nodes)
    by = {
        "payment_intents": f"metadata['{word('metadata key')}']:'{word('metadata')}'",
        "charges": f"metadata['a']:'{word('charge metadata')}'",
        "customers": f"email:'{word('email')}@example.com'",
    }
    for path, query in by.items():
        assert await search(shop, f"/v1/{path}/search", query), path
    await erase(shop.nodes[0], Asked((ids["customer"],), (ids["guest"],)))
    assert await sql.fetchval("SELECT count(*) FROM search_entry") == 0, "at once"
    await post(shop, "/v1/payment_intents", amount="700", currency="usd", **DE)  # so that it looks
    await filled(*shop.nodes)
    for path, query in by.items():
        assert await search(shop, f"/v1/{path}/search", query) == [], path
    found = await search(shop, "/v1/payment_intents/search", "currency:'eur'")
    assert {each["id"] for each in found} == {ids["first"], ids["declined"], ids["guest"]}


async def test_it_can_be_repeated(shop: Site, sql: asyncpg.Connection) -> None:
    ids = await payer(shop, Canaries(), "1")
    asked = Asked((ids["customer"],), (ids["guest"],))
    _, first = await erase(shop.nodes[0], asked)
    assert len(first.erased) == 4 and first.already == []
    rows = await sql.fetch("SELECT * FROM event ORDER BY subject, seq")
    seen, second = await erase(shop.nodes[0], asked)
    assert second.erased == [] and sorted(second.already) == sorted(first.erased)
    assert sorted(seen.before) == sorted(first.erased)
    assert await sql.fetch("SELECT * FROM event ORDER BY subject, seq") == rows
    # What came since goes too.
    await post(shop, f"/v1/payment_intents/{ids['guest']}", **{"metadata[a]": "Ann again"})
    assert await wrong(shop.nodes[0]) == {}
    _, third = await erase(shop.nodes[0], asked)
    assert third.erased == [ids["guest"]]
    assert await sql.fetchval("SELECT count(*) FROM event WHERE body LIKE '%Ann again%'") == 0
    assert await wrong(shop.nodes[0]) == {}


async def test_an_erased_payment_is_money_still(shop: Site, sql: asyncpg.Connection) -> None:
    made = await post(shop, "/v1/payment_intents", confirm="true", **words_of(Canaries()))
    await erase(shop.nodes[0], Asked(orders=(made["id"],)))
    refund = await post(shop, "/v1/refunds", payment_intent=made["id"])
    assert (refund["amount"], refund["status"]) == (1000, "succeeded")
    assert await wrong(shop.nodes[0]) == {}
    assert (await erase(shop.nodes[0], Asked(orders=(made["id"],))))[1].already == []


async def test_a_payer_is_found_by_an_address(shop: Site, sql: asyncpg.Connection) -> None:
    word = Canaries()
    ids = await payer(shop, word, "1")
    other = await post(shop, "/v1/payment_intents", **{
        **words_of(Canaries()), "metadata[agent]": f"{word('receipt')}@example.com",
    })  # fmt: skip
    mail = f"{word('receipt')}@EXAMPLE.com"
    seen, _ = await erase(shop.nodes[0], Asked(email=mail, merchant="acct_1"))
    assert seen.payer.orders == sorted([ids["first"], ids["declined"], ids["guest"]])
    assert seen.payer.named == [ids["customer"]] and seen.payer.customers == []
    assert other["id"] not in seen.payer.orders, "what metadata say is the merchant's business"
    mail = f"{word('email')}@example.com"
    seen, done = await erase(shop.nodes[0], Asked(email=mail, merchant="acct_2"))
    assert (seen.payer.customers, done.erased) == ([], [])
    seen, done = await erase(shop.nodes[0], Asked(email=mail, merchant="acct_1"))
    assert seen.payer.customers == [ids["customer"]]
    assert done.erased == [ids["customer"]]
    assert (await erase(shop.nodes[0], Asked(email=mail, merchant="acct_1")))[1].erased == []
    assert await wrong(shop.nodes[0]) == {}


def test_an_address_is_one_only_where_it_is_called_so() -> None:
    assert names_email({"a": [{"receipt_email": "A@b.example"}]}, "a@B.example")
    assert not names_email({"metadata": {"email": "a@b.example"}}, "a@b.example")
    assert not names_email({"description": "a@b.example"}, "a@b.example")


async def test_refused_while_anything_is_open(shop: Site, sql: asyncpg.Connection) -> None:
    bank = shop.nodes[0].bank
    wish = {**words_of(Canaries()), "confirm": "true"}
    held = await post(shop, "/v1/payment_intents", capture_method="manual", **wish)
    waits = await post(shop, "/v1/payment_intents", **{**wish, "confirm": "false"})
    bank.script["charge"].append("pending")  # type: ignore[index]
    asks = await post(shop, "/v1/payment_intents", **wish)
    done = await post(shop, "/v1/payment_intents", **wish)
    await sql.execute(
        "INSERT INTO review (subject, attempt, reason) SELECT subject, id, 'unresolved'"
        " FROM attempt WHERE subject = $1", done["id"],
    )  # fmt: skip
    rows = await sql.fetch("SELECT * FROM event ORDER BY subject, seq")
    for made, what in ((held, "requires_capture"), (waits, "requires_confirmation"),
                       (asks, "attempt"), (done, "review")):  # fmt: skip
        said = await command_says(
            "--dsn", shop.nodes[0].dsn, "--payment", made["id"], "--yes", "--json", status=1
        )
        shown = json.loads(said.output)
        assert [each["open"] for each in shown["open"]] == [what] and not shown["done"]
    assert await sql.fetch("SELECT * FROM event ORDER BY subject, seq") == rows
    assert await sql.fetchval("SELECT count(*) FROM erasure") == 0


async def test_refused_where_an_attempt_is_missing(shop: Site, sql: asyncpg.Connection) -> None:
    made = await post(shop, "/v1/payment_intents", confirm="true", **words_of(Canaries()))
    await sql.execute("DELETE FROM attempt")
    at = ("--dsn", shop.nodes[0].dsn, "--payment", made["id"])
    assert "is not found" in (await command_says(*at, "--yes", status=1)).output
    assert await sql.fetchval("SELECT count(*) FROM erasure") == 0


async def test_the_command(shop: Site, sql: asyncpg.Connection) -> None:
    word = Canaries()
    ids = await payer(shop, word, "1")
    dsns = [part for each in shop.nodes for part in ("--dsn", each.dsn)]
    who = ["--email", "-", "--merchant", "acct_1"]
    mail = f"{word('receipt')}@example.com\n"
    said = await command_says(*dsns[:2], *who, "--preview", given=mail)
    assert "No other node was looked at" in said.output and ids["guest"] in said.output
    assert f"not asked for: {ids['customer']}" in said.output
    assert await sql.fetchval("SELECT count(*) FROM erasure") == 0
    said = await command_says(*dsns, *who, "--yes", "--json", "--by", "officer", given=mail)
    shown = json.loads(said.output)
    assert shown["done"] and shown["nodes_not_looked_at"] == []
    assert [len(each["erased"]) for each in shown["nodes"]] == [3, 0]
    assert [each["number"] for each in shown["nodes"]] == [1, 2]
    noted = await sql.fetch("SELECT DISTINCT run, erased_by FROM erasure")
    assert [tuple(row) for row in noted] == [(shown["run"], "officer")]
    assert word.find(said.output.encode()) == [], "what was erased is told to nobody"
    said = await command_says(*dsns, "--customer", ids["customer"], given="y\n")
    assert "1 erased." in said.output and "Noted as er_" in said.output
    said = await command_says(*dsns, "--customer", "cus_none", "--yes", status=1)
    assert "known to no node" in said.output


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        ((), "--customer ID"),
        (("--email", "a@b.example"), "--merchant go together"),
        (("--payment", "pi_1", "--json"), "--yes or --preview"),
        (("--email", "nobody", "--merchant", "acct_1"), "an @"),
        (("--payment", "pi_1", "--dsn", "x", "--node", "a"), "leave out --node"),
    ],
)
async def test_what_the_command_does_not_do(arguments: tuple[str, ...], remedy: str) -> None:
    assert remedy in (await command_says(*arguments, status=1)).output


async def test_a_fenced_database_is_left_alone(shop: Site, sql: asyncpg.Connection) -> None:
    made = await post(shop, "/v1/payment_intents", confirm="true", **words_of(Canaries()))
    await sql.execute("UPDATE fence SET fenced_at = now()")
    at = ("--dsn", shop.nodes[0].dsn)
    said = await command_says(*at, "--payment", made["id"], "--yes", status=1)
    assert "fenced" in said.output


PLANTS = {
    "an event": """UPDATE event SET body = replace(body, '"metadata":{}', '"metadata":{"a":1}')
                    WHERE type = 'payment_intent.succeeded' """,
    "a content": """UPDATE event SET content = replace(content, '"progress":{',
                           '"progress":{"receipt_email":"a@b.example",')
                     WHERE content IS NOT NULL""",
    "an instruction": """UPDATE event SET instruction = '{"token":"pm_1"}'
                          WHERE instruction IS NOT NULL""",
    "what a bank said": """UPDATE attempt SET result = '{"message":"Ann has no money"}' """,
    "a refund": """UPDATE refund SET details = '{"metadata":{"a":"b"}}' """,
    "evidence": """UPDATE dispute SET details = '{"evidence":{"a":"b"}}' """,
    "a review": "UPDATE review SET note = 'Ann'",
    "a try": """INSERT INTO delivery_try (id, merchant, livemode, event, endpoint, subject, number,
                       resent, created_ms, took_ms, url, status, body, body_cut, follows)
                SELECT 'whd_1', merchant, livemode, id, 'we_1', subject, 1, 0, 1, 1, 'https://a',
                       200, 'Ann', false, 'delivered'
                  FROM event WHERE type = 'bailiwick.payment_intent.erased' LIMIT 1""",
    "a customer": """UPDATE record SET details = '{"name":"Ann"}' WHERE id LIKE 'cus%' """,
    "the event is another": "UPDATE erasure SET seq = seq - 1 WHERE subject LIKE 'pi%'",
}


@pytest.mark.parametrize("plant", PLANTS)
async def test_the_checker_sees_what_is_left(
    shop: Site, sql: asyncpg.Connection, plant: str
) -> None:
    ids = await payer(shop, Canaries(), "1")
    await talked_about(sql, Canaries(), ids)
    await erase(shop.nodes[0], Asked((ids["customer"],), (ids["guest"],)))
    assert await wrong(shop.nodes[0]) == {}
    async with sql.transaction():
        await sql.execute("SET LOCAL bailiwick.erasing = 'on'")
        done = await sql.execute(PLANTS[plant])
    assert not done.endswith(" 0")
    assert "erased_is_gone" in await wrong(shop.nodes[0])


@pytest.mark.parametrize(
    "change",
    [
        "type = 'x'",
        "seq = seq + 100",
        "created_ms = 0",
        "answer_body = '{}'",
        "body = NULL",
        "body = '{}' WHERE type = 'bailiwick.payment_intent.erased'",
        "body = '{}' WHERE subject NOT IN (SELECT subject FROM erasure)",
    ],
)
async def test_an_erasure_changes_nothing_else(
    shop: Site, sql: asyncpg.Connection, change: str
) -> None:
    made = await post(shop, "/v1/payment_intents", confirm="true", **words_of(Canaries()))
    await post(shop, "/v1/payment_intents", confirm="true", **words_of(Canaries()))
    await erase(shop.nodes[0], Asked(orders=(made["id"],)))
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await sql.execute(f"UPDATE event SET {change}")
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        async with sql.transaction():
            await sql.execute("SET LOCAL bailiwick.erasing = 'on'")
            await sql.execute(f"UPDATE event SET {change}")
