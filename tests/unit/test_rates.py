"""Who spends whose rate: keys of both kinds, both modes, and client addresses."""

import json
from pathlib import Path

import pytest
from access_kit import PUBLISHABLE, SECRET, access

from bailiwick.access.rates import Buckets, Rates
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
    return sum(rates.admit(who, host, 0) for _ in range(100))


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
        assert rates.admit(PAYER, f"2001:db8:0:{number:x}::1", 0)
    assert len(rates._address) == 100
    assert not rates.admit(PAYER, "2001:db8:0:3e7::2", 0), "the latest are remembered"


async def test_payers_do_not_use_up_the_servers_rate(tmp_path: Path) -> None:
    async with access(tmp_path, rate_per_second=3, public_rate_per_second=1) as it:
        target = f"/v1/payment_intents/{new_id('pi', 1, 5)}"
        answers = [await it.call("GET", target, key=PUBLISHABLE) for _ in range(6)]
        limited = [answer for answer in answers if answer.status == 429]
        assert answers[0].status == 200
        assert limited
        assert json.loads(limited[0].body)["error"]["code"] == "rate_limit"
        assert limited[0].headers[b"retry-after"] == b"1"
        assert limited[0].headers[b"access-control-allow-origin"] == b"*"
        assert [(await it.call("GET", target, key=SECRET)).status for _ in range(3)] == [200] * 3
