"""The routing table: read or refused with every problem named, looked up as it is written, and what
it leaves out said exactly."""

import random
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bailiwick.topology.reading import WorldError
from bailiwick.topology.routes.changes import changes
from bailiwick.topology.routes.columns import MOST, Box, Spans, Texts, cut
from bailiwick.topology.routes.coverage import gaps, unreachable
from bailiwick.topology.routes.index import Index, number_of, text_of
from bailiwick.topology.routes.parts import Facts
from bailiwick.topology.routes.reading import parse
from bailiwick.topology.routes.table import EMPTY, RoutingTable
from bailiwick.topology.routes.words import sentence

GROUPS = {"eea": frozenset({"DE", "FR"})}
MONDAY = datetime(2026, 3, 2, 12, tzinfo=UTC)


def table(text: str) -> RoutingTable:
    return parse(text.encode(), merchants={"acct_shop", "acct_other"}, groups=GROUPS)


def facts(**values: Any) -> Facts:
    given: dict[str, Any] = {
        "merchant": "acct_shop", "livemode": False, "country": "DE", "currency": "EUR",
        "amount": 1000, "methods": ("card",), "at_ms": int(MONDAY.timestamp() * 1000),
    }  # fmt: skip
    return Facts(**{**given, **values})


@pytest.mark.parametrize(
    ("condition", "met", "missed"),
    [
        ('places = ["DE"]', {}, {"country": "FR"}),
        ('places = ["US"]', {"country": "US", "subdivision": "US-CA"}, {}),
        (
            'places = ["US-CA"]',
            {"country": "US", "subdivision": "US-CA"},
            {"country": "US", "subdivision": "US-NY"},
        ),
        ('places = ["group:eea"]', {"country": "FR"}, {"country": "IN"}),
        ('currencies = ["EUR", "USD"]', {"currency": "USD"}, {"currency": "GBP"}),
        ('currencies = ["EUR"]\namount_from = 1000', {}, {"amount": 999}),
        ('currencies = ["EUR"]\namount_below = 1001', {}, {"amount": 1001}),
        ('methods = ["card"]', {"methods": ("upi", "card")}, {"methods": ("upi",)}),
        ('mode = "live"', {"livemode": True}, {}),
        ("percent = 12.5", {"lot": 1249}, {"lot": 1250}),
        ('issuer_countries = ["FR"]', {"issuer_country": "FR"}, {}),
        ('bins = ["51-55"]', {"bin": "55999999"}, {"bin": "560000"}),
        ('bins = ["51-55"]', {"bin": "510000"}, {}),
        ('bins = ["400000-400099"]', {"bin": "40009912"}, {"bin": "400100"}),
        ('fingerprints = ["0123456789abcdef"]', {"fingerprint": "0123456789abcdef"}, {}),
        ('customers = ["cus_1"]', {"customer": "cus_1"}, {"customer": "cus_2"}),
        ('metadata = { tier = "gold" }', {"metadata": {"tier": "gold"}}, {"metadata": {"a": "b"}}),
        ('metadata = { tier = ["a", "b"] }', {"metadata": {"tier": "b"}}, {}),
        ('days = ["mon-fri"]\nzone = "Europe/Berlin"', {}, {"at_ms": 1772895600000}),
        ('hours = ["13:00-13:01"]\nzone = "Europe/Berlin"', {}, {"at_ms": 1772452860000}),
        ('hours = ["22:00-14:00"]\nzone = "Europe/Berlin"', {}, {"at_ms": 1772460000000}),
        (
            'days = ["sun"]\nhours = ["22:00-14:00"]\nzone = "Europe/Berlin"',
            {},
            {"at_ms": 1772460000000},
        ),
    ],
)  # fmt: skip
def test_a_condition(condition: str, met: dict[str, Any], missed: dict[str, Any]) -> None:
    found = table(f'[[rules]]\nname = "r"\n{condition}\n')
    assert found.rule(facts(**met)) is found.rules[0]
    assert found.rule(facts(**missed)) is None


