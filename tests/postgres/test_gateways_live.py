"""Gateways are added, changed, drained and given other credentials while payments run: what was
begun ends where it was begun, nothing is charged twice, and whoever comes second is told so."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.postgres.gateways_kit import INTERNAL, THIRD, VALUES, Site, gateway_of, started
from tests.postgres.rows_kit import sound
from tests.postgres.test_access_tokens import SECOND, Sandbox
from tests.waiting import until


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    made = Sandbox(tmp_path, 3_600_000)
    yield made
    made.stop()


@pytest.fixture
async def site(tmp_path: Path, dsn: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    async with started(tmp_path, dsn, sandbox) as made:
        yield made


async def again(site: Site) -> None:
    """Stop the node and start it on the same database."""
    await site.stop()
    await site.start()


async def test_one_is_added_and_takes_payments_at_once_and_after_a_restart(site: Site) -> None:
    assert gateway_of(await site.succeeded("k0")) == SECOND
    found = await site.order("add", THIRD, settings=site.third(), values=VALUES)
    assert (found["version"], found["usage"], found["source"]) == (1, "open", "added")
    assert gateway_of(await site.succeeded("k1")) == THIRD
    await again(site)
    assert [each["name"] for each in (await site.asked("list"))[1]["gateways"]] == [SECOND, THIRD]
    assert gateway_of(await site.succeeded("k2")) == THIRD


async def test_one_that_its_provider_refuses_is_not_added(site: Site) -> None:
    wrong = {**VALUES, "api_key": "wrong"}
    why = await site.refused("add", THIRD, settings=site.third(), values=wrong)
    assert "cannot be used so" in why and "wrong" not in why
    assert (await site.asked("show", THIRD))[0] == 404
    order = {"settings": site.third(), "values": wrong, "unchecked": True}
    found = await site.order("add", THIRD, **order)
    assert found["usage"] != "open"
    assert gateway_of(await site.succeeded("k0")) == SECOND
    await site.order("credentials", THIRD, values=VALUES, same_account=True)
    assert gateway_of(await site.succeeded("k1")) == THIRD


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"prioritie": 3}, "no setting of a gateway"),
        ({"channel": "nobody"}, "nobody"),
        ({"base_url": "ftp://bank"}, "must begin with"),
        ({"mode": "live"}, "live mode needs https"),
        ({"priority": -1}, "priority"),
        ({"secrets": {"api_key": "plain:x"}}, "given by themselves"),
        ({"channel": "sandbox_oauth", "vault": SECOND}, "knows no secret called api_key"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(site: Site, settings: dict, said: str) -> None:
    why = await site.refused("add", THIRD, settings=site.third(**settings), values=VALUES)
    assert said in why
    assert (await site.asked("list"))[1]["gateways"][0]["version"] == 0


@pytest.mark.parametrize("verb", ["drain", "disable"])
async def test_what_was_begun_there_is_ended_there(
    site: Site, sql: asyncpg.Connection, verb: str
) -> None:
    """A hold, a refund, an answer that got lost: all at a gateway that takes nothing new."""
    await site.order("add", THIRD, settings=site.third(), values=VALUES)
    held = await site.succeeded("hold", capture_method="manual")
    paid = await site.succeeded("paid")
    site.sandbox.call(
        "POST", "/faults", {"provider": SECOND, "operation": "charge", "kind": "reset_after"}
    )
    lost = await site.pay("lost")
    found = await site.order(verb, THIRD)
    assert {gateway_of(each) for each in (held, paid)} == {THIRD}
    assert found["state"] == {"drain": "draining", "disable": "disabled"}[verb]
    site.sandbox.call("DELETE", "/faults")
    assert gateway_of(await site.succeeded("new")) == SECOND
    captured = await site.post(f"/v1/payment_intents/{held['id']}/capture", "capture")
    assert captured["status"] == "succeeded"
    refund = await site.post("/v1/refunds", "refund", payment_intent=paid["id"])
    assert refund["status"] == "succeeded"
    ended = await site.succeeded("lost")
    assert ended["id"] == lost["id"] and gateway_of(ended) == THIRD
    await until(lambda: _drained(site))
    taken = site.sandbox.taken(SECOND)
    booked = await sql.fetch(
        "SELECT id FROM attempt WHERE operation = 'charge' AND state = 'approved'"
    )
    assert len(taken) == len(set(taken)) and set(taken) <= {row["id"] for row in booked}
    await sound(sql)
    await again(site)
    assert gateway_of(await site.succeeded("later")) == SECOND
    await site.order("enable", THIRD)
    assert gateway_of(await site.succeeded("enabled")) == THIRD


async def _drained(site: Site) -> bool:
    return bool((await site.show(THIRD))["drained"])


async def test_settings_change_under_load_and_none_fails(
    site: Site, sql: asyncpg.Connection
) -> None:
    """Light changes and new connections, again and again, while a crowd pays."""
    await site.order("add", THIRD, settings=site.third(), values=VALUES)
    over = asyncio.Event()
    keys: list[str] = []

    async def crowd(name: str) -> None:
        while not over.is_set():
            keys.append(f"{name}-{len(keys)}")
            await site.succeeded(keys[-1])

    payers = [asyncio.create_task(crowd(f"p{number}")) for number in range(4)]
    for number in range(6):
        await site.order("change", THIRD, settings={"priority": number * 2 + 1})
        await site.order("change", THIRD, settings={"connections_max": 8 + number})
    over.set()
    await asyncio.gather(*payers)
    taken = site.sandbox.taken(SECOND)
    assert len(taken) == len(set(taken)) == len(keys)
    await sound(sql)
    assert (await site.show(THIRD))["version"] == 13


async def test_a_setting_of_the_file_is_changed_and_given_back(site: Site) -> None:
    await site.order("change", SECOND, settings={"currencies": ["USD"], "priority": 9})
    found = await site.show(SECOND)
    assert found["changed"] == ["currencies", "priority"] and found["version"] == 1
    refused = await site.pay("k0")
    assert refused["error"]["code"]
    await again(site)
    assert (await site.show(SECOND))["settings"]["currencies"] == ["USD"]
    await site.order("change", SECOND, unset=["currencies"])
    found = await site.show(SECOND)
    assert (found["settings"]["currencies"], found["settings"]["priority"]) == ([], 9)
    assert gateway_of(await site.succeeded("k1")) == SECOND


@pytest.mark.parametrize(
    "name", ["base_url", "channel", "mode", "options", "vault", "visibility_ms", "name", "secrets"]
)
async def test_what_says_whom_to_ask_about_open_payments_stays(site: Site, name: str) -> None:
    """Were a charge that is unknown asked for elsewhere, it would be said not to be there."""
    for order in ({"settings": {name: "other"}}, {"unset": [name]}):
        assert "stays as it is" in await site.refused("change", SECOND, **order)


async def test_credentials_of_maybe_another_account_are_refused(site: Site) -> None:
    why = await site.refused("credentials", SECOND, values=VALUES)
    assert "same account" in why
    why = await site.refused("credentials", SECOND, values={"pin": "1"}, same_account=True)
    assert "no secret called pin" in why


async def test_who_comes_second_is_refused(site: Site) -> None:
    first, second = await asyncio.gather(
        site.asked("change", SECOND, version=0, settings={"priority": 7}),
        site.asked("change", SECOND, version=0, settings={"priority": 8}),
    )
    assert sorted([first[0], second[0]]) == [200, 409]
    lost = first if first[0] == 409 else second
    assert lost[1]["error"]["code"] == "gateway_changed"
    found = await site.show(SECOND)
    assert found["version"] == 1 and len(found["changes"]) == 1
    assert (await site.asked("disable", SECOND, version=0))[0] == 409


async def test_another_process_of_the_node_finds_it_within_a_look(
    site: Site, tmp_path: Path, dsn: str, sandbox: Sandbox
) -> None:
    (tmp_path / "b").mkdir()
    async with started(tmp_path / "b", dsn, sandbox) as other:
        other.key.write_text(site.key.read_text())
        await other.stop()
        await other.start()
        await site.order("add", THIRD, settings=site.third(), values=VALUES)

        async def there() -> bool:
            return gateway_of(await other.succeeded(f"k{other.count}")) == THIRD

        async def counted() -> bool:
            other.count += 1
            return await there()

        await until(counted)
        await other.order("disable", THIRD)

        async def told() -> bool:
            return bool((await site.show(THIRD))["state"] == "disabled")

        await until(told)


async def test_a_fenced_node_changes_nothing(site: Site, sql: asyncpg.Connection) -> None:
    await sql.execute("UPDATE fence SET fenced_at = now()")
    assert "fenced" in await site.refused("change", SECOND, settings={"priority": 7})
    await sql.execute("UPDATE fence SET fenced_at = NULL")
    assert (await site.show(SECOND))["settings"]["priority"] == 5


async def test_only_operators_may_ask_and_each_question_once(site: Site) -> None:
    status, found = await site.asked("list", secret="another")
    assert status == 403 and "seal" in found["error"]["message"]
    status, _ = await site.asked("list")
    assert status == 200
    site.count -= 1
    status, found = await site.asked("list")
    assert status == 400 and "was asked" in found["error"]["message"]
    status, found = await site.asked("disable", SECOND, by=" ")
    assert status == 400 and found["error"]["param"] == "by"
    assert INTERNAL not in str(found)
