"""Who spends whose rate: keys of both kinds, both modes, and client addresses."""

import json
from pathlib import Path

import pytest
from access_kit import PUBLISHABLE, SECRET, access

from bailiwick.access.rates import UNTOLD_MAX, Buckets, Counted, Rates
from bailiwick.base.ids import new_id
from bailiwick.topology.merchants import Merchant, Principal
from bailiwick.wire.peers import network

SHOP, OTHER = Merchant("acct_1", "Shop"), Merchant("acct_2", "Other")
SERVER, PAYER = Principal(SHOP, "secret", True), Principal(SHOP, "publishable", True)
HERE, THERE = "192.0.2.1", "192.0.2.2"


def test_tokens_come_back_with_time() -> None:
    buckets = Buckets(10, 100, burst=2)
    assert [buckets.admit("a", 0) for _ in range(3)] == [True, True, False]
    assert buckets.admit("b", 0)
    assert [buckets.admit("a", 0.1), buckets.admit("a", 0.1)] == [True, False]
    assert [buckets.admit("a", 100) for _ in range(3)] == [True, True, False]
    assert all(Buckets(0, 1).admit("a", 0) for _ in range(100))


def spent(rates: Rates, who: Principal, host: str = HERE) -> int:
    """How many requests go through at one moment."""
    return sum(not rates.count(who, host, 0).name for _ in range(100))


def test_nobody_spends_what_is_anothers() -> None:
    rates = Rates(5)
    assert spent(rates, PAYER) == 5
    assert spent(rates, SERVER) == 5
    assert spent(rates, Principal(SHOP, "secret", False)) == 5
    assert spent(rates, Principal(SHOP, "publishable", False)) == 5
    assert spent(rates, Principal(OTHER, "secret", True)) == 5
    assert spent(rates, PAYER, THERE) == 0, "payers together have a bound"


def test_one_payer_does_not_use_up_all_payers_rate() -> None:
    rates = Rates(5, 2)
    assert [spent(rates, PAYER, host) for host in (HERE, HERE, THERE, "192.0.2.3")] == [2, 0, 2, 1]
    assert spent(rates, SERVER) == 5
    assert spent(Rates(0, 2), SERVER) == 100, "the bound of addresses is for publishable keys"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("", "/run/access.sock", True),
    ],
)
def test_whose_an_address_is(one: str, other: str, same: bool) -> None:
    assert (network(one) == network(other)) is same


def test_many_addresses_take_bounded_memory() -> None:
    rates = Rates(0, 1, addresses=100)
    for number in range(1000):
        assert not rates.count(PAYER, f"2001:db8:0:{number:x}::1", 0).name
    assert len(rates._address) == 100
    assert rates.count(PAYER, "2001:db8:0:3e7::2", 0).name == "payer", "the latest are remembered"


def test_a_key_can_have_a_bound_of_its_own() -> None:
    slow = Principal(SHOP, "secret", True, rate_per_second=2, mark="aa")
    rates = Rates(5)
    assert spent(rates, slow) == 2
    assert spent(rates, SERVER) == 3, "what it sent counts for the merchant too"
    assert spent(rates, Principal(SHOP, "secret", True, rate_per_second=2, mark="bb")) == 0
    alone = Rates(0)
    assert (spent(alone, slow), spent(alone, SERVER)) == (2, 100)


def test_what_is_left_is_said() -> None:
    rates = Rates(4)
    slow = Principal(SHOP, "secret", True, rate_per_second=2, mark="aa")
    first = rates.count(slow, HERE, 0)
    assert first.policy == '"merchant";q=4;w=1, "key";q=2;w=1'
    assert first.left == '"merchant";r=3;t=1, "key";r=1;t=1'
    rates.count(slow, HERE, 0)
    refused = rates.count(slow, HERE, 0)
    assert (refused.name, refused.wait_s) == ("key", 1)
    assert refused.left == '"merchant";r=2;t=1, "key";r=0;t=1', "a refusal spends nothing"
    assert Rates(0).count(SERVER, HERE, 0) == Counted()
    late = Rates(0.1)
    late.count(SERVER, HERE, 0)
    assert late.count(SERVER, HERE, 0).wait_s == 10
    assert late.count(SERVER, HERE, 9.5).wait_s == 1
    assert not late.count(SERVER, HERE, 10).name


def test_peers_spend_of_the_same() -> None:
    one, two = Rates(10), Rates(10)
    slow = Principal(SHOP, "secret", True, rate_per_second=4, mark="aa")
    for _ in range(3):
        one.count(slow, HERE, 0)
    assert one.spent == {"acct_1 live secret": (3, 0.0), "key aa": (3, 4.0)}
    told = [(name, *said) for name, said in one.spent.items()]
    two.learn(told, 0)
    assert spent(two, slow) == 1
    assert spent(two, SERVER) == 6
    free = Rates(0)
    free.learn(told, 0)
    assert (spent(free, slow), spent(free, SERVER)) == (1, 100)
    assert spent(two, Principal(OTHER, "secret", True)) == 10
    two.learn([("acct_1 live secret", 10_000, 0.0)], 0)
    assert two.count(SERVER, HERE, 1).wait_s == 1, "at most a burst is owed"
    assert not two.count(SERVER, HERE, 1.2).name
    assert two.spent["acct_1 live secret"] == (8, 0.0)
    two.learn([("acct_1 live secret", -10_000, 0.0), ("acct_1 live secret", 1, -1.0)], 1.2)
    assert spent(two, SERVER) == 0, "nobody gives tokens"


def test_what_is_told_takes_bounded_memory() -> None:
    rates = Rates(10)
    for number in range(UNTOLD_MAX + 100):
        rates.count(Principal(Merchant(f"acct_{number}", "A"), "secret", True), HERE, 0)
    assert len(rates.spent) == UNTOLD_MAX
    rates.count(Principal(Merchant("acct_1", "A"), "secret", True), HERE, 0)
    assert rates.spent["acct_1 live secret"] == (2, 0.0)


async def test_payers_do_not_use_up_the_servers_rate(tmp_path: Path) -> None:
    async with access(tmp_path, rate_per_second=3, public_rate_per_second=1) as it:
        target = f"/v1/payment_intents/{new_id('pi', 1, 5)}"
        answers = [await it.call("GET", target, key=PUBLISHABLE) for _ in range(6)]
        limited = [answer for answer in answers if answer.status == 429]
        assert answers[0].status == 200
        assert limited
        assert json.loads(limited[0].body)["error"]["code"] == "rate_limit"
        assert limited[0].headers[b"retry-after"] == b"1"
        assert answers[0].headers[b"ratelimit-policy"] == b'"merchant";q=3;w=1'
        assert answers[0].headers[b"ratelimit"] == b'"merchant";r=2;t=1'
        assert limited[0].headers[b"access-control-allow-origin"] == b"*"
        assert [(await it.call("GET", target, key=SECRET)).status for _ in range(3)] == [200] * 3