def test_own_rules_come_before_those_of_everybody_and_the_first_one_counts() -> None:
    found = table(
        """
        [[rules]]
        name = "all"
        [[rules]]
        name = "euros"
        merchants = ["acct_shop"]
        currencies = ["EUR"]
        [[rules]]
        name = "again"
        merchants = ["acct_shop"]
        """
    )
    names = [getattr(found.rule(each), "name", None) for each in (
        facts(), facts(currency="USD"), facts(merchant="acct_other"),
    )]  # fmt: skip
    assert names == ["euros", "again", "all"]
    assert EMPTY.rule(facts()) is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('currencie = ["EUR"]', "rules[0].currencie: unknown field; did you mean 'currencies'?"),
        ('currencies = ["eur"]', "rules[0].currencies: 'eur' is no currency"),
        ("currencies = 3", "rules[0].currencies: must be a list of texts"),
        ("currencies = []", "rules[0].currencies: must not be empty"),
        ("amount_from = 10", "rules[0].amount_from: is in minor units, which differ: name the"),
        (
            'currencies = ["EUR"]\namount_from = 10\namount_below = 10',
            "rules[0].amount_below: amount_below must be above amount_from",
        ),
        ('methods = ["crad"]', "no type of payment methods is 'crad'; did you mean 'card'?"),
        ('places = ["UK"]', "Did you mean 'GB'"),
        ('places = ["group:eaa"]', "no group is named 'eaa'; did you mean 'eea'?"),
        ('issuer_countries = ["EU"]', "'EU' is not an ISO 3166-1 alpha-2 country code"),
        ('bins = ["4000x"]', "is no beginning of card numbers"),
        ('bins = ["55-51"]', "must run upwards"),
        ('customers = ["acct_1"]', "is no id of a customer"),
        ('merchants = ["acct_shp"]', "no merchant is named 'acct_shp'; did you mean 'acct_shop'?"),
        ("percent = 101", "rules[0].percent: must be a number above 0 and at most 100"),
        ('days = ["mon"]', "rules[0].zone: is missing: whose clocks?"),
        ('zone = "UTC"', "rules[0].zone: is of days and hours"),
        ('days = ["mon"]\nzone = "Europe/Bremen"', "is no zone of the IANA table"),
        ('days = ["monday"]\nzone = "UTC"', "is neither a day (mon) nor days"),
        ('hours = ["9-17"]\nzone = "UTC"', "is no time of the day such as"),
        ('strategy = "cheap"', "must be one of priority, cost, spread, split, sticky, success"),
        ('strategy = "split"', "rules[0].shares: are missing"),
        ('gateways = ["a"]\nshares = { a = 1 }', 'are of strategy = "split" and "sticky" alone'),
        (
            'strategy = "split"\ngateways = ["bank"]\nshares = { bnak = 1, bank = 2 }',
            "no gateway of this rule is named 'bnak'; did you mean 'bank'?",
        ),
        (
            'strategy = "split"\ngateways = ["a", "b"]\nshares = { a = 1 }',
            "must be of all the rule's gateways: b has none",
        ),
        (
            'strategy = "split"\ngateways = ["a"]\nothers = true\nshares = { a = 1 }',
            "kinds and others have none",
        ),
        ('by = "customer"', 'is of strategy = "sticky" alone'),
        ("others = true", "rules[0].others: says nothing"),
        ('kinds = ["bank"]', "no kind of providers is named 'bank'"),
        ('gateways = ["a", "a"]', "'a' is listed twice"),
        ('[[fees]]\ngateway = "a"', "fees[0].bps: is missing; add it, or fixed, or tiers"),
        ('[[fees]]\ngateway = "a"\nfixed = 25', "fees[0].fixed: is in minor units"),
        (
            '[[fees]]\ngateway = "a"\ncurrencies = ["EUR"]\nbps = 1\nminimum = 5\ncap = 4',
            "fees[0].cap: is below the minimum",
        ),
        (
            '[[fees]]\ngateway = "a"\ncurrencies = ["EUR"]\ntiers = [{ from = 1, bps = 1 }]',
            "fees[0].tiers[0].from: of the first tier must be 0",
        ),
        (
            '[[fees]]\ngateway = "a"\ncurrencies = ["EUR"]\ntiers = [{ from = 0 }, { from = 0 }]',
            "fees[0].tiers[1].from: must be above that of the tier before",
        ),
        ('[[retries]]\ncodes = ["do_not_honour"]\naction = "stop"', "did you mean 'do_not_honor'?"),
        (
            '[[retries]]\ncodes = ["stolen_card"]\naction = "other_gateway"',
            "'stolen_card' is final: the schemes forbid to ask again",
        ),
        (
            '[[retries]]\ncodes = ["authentication_required"]\naction = "other_gateway"',
            "is for the payer to act on",
        ),
        ('[[retries]]\ncodes = ["do_not_honor"]\naction = "later"', "one of other_gateway, stop"),
    ],
)
def test_what_is_wrong_is_named_with_its_field_and_the_remedy(line: str, said: str) -> None:
    with pytest.raises(WorldError) as caught:
        table(f'[[rules]]\nname = "r"\n{line}\n')
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith("routing.toml: ")
    assert said in caught.value.problems[0]


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(WorldError) as caught:
        table('[[rules]]\nname = "R"\ncurrencies = ["X"]' + '\n[[rules]]\nname = "a"' * 2)
    assert len(caught.value.problems) == 3


