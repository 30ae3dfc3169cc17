"""Types of payment methods: their files, their names, and which of them a place is shown."""

import random
from typing import Any

import pytest
from babel import Locale

from bailiwick import methods
from bailiwick.base.errors import ApiError
from bailiwick.channels.registry import channel, names
from bailiwick.geo.places import load_places
from bailiwick.methods.locales import spoken
from bailiwick.routing.available import available
from tests.unit.test_routing import facts, wanted

EVERY = methods.every()
TYPES = pytest.mark.parametrize("name", EVERY)


@TYPES
def test_a_file_says_what_is_known(name: str) -> None:
    of, places = EVERY[name], load_places()
    assert set(of.devices) <= set(methods.DEVICES) and of.devices
    assert all(0 <= weight <= 100 for weight in of.usual.values())
    assert (set(of.usual) - {"default"} | of.payers) <= set(places.countries)
    assert of.names[methods.FALLBACK]
    for language, said in of.names.items():
        assert Locale.parse(language) and said == said.strip() and 2 <= len(said) <= 40


def test_what_has_a_name_in_one_language_has_it_in_all_or_is_a_brand() -> None:
    assert {len(each.names) for each in EVERY.values()} == {1, len(EVERY["card"].names)}


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("28763443825664394", "alipay"),
        ("3012345678901234", "alipay"),
        ("130061098828009406", "wechat_pay"),
        ("153456789012345678", "wechat_pay"),
        ("6212345678901234567", "unionpay"),
        ("2412345678901234", None),
        ("3112345678901234", None),
        ("13006109882800940", None),
        ("163456789012345678", None),
        ("123456", None),
    ],
)
def test_a_code_tells_its_wallet(code: str, name: str | None) -> None:
    assert methods.of_code(code) == name


def test_every_channel_s_types_have_a_file() -> None:
    declared = {name for each in names() for name in channel(each).profile.methods}
    assert declared == set(EVERY)


@pytest.mark.parametrize(
    ("asked", "country", "tag", "card"),
    [
        (None, "DE", "de-DE", "Karte"),
        ("auto", "BR", "pt-BR", "Cartão"),
        (None, "CN", "zh-CN", "银行卡"),
        (None, "HK", "zh-HK", "信用卡或金融卡"),
        (None, "SA", "ar-SA", "بطاقة"),
        (None, "XK", "en-XK", "Card"),
        (None, "AQ", "en-AQ", "Card"),
        ("fr-CA", "DE", "fr-CA", "Carte bancaire"),
        ("pt_BR", "DE", "pt-BR", "Cartão"),
        ("zh-TW", "DE", "zh-Hant-TW", "信用卡或金融卡"),
        ("no", "DE", "nb", "Kort"),
        ("is", "DE", "en", "Card"),
    ],
)
def test_the_language_asked_for_else_that_of_the_place(
    asked: str | None, country: str, tag: str, card: str
) -> None:
    found = spoken(asked, country)
    assert found.tag == tag
    assert EVERY["card"].name(found.language, found.script) == card


@pytest.mark.parametrize("asked", ["", "xx", "x y", "tlh", "de-", "\ud800", "de" * 17])
def test_what_is_no_language_is_refused_by_name(asked: str) -> None:
    with pytest.raises(ApiError) as refused:
        spoken(asked, "DE")
    assert (refused.value.param, refused.value.code) == ("locale", "locale_invalid")


def test_every_country_has_a_language() -> None:
    for country in load_places().countries:
        found = spoken(None, country)
        assert found.language in methods.languages() and found.tag.endswith(country)


def shown(*gateways: Any, device: Any = None, **values: Any) -> list[tuple[str, str]]:
    found = available(gateways, wanted(methods=(), **values), device)
    return [(each.type, each.gateway) for each in found]


ALL = frozenset(EVERY)


def test_the_order_is_the_place_s() -> None:
    first = {
        country: shown(facts("bank", methods=ALL), country=country)[0][0]
        for country in ("DE", "IN", "CN", "KE", "NL", "US", "JP")
    }
    assert first == {"DE": "paypal", "IN": "upi", "CN": "alipay", "KE": "mpesa",
                     "NL": "ideal", "US": "card", "JP": "card"}  # fmt: skip


def test_only_what_a_gateway_would_take_now() -> None:
    bank = facts("bank", methods=frozenset({"card", "wallet"}), currencies=frozenset({"EUR"}))
    other = facts("other", methods=frozenset({"card", "bank_transfer"}), priority=20)
    closed = facts("closed", methods=ALL, usage="suspended", priority=0)
    assert shown(bank, other, closed) == [
        ("card", "bank"), ("bank_transfer", "other"), ("wallet", "bank"),
    ]  # fmt: skip
    assert shown(bank, other, currency="USD") == [("card", "other"), ("bank_transfer", "other")]
    assert shown(bank, currency="USD") == []
    no_holds = facts("bank", methods=ALL, manual_capture=False)
    assert shown(no_holds, manual_capture=True) == []
    assert shown(facts("bank", methods=ALL), device="terminal") == [
        ("alipay", "bank"), ("wechat_pay", "bank"), ("unionpay", "bank"),
    ]  # fmt: skip
    assert ("upi", "bank") not in shown(facts("bank", methods=ALL), country="DE")
    assert shown(facts("bank", methods=frozenset({"my_method"}))) == [("my_method", "bank")]


def test_the_same_however_the_gateways_are_written_down() -> None:
    dice = random.Random(7)
    gateways = [
        facts(f"g{n}", methods=frozenset(dice.sample(sorted(ALL), 2)), priority=n) for n in range(8)
    ]
    expected = shown(*gateways)
    for _ in range(20):
        dice.shuffle(gateways)
        assert shown(*gateways) == expected
