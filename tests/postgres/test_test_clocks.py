"""Test clocks, through access: what time does to a clock's customers and payments, and to nobody
else's."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from bailiwick.resources.test_clocks.advancing import Advancing
from bailiwick.resources.test_clocks.commands import STEP_MOST_S
from tests.postgres.lists_kit import One, Site, site
from tests.postgres.node_kit import PROFILE

DE = {"location[country]": "DE"}
IN = {"location[country]": "IN"}
CLOCKS = "/v1/test_helpers/test_clocks"
START = 1_700_000_000
HOLD_S = 7 * 86_400
HELD = {
    "amount": 1000, "currency": "eur", "confirm": "true", "payment_method": "pm_card_visa",
    "capture_method": "manual", **DE,
}  # fmt: skip


@pytest.fixture
async def shop(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with site(server_dsn, tmp_path, ("europe", "apac")) as made:
        for each in made.nodes:
            each.bank.profile = msgspec.structs.replace(PROFILE, hold_ms=HOLD_S * 1000)
        yield made


async def post(shop: Site, path: str, **params: Any) -> Any:
    status, said = await shop.ask("POST", path, params)
    assert status == 200, said
    return said


async def clock(shop: Site, **params: Any) -> str:
    given = {"frozen_time": START, **DE, **params}
    return str((await post(shop, CLOCKS, **given))["id"])


async def customer(shop: Site, **params: Any) -> str:
    return str((await post(shop, "/v1/customers", **{**DE, **params}))["id"])


async def held(shop: Site, of: str) -> str:
    made = await post(shop, "/v1/payment_intents", **HELD, customer=of)
    assert made["status"] == "requires_capture"
    return str(made["id"])


async def advance(shop: Site, which: str, to: int) -> Any:
    """To a time; the clock as it is then."""
    begun = await post(shop, f"{CLOCKS}/{which}/advance", frozen_time=to)
    assert begun["status"] == "advancing"
    assert begun["status_details"] == {"advancing": {"target_frozen_time": to}}
    for each in shop.nodes:
        await step(each)
    return (await shop.ask("GET", f"{CLOCKS}/{which}"))[1]


async def step(at: One) -> None:
    await Advancing(at.node.machine).step()


async def status(shop: Site, payment: str) -> str:
    return str((await shop.ask("GET", f"/v1/payment_intents/{payment}"))[1]["status"])


async def refused(shop: Site, path: str, params: dict[str, Any], **how: Any) -> tuple[int, str]:
    found, said = await shop.ask("POST", path, params, **how)
    assert found >= 400, said
    return found, str(said["error"].get("param") or said["error"].get("code"))


async def test_time_passes_for_what_is_on_the_clock_alone(shop: Site) -> None:
    which = await clock(shop, name="a week")
    on, off = await customer(shop, test_clock=which), await customer(shop)
    one, other = await held(shop, on), await held(shop, off)
    shown = await advance(shop, which, START + HOLD_S - 3600)
    assert (shown["status"], shown["frozen_time"]) == ("ready", START + HOLD_S - 3600)
    assert shown["status_details"] == {} and shown["name"] == "a week"
    assert await status(shop, one) == "requires_capture"
    later = await held(shop, on)
    await advance(shop, which, START + HOLD_S)
    ended = (await shop.ask("GET", f"/v1/payment_intents/{one}"))[1]
    assert (ended["status"], ended["cancellation_reason"]) == ("canceled", "expired")
    assert await status(shop, later) == "requires_capture", "an hour has passed for it"
    await advance(shop, which, START + 2 * HOLD_S)
    assert await status(shop, later) == "canceled"
    assert await status(shop, other) == "requires_capture"
    events = (await shop.ask("GET", "/v1/events", {"limit": "100"}))[1]["data"]
    told = [each["type"] for each in events if each["data"]["object"]["id"] == which]
    one_move = ["test_helpers.test_clock.ready", "test_helpers.test_clock.advancing"]
    assert told == [*one_move * 3, "test_helpers.test_clock.created"]


async def test_webhooks_are_tried_sooner_by_as_much(shop: Site) -> None:
    which = await clock(shop)
    on, off = await customer(shop, test_clock=which), await customer(shop)
    one, other = await held(shop, on), await held(shop, off)
    sql = await asyncpg.connect(shop.nodes[0].dsn)
    try:
        for subject in (one, other, on):
            await sql.execute(
                "INSERT INTO delivery (event, endpoint, subject, seq, next_at) "
                "SELECT id, 'we_1', subject, seq, now() + '5 h' FROM event WHERE subject = $1",
                subject,
            )
        await advance(shop, which, START + 6 * 3600)
        due = await sql.fetch("SELECT DISTINCT subject FROM delivery WHERE next_at < now()")
        assert {each["subject"] for each in due} == {one, on}
        # What was found advancing before, and is done, is not done again.
        rows = await sql.fetch("SELECT next_at FROM delivery ORDER BY event")
        await step(shop.nodes[0])
        assert await sql.fetch("SELECT next_at FROM delivery ORDER BY event") == rows
    finally:
        await sql.close()


async def test_what_cannot_be_meant_is_refused(shop: Site) -> None:
    which = await clock(shop)
    path = f"{CLOCKS}/{which}/advance"
    live = {"key": "sk_live_first"}
    assert await refused(shop, CLOCKS, {"frozen_time": START, **DE}, **live) == (
        400, "livemode_mismatch",
    )  # fmt: skip
    for to in (START, START - 1, START + STEP_MOST_S + 1):
        assert await refused(shop, path, {"frozen_time": to}) == (400, "frozen_time")
    assert (await refused(shop, path, {"frozen_time": START + 1}, key="sk_test_other"))[0] == 404
    at = {"test_clock": which}
    for given, how in (
        ({**at, **DE}, {"key": "sk_test_other"}), ({**at, **DE}, live), ({**at, **IN}, {}),
        ({"test_clock": "clock_none", **DE}, {}), ({"test_clock": "cus_1", **DE}, {}),
    ):  # fmt: skip
        assert await refused(shop, "/v1/customers", given, **how) == (400, "test_clock")
    await post(shop, path, frozen_time=START + 1)
    assert await refused(shop, path, {"frozen_time": START + 2}) == (400, "test_clock_advancing")
    assert await refused(shop, "/v1/customers", {**at, **DE}) == (400, "test_clock")
    await step(shop.nodes[0])
    assert await customer(shop, test_clock=which)


async def test_a_clock_is_found_and_goes_with_its_customers(shop: Site) -> None:
    first, second = await clock(shop), await clock(shop, **IN)
    found = await shop.walk(CLOCKS, limit=1)
    assert sorted(found) == sorted([first, second])
    on, off = await customer(shop, test_clock=first), await customer(shop)
    shown = (await shop.ask("GET", f"/v1/customers/{on}"))[1]
    assert shown["test_clock"] == first
    mine = (await shop.ask("GET", "/v1/customers", {"test_clock": first}))[1]["data"]
    assert [each["id"] for each in mine] == [on]
    assert (await shop.ask("DELETE", f"{CLOCKS}/{first}"))[1] == {
        "id": first, "object": "test_helpers.test_clock", "deleted": True,
    }  # fmt: skip
    assert (await shop.ask("GET", f"/v1/customers/{on}"))[1] == {
        "id": on, "object": "customer", "deleted": True,
    }  # fmt: skip
    assert (await shop.ask("GET", f"/v1/customers/{off}"))[1]["id"] == off
    assert (await shop.ask("GET", f"{CLOCKS}/{first}"))[1]["deleted"]
    assert (await refused(shop, f"{CLOCKS}/{first}/advance", {"frozen_time": START + 9}))[0] == 404
    assert await shop.walk(CLOCKS) == [second]