def test_rules_that_none_can_meet_are_named_also_where_several_take_theirs() -> None:
    found = table(
        """
        [[rules]]
        name = "small"
        currencies = ["EUR"]
        amount_below = 100
        [[rules]]
        name = "large"
        currencies = ["EUR", "USD"]
        amount_from = 50
        [[rules]]
        name = "euros"
        currencies = ["EUR"]
        methods = ["card"]
        [[rules]]
        name = "dollars"
        currencies = ["USD"]
        [[rules]]
        name = "california"
        places = ["US-CA"]
        [[rules]]
        name = "states"
        places = ["US"]
        [[rules]]
        name = "california-again"
        places = ["US-CA"]
        """
    )
    named = [line.partition("'")[2].partition("'")[0] for line in unreachable(found)]
    assert named == ["euros", "california-again"]
    (line,) = gaps(found)
    assert "(from anything but US or US-CA, in anything but EUR or USD)" in line
    closed = table('[[rules]]\nname = "a"\ncurrencies = ["EUR"]\n[[rules]]\nname = "rest"')
    assert gaps(closed) == [] == unreachable(closed)
    lots = table('[[rules]]\nname = "a"\npercent = 10\n[[rules]]\nname = "b"\npercent = 5')
    assert len(unreachable(lots)) == 1 and "drawn by lot (90 %)" in gaps(lots)[0]
    both = table(
        '[[rules]]\nname = "a"\nmode = "test"\n[[rules]]\nname = "b"\nmode = "live"\n'
        '[[rules]]\nname = "day"\nhours = ["00:00-24:00"]\nzone = "UTC"'
    )
    assert gaps(both) == [] and len(unreachable(both)) == 1


def test_of_a_merchant_with_own_rules_alone_the_gap_is_its_own() -> None:
    found = table('[[rules]]\nname = "a"\nmerchants = ["acct_shop"]\ncurrencies = ["EUR"]')
    (line,) = gaps(found)
    assert "payments of acct_shop (in anything but EUR)" in line


COLUMNS = ("currencies", "methods", "amount", "bins")
texts = st.frozensets(st.sampled_from("abc"), min_size=1, max_size=3).map(Texts)
spans = st.tuples(st.integers(0, 4), st.integers(1, 3)).map(
    lambda each: Spans(((each[0], each[0] + each[1]),))
)
boxes = st.fixed_dictionaries({}, optional={
    "currencies": texts, "methods": texts, "amount": spans, "bins": spans,
})  # fmt: skip


def holds(box: Box, at: dict[str, Any]) -> bool:
    for name, allowed in box.items():
        value = at[name]
        if isinstance(allowed, Texts):
            if (value in allowed.named) == allowed.beside:
                return False
        elif not any(low <= value < high for low, high in allowed.spans):
            return False
    return True


POINTS = [
    {"currencies": c, "methods": m, "amount": a, "bins": b}
    for c in "abcd" for m in "abcd" for a in range(9) for b in (-1, *range(8))
]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(boxes, st.lists(boxes, max_size=4))
def test_what_is_cut_out_is_exactly_what_others_hold(box: Box, others: list[Box]) -> None:
    parts = [box]
    for other in others:
        parts = [rest for part in parts for rest in cut(part, other)]
    for at in POINTS:
        left = holds(box, at) and not any(holds(each, at) for each in others)
        assert sum(holds(part, at) for part in parts) == left


