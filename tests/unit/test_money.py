"""Money: exact over all of ISO 4217, at our scale and at a provider's."""

import iso4217
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.base.errors import ApiError
from bailiwick.base.money import CURRENCIES, Money, parse_decimal, payment_currency
from bailiwick.channels import common
from bailiwick.channels.base import Operation, Profile, Resolve

codes = st.sampled_from(sorted(CURRENCIES))
amounts = st.integers(-(10**13), 10**13)
WAYS: dict[Operation, tuple[Resolve, ...]] = dict.fromkeys(Operation, (Resolve.REFERENCE,))


def profile(exponents: dict[str, int]) -> Profile:
    return Profile("test", "Test", WAYS, 0, exponents=exponents)


def test_the_table_is_the_standard_s() -> None:
    standard = {each.code: each.exponent for each in iso4217.Currency if each.exponent is not None}
    ours = {code: each.exponent for code, each in CURRENCIES.items() if not each.withdrawn}
    shared = set(ours) & set(standard)
    assert len(shared) > 150
    assert {code: ours[code] for code in shared} == {code: standard[code] for code in shared}
    for code, exponent in (("JPY", 0), ("KWD", 3), ("EUR", 2), ("CLF", 4), ("ISK", 0), ("HUF", 2)):
        assert ours[code] == exponent


@given(codes, amounts)
def test_decimal_text_and_back(code: str, amount: int) -> None:
    money = Money(amount, code)
    assert parse_decimal(money.decimal(), code) == money


@given(codes, amounts, st.integers(0, 6))
def test_decimal_text_and_back_at_a_provider_s_scale(code: str, amount: int, places: int) -> None:
    text = Money(amount, code).decimal(places)
    assert parse_decimal(text, code, places) == Money(amount, code)
    assert len(text.partition(".")[2]) == places


@given(codes, st.integers(1, 10**11), st.integers(0, 6))
def test_a_provider_s_minor_units_and_back(code: str, amount: int, places: int) -> None:
    channel = profile({code: places})
    loses = CURRENCIES[code].exponent - places
    if loses > 0 and amount % 10**loses:
        exact = Profile(
            "test", "Test", WAYS, 0, exponents={code: places}, multiples={code: 10**loses}
        )
        assert not common.expressible(exact, amount, code)
        with pytest.raises(ValueError, match="cannot express"):
            common.to_provider(exact, amount, code)
        return
    assert common.from_provider(channel, common.to_provider(channel, amount, code), code) == amount


@pytest.mark.parametrize(
    ("amount", "code", "text"),
    [(1, "JPY", "1"), (1, "EUR", "0.01"), (-5, "EUR", "-0.05"), (1234, "KWD", "1.234"),
     (1, "CLF", "0.0001"), (100, "EUR", "1.00"), (-100, "JPY", "-100")],
)  # fmt: skip
def test_known_amounts(amount: int, code: str, text: str) -> None:
    assert Money(amount, code).decimal() == text
    assert parse_decimal(text, code) == Money(amount, code)


def test_trailing_zeros_say_nothing() -> None:
    assert parse_decimal("1.000", "JPY") == Money(1, "JPY")
    assert parse_decimal("1.5", "EUR") == Money(150, "EUR")


@pytest.mark.parametrize(
    "text",
    ["", ".", ".5", "5.", "1e3", "0x1", "1,5", "1 0", "--1", "+1", "1.001", "nan", "inf", "１",
     "1.٥", "1_000"],
)  # fmt: skip
def test_what_is_not_an_amount(text: str) -> None:
    with pytest.raises(ValueError, match="not an amount"):
        parse_decimal(text, "EUR")


def test_payments_take_only_currencies_in_use() -> None:
    assert payment_currency("eur") == payment_currency("EUR") == "EUR"
    for bad in ("xxx", "", "euro", "ａｂｃ", "EU", "ıls", "HRK", "hrk"):
        with pytest.raises(ApiError) as refused:
            payment_currency(bad)
        assert (refused.value.status, refused.value.param) == (400, "currency")
