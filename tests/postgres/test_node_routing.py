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
    region.route(
        rules(
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
    region.route(rules('[[rules]]\nname = "two"\ngateways = ["third", "second"]'))
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
    region.route(
        rules('[[rules]]\nname = "best"\nstrategy = "success"\ngateways = ["bank", "second"]')
    )
    bank.script[Operation.CHARGE] = ["decline"] * PAYMENTS_MAX
    went: list[str] = []
    while went[-IN_A_ROW:] != ["second"] * IN_A_ROW and len(went) < PAYMENTS_MAX:
        went.append(routed(await region.pay(f"k{len(went)}"))[0])
    assert len(went) < PAYMENTS_MAX, "the one that declines is left"
    assert len(bank.calls) + len(second.calls) == len(went) and third.calls == []
    await sound(sql)


SOFT = '[[retries]]\ncodes = ["do_not_honor"]\naction = "other_gateway"\n'


async def test_after_a_decline_another_gateway_is_asked_if_the_table_says_so(
    three: tuple[Region, Bank, Bank, Bank], sql: asyncpg.Connection
) -> None:
    region, bank, second, third = three
    bank.script[Operation.CHARGE] = ["soft"]
    assert (await region.pay("k1")).status == 402 and second.calls == []
    region.route(rules(SOFT))
    bank.script[Operation.CHARGE] = ["soft"]
    assert routed(await region.pay("k2")) == ("second", None)
    # Another code stays a no; a merchant's own table counts first.
    bank.script[Operation.CHARGE] = ["decline"]
    assert (await region.pay("k3")).status == 402
    own = f'[[retries]]\nmerchants = ["{MERCHANT.id}"]\ncodes = ["do_not_honor"]\naction = "stop"'
    region.route(rules(SOFT + own))
    bank.script[Operation.CHARGE] = ["soft"]
    assert (await region.pay("k4")).status == 402
    assert len(second.calls) == 1 and third.calls == []
    await sound(sql)


async def test_also_what_could_be_tried_elsewhere_can_be_stopped(
    three: tuple[Region, Bank, Bank, Bank], sql: asyncpg.Connection
) -> None:
    region, bank, second, _ = three
    region.route(rules('[[retries]]\ncodes = ["processing_error"]\naction = "stop"'))
    bank.script[Operation.CHARGE] = ["retryable"]
    assert (await region.pay("k1")).status == 402 and second.calls == []
    await sound(sql)


async def test_there_are_three_attempts_at_most(
    three: tuple[Region, Bank, Bank, Bank], sql: asyncpg.Connection
) -> None:
    region, bank, second, third = three
    fourth = Bank("fourth", priority=4)
    region.banks.banks["fourth"] = fourth
    region.route(rules(SOFT))
    for each in (bank, second, third):
        each.script[Operation.CHARGE] = ["soft"]
    assert (await region.pay("k1")).status == 402
    assert [len(each.calls) for each in (bank, second, third, fourth)] == [1, 1, 1, 0]
    await sound(sql)
