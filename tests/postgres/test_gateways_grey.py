"""A provider of which a part fails: payments go elsewhere, none is charged twice, it comes back."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from bailiwick.routing.health.segments import ALL
from tests.postgres.gateways_kit import Site, gateway_of, started
from tests.postgres.rows_kit import sound
from tests.postgres.test_access_tokens import CALLBACKS, FIRST, KEYS, SECOND, Sandbox
from tests.waiting import until

TOGETHER = 4
"""Payments at a time: then there are enough in ten seconds to judge by."""


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


async def test_one_of_three_fails_and_the_other_takes_over(
    site: Site, sql: asyncpg.Connection
) -> None:
    """Charges that were carried out and whose answers were lost: the worst to try again."""
    first = site.node.gateways.get(FIRST)
    assert first is not None
    count = 0

    async def three(number: int) -> None:
        site.sandbox.fault("charge", "charge_then_500", times=1)
        for key in range(number, number + 3):
            await site.succeeded(f"k{key}")

    while not first.health.troubled:
        await asyncio.gather(*(three(count + 3 * number) for number in range(TOGETHER)))
        count += 3 * TOGETHER
        assert count < 600, "it was not seen"
    assert first.usage == "open", "it is not closed: it is asked last"
    site.sandbox.fault("charge", "charge_then_500")

    async def elsewhere() -> bool:
        """But for the trickle that tries it."""
        nonlocal count
        count += 1
        return gateway_of(await site.succeeded(f"k{count}")) == SECOND

    await until(elsewhere)
    assert (await site.show(FIRST))["health"][0]["state"] in ("closed", "trial")
    site.sandbox.heal()

    async def back() -> bool:
        nonlocal count
        count += 1
        await site.succeeded(f"back{count}")
        return not first.health.troubled

    await until(back)
    assert ALL not in first.health.demoted()
    await until(lambda: first.usage == "open")
    assert gateway_of(await site.succeeded("again")) == FIRST
    taken = [*site.sandbox.taken(FIRST), *site.sandbox.taken(SECOND)]
    paid = await sql.fetchval("SELECT count(*) FROM payment WHERE state = 'succeeded'")
    assert len(taken) == len(set(taken)) == paid
    await sound(sql)
    answer = await site.client.request("GET", b"/metrics", [], b"")
    assert b'node_gateway_lately{gateway="isar-pay",outcome="good"}' in answer.body


async def test_declines_of_payers_change_nothing(site: Site) -> None:
    for number in range(30):
        poor = "pm_card_chargeDeclinedInsufficientFunds"
        found = await site.pay(f"k{number}", payment_method=poor)
        assert found["error"]["decline_code"] == "insufficient_funds"
    assert gateway_of(await site.succeeded("k")) == FIRST
    shown = (await site.show(FIRST))["health"]
    assert [each["demoted"] for each in shown] == [None, None]
    assert (shown[1]["method"], shown[1]["country"]) == ("card", "DE")
