"""A provider that is slow, or turns requests away: what is bounded goes elsewhere, and is charged
once."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from bailiwick.channels.contract import Operation
from bailiwick.routing.gateways import Gateways
from bailiwick.routing.rest import WHY
from tests.postgres.gateways_kit import Site, gateway_of, started
from tests.postgres.node_kit import Bank, Region, body
from tests.postgres.rows_kit import sound
from tests.postgres.test_access_tokens import CALLBACKS, FIRST, KEYS, SECOND, Sandbox
from tests.store_kit import NodeStore
from tests.waiting import until


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    made = Sandbox(tmp_path, 3_600_000)
    yield made
    made.stop()


@pytest.fixture
async def site(tmp_path: Path, dsn: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A node whose second gateway is another provider's, and is asked first."""
    async with started(tmp_path, dsn, sandbox) as made:
        settings = {
            "channel": "sandbox_oauth", "kind": "domestic_platform", "priority": 1,
            "base_url": f"{sandbox.url}/{FIRST}",
        }  # fmt: skip
        values = {
            "client_id": FIRST, "client_secret": KEYS[FIRST], "callback_secret": CALLBACKS[FIRST],
        }  # fmt: skip
        await made.order("add", FIRST, settings=settings, values=values)
        yield made


async def once(site: Site, sql: asyncpg.Connection, count: int) -> None:
    """So many charges are at the providers, each booked."""
    taken = [*site.sandbox.taken(FIRST), *site.sandbox.taken(SECOND)]
    assert len(taken) == len(set(taken)) == count
    await sound(sql)


async def test_who_is_turned_away_rests_and_nobody_is_declined(
    site: Site, sql: asyncpg.Connection
) -> None:
    site.sandbox.fault("charge", "rate_limited", times=1, params={"retry_after_s": 60})
    assert gateway_of(await site.succeeded("k0")) == SECOND
    shown = await site.show(FIRST)
    assert shown["usage"] == WHY and shown["state"] == "enabled"
    for number in range(1, 20):
        assert gateway_of(await site.succeeded(f"k{number}")) == SECOND
    first = site.node.gateways.get(FIRST)
    assert first is not None and first.failures == 0, "a rest is no failure"
    assert site.sandbox.taken(FIRST) == []
    await once(site, sql, 20)


async def test_the_rest_ends(site: Site, sql: asyncpg.Connection) -> None:
    site.sandbox.fault("charge", "rate_limited", times=1, params={"retry_after_s": 1})
    assert gateway_of(await site.succeeded("k0")) == SECOND

    async def rested() -> bool:
        return bool((await site.show(FIRST))["usage"] == "open")

    await until(rested)
    assert gateway_of(await site.succeeded("k1")) == FIRST
    await once(site, sql, 2)


async def test_a_slow_provider_takes_no_more_calls_than_it_may(
    site: Site, sql: asyncpg.Connection
) -> None:
    await site.order("change", FIRST, settings={"calls_max": 3})
    rule = site.sandbox.fault("charge", "charge_then_hang")
    waiting = [asyncio.create_task(site.pay(f"slow{number}")) for number in range(3)]
    first = site.node.gateways.get(FIRST)
    assert first is not None
    await until(lambda: len(site.sandbox.taken(FIRST)) == 3)
    for number in range(20):
        assert gateway_of(await site.succeeded(f"k{number}")) == SECOND
    assert len(site.sandbox.taken(FIRST)) == 3
    site.sandbox.heal(rule)
    for number in range(3):
        await site.succeeded(f"slow{number}")
    await asyncio.gather(*waiting)
    await once(site, sql, 23)


async def test_retries_that_are_spent_end_as_the_decline_they_are(
    store: NodeStore, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No money has moved at the first: it is a definite no, told as it is."""
    first, second = Bank("first", priority=1), Bank("second", priority=2)
    region = Region(store, first, second)
    gateways = Gateways([], {}, "", retry_share=0.0)
    monkeypatch.setattr(gateways, "facts", region.banks.facts)
    monkeypatch.setattr(region.banks, "match", gateways.match)
    count = 105
    first.script[Operation.CHARGE] = ["retryable"] * count
    told = [body(await region.pay(f"k{number}")) for number in range(count)]
    taken = [each for each in told if each.get("status") == "succeeded"]
    refused = [each["error"]["code"] for each in told if "error" in each]
    assert (len(taken), refused) == (100, ["processing_error"] * 5)
    assert second.called(Operation.CHARGE) == 100 and gateways.retries.refused >= 5
    assert first.taken() == 0
    await sound(sql)