def test_the_index_finds_what_reading_one_rule_after_the_other_finds() -> None:
    chance = random.Random(7)
    codes, methods = ["EUR", "USD", "INR", "GBP"], ["card", "upi", "pix"]

    def box() -> Box:
        found: dict[str, Any] = {}
        if chance.random() < 0.6:
            found["currencies"] = Texts(frozenset(chance.sample(codes, 2)))
        if chance.random() < 0.4:
            found["methods"] = Texts(frozenset(chance.sample(methods, 1)))
        if chance.random() < 0.5:
            low = chance.randrange(5000)
            found["amount"] = Spans(((low, chance.choice([low + 700, MOST])),))
        if chance.random() < 0.3:
            found["bins"] = Spans(((40000000, 41000000), (51000000, 56000000)))
        if chance.random() < 0.3:
            found["metadata.tier"] = Texts(frozenset({"gold"}))
        return found

    rules = [box() for _ in range(300)]
    index = Index(rules)
    seen = set()
    for _ in range(500):
        payment = facts(
            currency=chance.choice(codes), methods=tuple(chance.sample(methods, 2)),
            amount=chance.randrange(6000), bin=chance.choice([None, "400000", "550000", "600000"]),
            metadata=chance.choice([{}, {"tier": "gold"}]),
        )  # fmt: skip

        def fits(rule: Box, payment: Facts = payment) -> bool:
            return all(
                bool(allowed.named & set(text_of(name)(payment)))
                if isinstance(allowed, Texts)
                else any(low <= number_of(name)(payment) < high for low, high in allowed.spans)
                for name, allowed in rule.items()
            )

        first = next((place for place, rule in enumerate(rules) if fits(rule)), None)
        assert index.first(payment) == first
        seen.add(first)
    assert len(seen) > 5


def test_fees_by_tiers_with_bounds() -> None:
    found = table(
        """
        [[fees]]
        gateway = "bank"
        currencies = ["EUR"]
        minimum = 30
        cap = 500
        tiers = [{ from = 0, bps = 200 }, { from = 10000, bps = 100, fixed = 5 }]
        [[fees]]
        gateway = "bank"
        bps = 300
        """
    )
    fee = found.fee("bank", facts())
    assert fee is not None
    prices = [fee.price(amount) / 10_000 for amount in (1000, 5000, 9999, 10_000, 1_000_000)]
    assert prices == [30, 100, 199.98, 105, 500]
    other = found.fee("bank", facts(currency="USD"))
    assert other is not None and other.price(1000) == 300_000
    assert found.fee("another", facts()) is None


def test_a_rule_and_what_changes_in_words() -> None:
    old = table('[[rules]]\nname = "a"\n[[rules]]\nname = "b"\ncurrencies = ["EUR"]')
    new = table(
        """
        [[rules]]
        name = "b"
        merchants = ["acct_shop"]
        currencies = ["EUR"]
        places = ["group:eea"]
        amount_from = 5000
        gateways = ["one", "two"]
        strategy = "split"
        shares = { one = 70, two = 30 }
        [[rules]]
        name = "a"
        [[fees]]
        gateway = "one"
        currencies = ["EUR"]
        bps = 150
        cap = 900
        """
    )
    assert sentence(new.rules[0]) == (
        "payments of acct_shop, from group:eea, in EUR, of 5000 minor units or more go to one "
        "(70 %), two (30 %), by these shares"
    )
    told = changes(old, new)
    assert [line.split(":")[0] for line in told] == [
        "Routing rule b", "Routing rules are met in another order", "Fees of one become"
    ]  # fmt: skip
    assert told[2] == "Fees of one become: in EUR: 1.5 %, at most 900."
    after = table('[[retries]]\ncodes = ["do_not_honor"]\naction = "other_gateway"')
    assert changes(EMPTY, after) == [
        "New: after a decline with do_not_honor, another gateway is asked."
    ]
    assert after.after("acct_shop", None, "do_not_honor") == "other_gateway"
    assert after.after("acct_shop", "expired_card") is None and after != EMPTY
    assert changes(new, new) == [] and msgspec.structs.asdict(new.rules[1])["name"] == "a"
