"""Setups through access, and what the tests hold them against."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bailiwick.channels.contract import CallbackEvent, Instruction, Operation, Result
from bailiwick.orders import attempt_store
from bailiwick.orders.callbacks import Callbacks
from bailiwick.orders.resolver import Resolver
from tests.postgres.lists_kit import One, Site, site
from tests.postgres.test_customers import DE, customer, post

SETUPS = "/v1/setup_intents"
VISA = {"payment_method": "pm_card_visa"}
NOW = {**VISA, "confirm": "true"}


@pytest.fixture
async def shop(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    """Two nodes and access to them."""
    async with site(server_dsn, tmp_path, ("europe", "apac")) as made:
        yield made


async def setup(shop: Site, **params: Any) -> Any:
    """A setup in Germany."""
    return await post(shop, SETUPS, **{**DE, **params})


async def ann(shop: Site) -> str:
    """A customer, by its id."""
    return str((await customer(shop))["id"])


async def get(shop: Site, path: str, **params: Any) -> Any:
    """What a GET tells, which must succeed."""
    status, said = await shop.ask("GET", path, params)
    assert status == 200, said
    return said


async def refusal(
    shop: Site, params: dict[str, Any], path: str = SETUPS, **how: Any
) -> tuple[int, str, str]:
    """Status, code and parameter of an error."""
    given = {**DE, **params} if path == SETUPS else params
    status, said = await shop.ask("POST", path, given, **how)
    assert "error" in said, said
    return status, said["error"].get("code", ""), said["error"].get("param", "")


def asked(one: One, operation: Operation = Operation.SETUP) -> list[Instruction]:
    """What the bank of a node was asked."""
    return [each for each in one.bank.calls if each.operation is operation]


async def resolve(one: One, attempt: str) -> None:
    """Have the resolver look at an attempt."""
    found = await attempt_store.find(one.node.store, attempt)
    assert found is not None
    await Resolver(one.node.machine, 0.01).resolve(found)


async def tell(one: One, reference: str, result: Result, notice: str = "n1") -> str:
    """A callback of the bank about a setup."""
    event = CallbackEvent(notice, Operation.SETUP, reference, result.provider_ref, result)
    taken = Callbacks(one.node.machine)
    return await taken.take("bank", {"signature": "genuine"}, msgspec.json.encode(event))
