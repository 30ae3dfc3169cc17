"""The checker, a real node and the sandbox's real books: what a provider refuses is in no books."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bailiwick.channels.contract import Account
from bailiwick.checker.places import NodePlace, Places
from bailiwick.checker.run import Wanted, check
from bailiwick.node.config import Loaded
from bailiwick.routing.gateways import Gateways
from bailiwick.routing.settings import GatewaySettings
from tests.postgres.lists_kit import Site, site
from tests.unit.test_sandbox_process import BANK, Sandbox


@pytest.fixture
def sandbox(tmp_path: Path) -> Any:
    """The bank as a process, with empty books."""
    made = Sandbox(tmp_path)
    yield made
    made.stop()


@pytest.fixture
async def it(server_dsn: str, tmp_path: Path, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A node whose gateway is connected to it: its credentials are checked."""
    (tmp_path / "world").mkdir()
    async with site(server_dsn, tmp_path / "world", ("europe",)) as made:
        node = made.nodes[0].node
        url = f"{sandbox.url}/{BANK}"
        secrets = {each.name: each for each in sandbox.config.providers}[BANK]
        account = Account(
            "bank", url,
            {"api_key": secrets.api_key, "callback_secret": secrets.callback_secret},
        )  # fmt: skip
        gateway = GatewaySettings(
            name="bank", channel="sandbox", kind="large_domestic_bank", base_url=url
        )
        settings = msgspec.structs.replace(node.settings, gateways=[gateway])
        loaded = Loaded(settings, {"bank": account}, b"internal", tmp_path / "world")
        gateways = Gateways(
            settings.gateways, loaded.accounts, "http://127.0.0.1:1/v1/callbacks", lambda: False
        )
        await gateways.connect()
        made.nodes[0].use(gateways)
        yield made
        await gateways.close()


async def verdict(it: Site, sandbox: Sandbox) -> dict[str, list[str]]:
    """What the checker finds wrong."""
    node = it.nodes[0]
    place = NodePlace(node.name, node.dsn, {"bank": BANK})
    found = await check(Wanted(Places([place], f"{sandbox.url}/books")))
    assert found.attempts > 0
    return {
        each.name: [f"{one.id} {one.wrong}" for one in each.violations]
        for each in found.findings.all()
        if each.count
    }


async def pay(it: Site, method: str = "pm_card_visa") -> Any:
    wish = {"amount": 1000, "currency": "eur", "confirm": "true", "payment_method": method,
            "location[country]": "DE"}  # fmt: skip
    return await it.ask("POST", "/v1/payment_intents", wish)


async def test_refusals_before_anything_is_in_the_books(it: Site, sandbox: Sandbox) -> None:
    status, body = await pay(it, "pm_card_nobody_knows_it")
    assert status == 400, body
    assert await verdict(it, sandbox) == {}
    for kind in ("credentials_revoked", "rate_limited"):
        sandbox.fault("charge", kind)
        assert (await pay(it))[0] >= 400
        assert await verdict(it, sandbox) == {}
    assert sandbox.call("GET", "/books")[1]["charges"] == []


async def test_what_only_the_provider_has_is_a_violation(it: Site, sandbox: Sandbox) -> None:
    assert (await pay(it, "pm_card_chargeDeclined"))[0] == 402
    assert (await pay(it))[0] == 200
    assert await verdict(it, sandbox) == {}
    sandbox.call("POST", f"/{BANK}/charges", {"reference": "refused"})  # moves nothing, is no row
    assert await verdict(it, sandbox) == {}
    sandbox.charge("ch_taken")
    # The bank was asked for money, and might have said yes.
    sandbox.charge("ch_declined", "pm_card_chargeDeclined")
    wrong = await verdict(it, sandbox)
    assert set(wrong) == {"no_call_without_attempt"}
    assert {each.partition(" ")[0] for each in wrong["no_call_without_attempt"]} == {
        "ch_taken", "ch_declined",
    }  # fmt: skip
