"""A till: a thousand codes off payers' phones, at a provider that answers late, asks for a PIN, or
does not answer at all. None is charged twice, and each that is given up is reversed, by the books.
"""

import itertools
import json
import random
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from api_kit import Api, at_both
from chaos_kit import bailiwick

from tests.waiting import wait_until

CODES = 1_000
AT_ONCE = 24
PATIENT_S = 8
"""How long the till waits for a payer, in seconds."""
# How a provider and its payer behave, how many of a thousand, and whether a PIN is asked for.
COURSES = (
    ("", 300, False),  # pays at once
    ("", 150, True),  # is asked for the PIN, and does nothing
    ("acts", 100, True),
    ("declines", 100, True),
    ("silent", 50, True),
    ("waits", 50, True),  # and the provider with the payer, until it is told to give up
    ("late", 50, True),  # declines, and pays after all
    ("charge_then_500", 60, False),
    ("reset_after", 40, False),
    ("error_500_before", 40, False),
    ("reset_before", 20, False),
    ("charge_then_hang", 20, False),
    ("hang_before", 20, False),
)
PAID, NOT_PAID = "succeeded", "requires_payment_method"


class Sale:
    """One code presented at the till."""

    def __init__(self, number: int, word: str, pin: bool) -> None:
        self.word = word
        self.pin = pin
        self.code = f"28{time.time_ns() % 10**9:09d}{number:06d}{1 if pin else 2}"
        self.key = f"till-{self.code}"
        self.id = ""
        self.seen: dict[str, Any] = {}

    def ring_up(self, server: Api) -> None:
        """Pay by the code, and again under the same key as long as there is no answer to show."""
        wish = {
            "amount": "1250", "currency": "eur", "confirm": "true", "location[country]": "DE",
            "payment_method_types[0]": "alipay", "payment_method_data[type]": "alipay",
            "payment_method_data[code]": self.code,
            "payment_method_data[expires_at]": str(int(time.time()) + PATIENT_S),
        }  # fmt: skip
        if self.word:
            wish["description"] = f"[sandbox: {self.word}]"
        for _ in itertools.count():
            status, said = server.ask(
                "POST", "/v1/payment_intents", wish, **{"Idempotency-Key": self.key}
            )
            found = said["error"].get("payment_intent") if "error" in said else said
            if found is not None:
                self.id = found["id"]
                return
            assert status in (409, 429, 503), said
            time.sleep(0.2)

    def ended(self, server: Api) -> bool:
        """Whether it waits for nobody any more."""
        if self.seen.get("status") not in (PAID, NOT_PAID):
            self.seen = server.get(f"/v1/payment_intents/{self.id}")[1]
        return self.seen["status"] in (PAID, NOT_PAID)


@pytest.fixture(scope="module")
def server(demo: dict[str, Any]) -> Api:
    return at_both(demo)["access"]


@pytest.fixture(scope="module")
def sales(server: Api) -> list[Sale]:
    """All of them, rung up in no order and ended."""
    numbers = itertools.count()
    found = [Sale(next(numbers), word, pin) for word, many, pin in COURSES for _ in range(many)]
    assert len(found) == CODES
    random.Random(7).shuffle(found)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda sale: sale.ring_up(server), found))
        wait_until(lambda: all(pool.map(lambda sale: sale.ended(server), found)))
    return found


@pytest.fixture(scope="module")
def books(demo: dict[str, Any], sales: list[Sale]) -> dict[str, list[dict[str, Any]]]:
    with urllib.request.urlopen(f"{demo['sandbox']['url']}/books", timeout=60) as answer:
        read: dict[str, list[dict[str, Any]]] = json.load(answer)
    return read


def test_who_pays_has_paid_and_who_does_not_has_not(sales: list[Sale]) -> None:
    ends = Counter((sale.word, sale.pin, sale.seen["status"]) for sale in sales)
    assert ends["", False, PAID] == 300
    assert ends["", True, NOT_PAID] == 150
    assert ends["acts", True, PAID] == 100
    assert ends["declines", True, NOT_PAID] == 100
    assert ends["silent", True, NOT_PAID] == 50
    assert ends["waits", True, NOT_PAID] == 50
    assert ends["late", True, NOT_PAID] == 50


def test_no_payer_has_paid_twice(sales: list[Sale], books: dict[str, list[dict[str, Any]]]) -> None:
    charged = Counter(
        row["family"]["code"]
        for row in books["charges"]
        if row.get("family") and row["family"].get("code") and row["amount_captured"]
    )
    twice = [sale.code for sale in sales if charged[sale.code] > 1]
    assert not twice


def test_what_is_not_paid_is_given_back_or_was_never_taken(
    sales: list[Sale], books: dict[str, list[dict[str, Any]]]
) -> None:
    charges: dict[str, list[dict[str, Any]]] = {}
    for row in books["charges"]:
        if row.get("family"):
            charges.setdefault(row["family"].get("code") or "", []).append(row)
    reversed_ = {row["charge_reference"] for row in books["reversals"]}
    wrong = []
    for sale in sales:
        rows = charges.get(sale.code, [])
        kept = [row for row in rows if row["amount_captured"] and row["reference"] not in reversed_]
        late = sale.word == "late"  # it is put before a person, as it was paid after its end
        if sale.seen["status"] == PAID and len(kept) != 1:
            wrong.append((sale.word, "paid, and the books have", rows))
        if sale.seen["status"] == NOT_PAID and kept and not late:
            wrong.append((sale.word, "not paid, and the books have", rows))
    assert not wrong


def test_each_that_was_given_up_is_in_the_books_as_given_up(
    sales: list[Sale], books: dict[str, list[dict[str, Any]]]
) -> None:
    voided = {(row["provider"], row["charge"]) for row in books["voids"]}
    over = {row["charge_reference"] for row in books["reversals"]} | {
        row["reference"] for row in books["charges"] if (row["provider"], row["id"]) in voided
    }
    given_up = [
        sale.seen["last_payment_error"]
        for sale in sales
        if sale.seen["status"] == NOT_PAID
        and sale.seen["last_payment_error"]["code"] == "payment_intent_payment_attempt_expired"
    ]
    assert len(given_up) >= 50, "the providers of those that wait are told to give up"
    assert {error["charge"] for error in given_up} <= over


def test_the_checker_finds_nothing(demo: dict[str, Any], sales: list[Sale]) -> None:
    said = json.loads(bailiwick("check", "--data", str(demo["data"]), "--json"))
    assert not said["violations"], said
