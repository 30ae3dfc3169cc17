"""Events that are sent again: one by the API, many by an operator; the log of before stays."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from click.testing import CliRunner

from bailiwick.base.clock import now_ms
from bailiwick.base.ids import new_id
from bailiwick.cli.main import bailiwick
from tests.postgres.hooks_kit import delivering, endpoint, owe, owed, sink, until, until_paid
from tests.postgres.lists_kit import One, Site, site
from tests.postgres.test_webhook_log import event_at, tries
from tests.store_kit import NodeStore

UUID = "00000000-0000-0000-0000-00000000000%d"


async def again(store: NodeStore, event: str, to: str, key: int, seq: int = 1) -> Any:
    return await store.row("delivery_resend", event, to, "pi_1", seq, UUID % key)


async def test_a_further_sending_keeps_the_log_of_the_first(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    async with sink() as server:
        to = await endpoint(sql, "acct_a", server.url("/a"))
        (event,) = await owe(sql, to, 1)
        async with delivering(store):
            await until_paid(sql, to)
            for key in (1, 1, 2):
                done = await again(store, event, to, key)
                assert done["open"]
                await until_paid(sql, to)
                assert not (await again(store, event, to, key))["sent"], "the same request"
        assert server.seen("came", "/a") == [event] * 3
    kept = [(row["number"], row["resent"], row["follows"]) for row in await tries(sql)]
    assert kept == [(1, 0, "delivered"), (2, 1, "delivered"), (3, 2, "delivered")]


async def test_one_that_fails_again_has_tries_of_its_own(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    """Given up after a long time, it does not come to its end at the first failure."""
    async with sink() as server:
        to = await endpoint(sql, "acct_a", server.url("/broken"))
        (event,) = await owe(sql, to, 1)
        await sql.execute(
            "UPDATE delivery SET next_at = NULL, done_at = now(), tries = 40, status = 500,"
            " begun_at = now() - interval '80 h'"
        )
        assert (await again(store, event, to, 1))["sent"]
        async with delivering(store):
            await until(lambda: server.seen("answered", "/broken"))
            while not await tries(sql):
                await asyncio.sleep(0.01)
    (row,) = await tries(sql)
    assert (row["number"], row["resent"], row["follows"]) == (41, 1, "retry")
    assert await owed(sql, to) == 1


async def test_what_is_sent_again_holds_up_nothing_and_waits_for_nothing(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    async with sink() as server:
        to = await endpoint(sql, "acct_a", server.url("/a"))
        first, second, third = await owe(sql, to, 1, versions=3)
        subject = await sql.fetchval("SELECT subject FROM delivery LIMIT 1")
        await sql.execute(
            "UPDATE delivery SET next_at = NULL, status = 200 WHERE event = $1", first
        )
        await store.row("delivery_resend", first, to, subject, 1, UUID % 1)
        # The one that is sent again has failed, and waits for its next try.
        await sql.execute(
            "UPDATE delivery SET next_at = now() + interval '1 h' WHERE event = $1", first
        )
        async with delivering(store):
            await until(lambda: len(server.seen("came", "/a")) == 2)
        assert server.seen("came", "/a") == [second, third], "in order among themselves"
        await sql.execute("UPDATE delivery SET next_at = now() WHERE event = $1", first)
        await sql.execute(
            "UPDATE delivery SET next_at = now() + interval '1 h' WHERE event = $1", second
        )
        async with delivering(store):
            await until(lambda: len(server.seen("came", "/a")) == 3)
        assert server.seen("came", "/a")[2] == first


async def test_one_that_is_owed_comes_at_once_unless_it_is_under_way(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    async with sink() as server:
        to = await endpoint(sql, "acct_a", server.url("/a"))
        server.statuses = [500]
        (event,) = await owe(sql, to, 1)
        async with delivering(store):
            while not await tries(sql):
                await asyncio.sleep(0.01)
        await sql.execute("UPDATE delivery SET next_at = now() + interval '4 h'")
        assert (await again(store, event, to, 1))["sent"]
        due = await sql.fetchrow("SELECT next_at <= now() AS due, resent, tries FROM delivery")
        assert tuple(due) == (True, 0, 1), "the same sending, sooner"
        await store.rows("deliveries_due", [to], [1], 60_000, 1)
        leased = await sql.fetchval("SELECT next_at FROM delivery")
        assert not (await again(store, event, to, 2))["sent"]
        assert await sql.fetchval("SELECT next_at FROM delivery") == leased


async def test_a_fenced_node_sends_nothing_again(store: NodeStore, sql: asyncpg.Connection) -> None:
    await sql.execute("UPDATE fence SET fenced_at = now()")
    assert tuple(await again(store, "evt_1", "we_1", 1)) == (False, False)
    assert await sql.fetchval("SELECT count(*) FROM delivery") == 0


# --- by the API --------------------------------------------------------------------------------


@pytest.fixture
async def two(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with site(server_dsn, tmp_path, ("europe", "asia")) as made:
        yield made


async def hook(two: Site, **form: str) -> str:
    wish = {"url": "https://shop.example/hooks", "enabled_events[0]": "*", **form}
    status, made = await two.ask("POST", "/v1/webhook_endpoints", wish)
    assert status == 200, made
    return str(made["id"])


async def asked_at(one: One) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(one.dsn)
    try:
        return [
            tuple(row) for row in await connection.fetch("SELECT event, endpoint FROM delivery")
        ]
    finally:
        await connection.close()


async def test_an_event_goes_to_an_endpoint_as_the_format_s_tool_asks(two: Site) -> None:
    to, event = await hook(two), await event_at(two.nodes[1])
    form = {"webhook_endpoint": to}
    for _ in range(2):
        status, body = await two.ask(
            "POST", f"/v1/events/{event}/retry", form, headers={"idempotency-key": "again-1"}
        )
        assert (status, body["object"], body["id"]) == (200, "event", event)
        assert body["pending_webhooks"] == 1
    assert await asked_at(two.nodes[1]) == [(event, to)]
    assert await asked_at(two.nodes[0]) == []


async def test_what_is_not_sent_again(two: Site) -> None:
    to, event = await hook(two), await event_at(two.nodes[0])
    off = await hook(two)
    await two.ask("POST", f"/v1/webhook_endpoints/{off}", {"disabled": "true"})
    old = new_id("evt", 1, now_ms() - 31 * 86_400_000)
    connection = await asyncpg.connect(two.nodes[0].dsn)
    await connection.execute(
        "INSERT INTO event (id, subject, seq, merchant, livemode, type, body, writer, created_ms)"
        " VALUES ($1, 'pi_1', 1, 'acct_1', false, 'x', '{}', 1, 0)", old,
    )  # fmt: skip
    await connection.close()
    path = f"/v1/events/{event}/retry"
    for target, form, key, expected, param in (
        (path, {}, "sk_test_first", 400, "webhook_endpoint"),
        (path, {"webhook_endpoint": "we_1"}, "sk_test_first", 404, "webhook_endpoint"),
        (path, {"webhook_endpoint": off}, "sk_test_first", 400, "webhook_endpoint"),
        (path, {"webhook_endpoint": to, "account": "acct_1"}, "sk_test_first", 400, "account"),
        (path, {"webhook_endpoint": to, "for_stripecli": "true"}, "sk_test_first", 400,
         "for_stripecli"),
        (path, {"webhook_endpoint": to}, "sk_test_other", 404, "id"),
        (path, {"webhook_endpoint": to}, "sk_live_first", 404, "id"),
        (f"/v1/events/{old}/retry", {"webhook_endpoint": to}, "sk_test_first", 400, "id"),
        (f"/v1/events/{new_id('evt', 1, 5)}/retry", {"webhook_endpoint": to}, "sk_test_first",
         404, "id"),
    ):  # fmt: skip
        status, body = await two.ask("POST", target, form, key=key)
        assert (status, body["error"]["param"]) == (expected, param), form
    assert await asked_at(two.nodes[0]) == []


# --- by an operator ----------------------------------------------------------------------------


async def fill(sql: asyncpg.Connection) -> dict[str, str]:
    """Six events of a merchant, each delivered, given up, owed or never owed; one of another."""
    now = now_ms()
    found = {}
    for number, (word, type_, merchant) in enumerate(
        (
            ("early", "refund.created", "acct_a"),
            ("delivered", "payment_intent.succeeded", "acct_a"),
            ("given up", "payment_intent.succeeded", "acct_a"),
            ("owed", "payment_intent.succeeded", "acct_a"),
            ("never", "refund.created", "acct_a"),
            ("ours", "bailiwick.late_success", "acct_a"),
            ("other", "refund.created", "acct_b"),
        )
    ):
        at = now - (7_200_000 if word == "early" else 60_000 - number)
        found[word] = new_id("evt", 1, at)
        await sql.execute(
            "INSERT INTO event (id, subject, seq, merchant, livemode, type, body, writer,"
            " created_ms) VALUES ($1, $2, 1, $3, false, $4, '{}', 1, $5)",
            found[word], f"pi_{number}", merchant, type_, at,
        )  # fmt: skip
    return found


async def run(dsn: str, *words: str) -> tuple[int, Any]:
    called = ["webhooks", "resend", "--dsn", dsn, "--json", *words]
    result = await asyncio.to_thread(CliRunner().invoke, bailiwick, called)
    return result.exit_code, json.loads(result.output) if result.exit_code == 0 else result.output


async def test_many_are_sent_again_by_an_operator(
    dsn: str, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bailiwick.cli.webhooks.resending.BATCH", 2)
    events = await fill(sql)
    to = await endpoint(sql, "acct_a", "https://shop.example/")
    for word, status in (("delivered", 200), ("given up", 500), ("owed", None)):
        await sql.execute(
            "INSERT INTO delivery (event, endpoint, subject, seq, next_at, status)"
            " VALUES ($1, $2, 'pi', 1, CASE WHEN $3::int IS NULL THEN now() END, $3)",
            events[word], to, status,
        )  # fmt: skip

    async def sent() -> set[str]:
        rows = await sql.fetch("SELECT event FROM delivery WHERE resent > 0")
        names = {identifier: word for word, identifier in events.items()}
        return {names[row[0]] for row in rows}

    base = ("--endpoint", to, "--since", "1h")
    code, told = await run(dsn, *base, "--dry-run")
    assert (code, told["events"], told["dry_run"]) == (0, 3, True)
    assert await sent() == set()
    assert (await run(dsn, *base, "--failed"))[1]["events"] == 1
    assert await sent() == {"given up"}
    assert (await run(dsn, *base, "--type", "refund.*"))[1]["events"] == 1
    assert await sent() == {"given up", "never"}
    assert (await run(dsn, *base))[1]["events"] == 1, "what is owed is left as it is"
    assert await sent() == {"given up", "never", "delivered"}
    assert (await run(dsn, *base, "--type", "bailiwick.late_success"))[1]["events"] == 1
    assert (await run(dsn, "--endpoint", to, "--since", "3h"))[1]["events"] == 1
    assert await sent() == {"given up", "never", "delivered", "ours", "early"}


async def test_what_an_operator_is_told(dsn: str, sql: asyncpg.Connection) -> None:
    to = await endpoint(sql, "acct_a", "https://shop.example/")
    for words, said in (
        (("--endpoint", "we_1", "--since", "1h"), "no webhook endpoint's id"),
        (("--endpoint", new_id("we", 0, 5), "--since", "1h"), "there is no webhook endpoint"),
        (("--endpoint", to, "--since", "yesterday"), "is no time"),
        (("--endpoint", to, "--since", "2026-11-29T10:00"), "has no zone"),
        (("--endpoint", to, "--since", "1h", "--until", "2h"), "later than"),
        (("--endpoint", to, "--since", "1h", "--type", "zebra.*"), "no event type"),
    ):
        code, output = await run(dsn, *words)
        assert code == 1 and said in output, output
    await sql.execute("UPDATE webhook_endpoint SET status = 'disabled'")
    assert "is disabled" in (await run(dsn, "--endpoint", to, "--since", "1h"))[1]
    await sql.execute("UPDATE webhook_endpoint SET status = 'enabled'")
    await sql.execute("UPDATE fence SET fenced_at = now()")
    code, output = await run(dsn, "--endpoint", to, "--since", "2026-01-01T00:00Z")
    assert code == 1 and "is fenced" in output
