"""How long choosing takes: 200 gateways under 1,000 rules."""

import statistics
import time

from bailiwick.channels.contract import Takes
from bailiwick.routing.match import GatewayFacts, Wanted, match
from bailiwick.routing.strategies.router import Router
from bailiwick.topology.routes.parts import Facts
from bailiwick.topology.routes.reading import parse

GATEWAYS = 200
RULES = 1_000
PAYMENTS = 2_000
_CURRENCIES = ("EUR", "USD", "INR", "GBP", "BRL")
_PLACES = ("DE", "FR", "IN", "US", "BR", "GB", "IT", "ES")
_STRATEGIES = ("priority", "cost", "success")


def choosing_us() -> dict[str, float]:
    """Median microseconds to choose by each strategy, where the last of the rules is met, which
    lets all gateways have the payment, and all can take it."""
    return {strategy: round(_median_us(strategy), 1) for strategy in _STRATEGIES}


def _median_us(strategy: str) -> float:
    table = parse(_rules(strategy).encode(), merchants=(), groups={})
    router, gateways = Router(lambda: table), [_gateway(number) for number in range(GATEWAYS)]
    taken = []
    for number in range(PAYMENTS):
        wanted = _payment(number)
        begun = time.perf_counter_ns()
        plan = router.plan(wanted)
        routing = match(gateways, wanted, (), plan)
        taken.append(time.perf_counter_ns() - begun)
        assert routing.rule is not None and routing.gateway is not None
    return statistics.median(taken) / 1000


def _rules(strategy: str) -> str:
    rules = [
        f'[[rules]]\nname = "r{number}"\ncurrencies = ["{_CURRENCIES[number % 5]}"]\n'
        f'places = ["{_PLACES[number % 8]}"]\namount_from = {number * 10}\n'
        f'amount_below = {number * 10 + 900}\nmetadata = {{ tier = "t{number % 7}" }}\n'
        for number in range(RULES - 1)
    ]
    return "".join([*rules, f'[[rules]]\nname = "last"\nstrategy = "{strategy}"\n'])


def _gateway(number: int) -> GatewayFacts:
    return GatewayFacts(
        f"gateway-{number}", "sandbox", "large_domestic_bank", "open", False, number % 50, 100, 0,
        frozenset(), frozenset(), {"card": (Takes(),)}, True, f"vault-{number}",
    )  # fmt: skip


def _payment(number: int) -> Wanted:
    currency, country, amount = _CURRENCIES[number % 5], _PLACES[number % 8], 100 + number
    facts = Facts(
        "acct_shop", False, country, currency, amount, ("card",),
        1_800_000_000_000 + number, metadata={"tier": "none"},
    )  # fmt: skip
    return Wanted(
        f"pi_{number}", country, amount, currency, ("card",), False, False, "priority", facts=facts
    )
