"""Routing rules at a node: they choose the gateways of payments, a cascade keeps to them, and what
became of payments is learnt from."""

from typing import Any

import asyncpg
import pytest

from bailiwick.channels.contract import Operation
from bailiwick.resources.payments.methods.params import CardOptions, MethodOptions
from bailiwick.topology.routes.reading import parse
from bailiwick.topology.routes.table import RoutingTable
from tests.postgres.node_kit import MERCHANT, Bank, Region, body
from tests.postgres.rows_kit import sound
from tests.store_kit import NodeStore

PAYMENTS_MAX = 600
IN_A_ROW = 15


def rules(text: str) -> RoutingTable:
    return parse(text.encode(), merchants={MERCHANT.id}, groups={})


@pytest.fixture
def three(store: NodeStore, bank: Bank) -> tuple[Region, Bank, Bank, Bank]:
    second, third = Bank("second", priority=2), Bank("third", priority=3)
    return Region(store, bank, second, third), bank, second, third


def routed(answer: Any) -> tuple[str, str | None]:
    found = body(answer)
    routing = found.get("routing") or found["error"]["payment_intent"]["routing"]
    return routing["gateway"], routing.get("rule")


async def test_a_payment_goes_by_the_first_rule_that_it_meets(
    three: tuple[Region, Bank, Bank, Bank], sql: asyncpg.Connection
) -> None:
    region, *_ = three
    assert routed(await region.pay("k0")) == ("bank", None)
    region.banks.table = rules(
        f"""
        [[rules]]
        name = "gold"
        merchants = ["{MERCHANT.id}"]
        metadata = {{ tier = "gold" }}
        gateways = ["third"]
        [[rules]]
        name = "by-card"
        bins = ["400000-400099"]
        issuer_countries = ["FR"]
        gateways = ["second"]
        """
    )
    assert routed(await region.pay("k1", metadata={"tier": "gold"})) == ("third", "gold")
    told = MethodOptions(card=CardOptions(bin="40000055", issuer_country="FR"))
    by_card = await region.pay("k2", payment_method_options=told)
    assert routed(by_card) == ("second", "by-card")
    assert routed(await region.pay("k3", metadata={"tier": "silver"})) == ("bank", None)
    await sound(sql)


async def test_a_cascade_stays_within_the_rule(
    three: tuple[Region, Bank, Bank, Bank], sql: asyncpg.Connection
) -> None:
    region, bank, second, third = three
    region.banks.table = rules('[[rules]]\nname = "two"\ngateways = ["third", "second"]')
    third.script[Operation.CHARGE] = ["retryable"]
    assert routed(await region.pay("k1")) == ("second", "two")
    assert (len(third.calls), len(second.calls), len(bank.calls)) == (1, 1, 0)
    for each in (second, third):
        each.script[Operation.CHARGE] = ["retryable"]
    answer = await region.pay("k2")
    assert answer.status == 402 and bank.calls == []
    await sound(sql)


async def test_what_became_of_payments_is_learnt_from(
    three: tuple[Region, Bank, Bank, Bank], sql: asyncpg.Connection
) -> None:
    region, bank, second, third = three
    third.usage = "shut"
    region.banks.table = rules(
        '[[rules]]\nname = "best"\nstrategy = "success"\ngateways = ["bank", "second"]'
    )
    bank.script[Operation.CHARGE] = ["decline"] * PAYMENTS_MAX
    went: list[str] = []
    while went[-IN_A_ROW:] != ["second"] * IN_A_ROW and len(went) < PAYMENTS_MAX:
        went.append(routed(await region.pay(f"k{len(went)}"))[0])
    assert len(went) < PAYMENTS_MAX, "the one that declines is left"
    assert len(bank.calls) + len(second.calls) == len(went) and third.calls == []
    await sound(sql)
