"""Which payment methods a place is shown, at access and at its node, to servers and browsers."""

import time
from typing import Any

import pytest
from api_kit import Api, at_both

from bailiwick.base.cards import is_card_number

PATH = "/v1/available_payment_methods"
CODES = ("alipay", "wechat_pay", "unionpay")
EUR = {"amount": "5000", "currency": "eur", "location[country]": "DE"}


def of(demo: dict[str, Any], key: str = "secret_key", at: str = "access") -> Api:
    return at_both(demo, key)[at]


def presented() -> list[str]:
    """Two of UnionPay's codes, new ones: with the check digit of a card number, and without."""
    begun = f"62{time.time_ns() % 10**16:016d}"
    codes = sorted((f"{begun}{digit}" for digit in range(10)), key=is_card_number)
    assert [is_card_number(each) for each in codes[-2:]] == [False, True]
    return codes[-2:]


def types(page: dict[str, Any]) -> list[str]:
    return [each["type"] for each in page["data"]]


@pytest.mark.parametrize("at", ["access", "node"])
def test_a_place_s_methods_in_its_order_and_language(demo: dict[str, Any], at: str) -> None:
    status, page = of(demo, at=at).get(PATH, **EUR)
    assert status == 200, page
    assert types(page) == ["paypal", "card", "bank_transfer", "wallet", "alipay", "wechat_pay"]
    assert [each["display_name"] for each in page["data"]] == [
        "PayPal", "Karte", "Überweisung", "Digitale Geldbörse", "Alipay", "WeChat Pay",
    ]  # fmt: skip
    assert (page["country"], page["locale"], page["node"]) == ("DE", "de-DE", "europe")
    assert {each["gateway"] for each in page["data"]} <= {"rhein-bank", "isar-pay", "alpen-bank"}


@pytest.mark.parametrize(
    ("place", "currency", "expected", "node"),
    [
        ("IN", "inr", ["upi", "card", "wallet", "bank_transfer", *CODES], "apac"),
        ("IN", "usd", ["card", "wallet", *CODES], "apac"),
        ("JP", "jpy", ["card", "wallet", *CODES], "apac"),
        ("DE", "chf", ["card", "bank_transfer", "alipay", "wechat_pay"], "europe"),
        ("US", "usd", ["card", "paypal", "wallet", "bank_transfer"], "americas"),
    ],
)
def test_each_place_is_asked_at_its_own_node(
    demo: dict[str, Any], place: str, currency: str, expected: list[str], node: str
) -> None:
    wish = {"amount": "5000", "currency": currency, "location[country]": place}
    status, page = of(demo).get(PATH, **wish)
    assert (status, types(page), page["node"]) == (200, expected, node)


def test_what_is_shown_can_be_paid_with(demo: dict[str, Any]) -> None:
    wish = {"amount": "5000", "currency": "inr", "location[country]": "IN"}
    for each in of(demo).get(PATH, **wish)[1]["data"]:
        more = {"payment_method_types[0]": each["type"], "return_url": "https://shop.example/back"}
        if each["family"] == "token":
            more["payment_method"] = "pm_card_visa"
        else:
            more["payment_method_data[type]"] = each["type"]
        if each["family"] == "push":
            more["payment_method_data[virtual_address]"] = "ann@bank"
        # A code with a card's check digit is a code like any other.
        codes = presented() if each["family"] == "presented_code" else (None,)
        for code in codes:
            if code is not None:
                more["payment_method_data[code]"] = code
            status, paid = of(demo).post("/v1/payment_intents", confirm="true", **wish, **more)
            assert status == 200 and paid["status"] in ("succeeded", "requires_action"), paid
            assert paid["routing"]["gateway"] == each["gateway"]


@pytest.mark.parametrize("at", ["access", "node"])
def test_a_browser_sees_no_more_than_it_needs(demo: dict[str, Any], at: str) -> None:
    status, page = of(demo, "publishable_key", at).get(PATH, **EUR, locale="ja")
    assert (
        status == 200
        and page["data"][0]["display_name"] == "PayPal"
        and page["data"][1]["display_name"] == "カード"
    )
    assert set(page) == {"object", "url", "has_more", "data", "country", "locale", "livemode"}
    for each in page["data"]:
        assert set(each) == {"object", "type", "family", "display_name", "devices"}


@pytest.mark.parametrize("at", ["access", "node"])
@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"amount": ""}, "amount"),
        ({"amount": "0"}, "amount"),
        ({"amount": "1"}, "amount"),
        ({"currency": "xyz"}, "currency"),
        ({"location[country]": "ZZ"}, "location[country]"),
        ({"location": "DE"}, "location"),
        ({"device": "fridge"}, "device"),
        ({"capture_method": "late"}, "capture_method"),
        ({"locale": "xx"}, "locale"),
        ({"payment_method_configuration": "pmc_1"}, "payment_method_configuration"),
        ({"customer": "cus_1"}, "customer"),
    ],
    ids=lambda value: next(iter(value.items())) if isinstance(value, dict) else value,
)
def test_what_is_refused(
    demo: dict[str, Any], at: str, changes: dict[str, str], param: str
) -> None:
    wish = {
        name: value
        for name, value in EUR.items()
        if name != "location[country]" or "location" not in changes
    }
    status, said = of(demo, at=at).get(PATH, **{**wish, **changes})
    assert status == 400, said
    assert said["error"]["param"] == param


def test_another_node_names_the_one_with_jurisdiction(demo: dict[str, Any]) -> None:
    status, said = of(demo, at="node").get(PATH, **{**EUR, "location[country]": "US"})
    assert status == 421 and "americas" in said["error"]["message"]


def test_nothing_else_is_served_there(demo: dict[str, Any]) -> None:
    assert of(demo).post(PATH, **EUR)[0] == 405
