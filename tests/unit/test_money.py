"""Money: exact over all of ISO 4217, at our scale and at a provider's."""

import iso4217
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.base.errors import ApiError
from bailiwick.base.money import (
    AMOUNT_MAX,
    CURRENCIES,
    PAYOUT_MULTIPLES,
    Money,
    parse_decimal,
    payment_amount,
    payment_currency,
)
from bailiwick.channels.blocks import amounts
from bailiwick.channels.contract import Operation, Profile, Resolve

codes = st.sampled_from(sorted(CURRENCIES))
minor_units = st.integers(-(10**13), 10**13)
WAYS: dict[Operation, tuple[Resolve, ...]] = dict.fromkeys(Operation, (Resolve.REFERENCE,))


def profile(exponents: dict[str, int]) -> Profile:
    return Profile("test", "Test", WAYS, 0, exponents=exponents)


def test_the_table_is_the_standard_s() -> None:
    standard = {each.code: each.exponent for each in iso4217.Currency if each.exponent is not None}
    ours = {code: each.iso_exponent for code, each in CURRENCIES.items() if not each.withdrawn}
    shared = set(ours) & set(standard)
    assert len(shared) > 150
    assert {code: ours[code] for code in shared} == {code: standard[code] for code in shared}
    for code, exponent in (("JPY", 0), ("KWD", 3), ("EUR", 2), ("CLF", 4), ("ISK", 0), ("HUF", 2)):
        assert ours[code] == exponent


def test_three_currencies_have_stripe_s_minor_unit_on_the_api() -> None:
    other = {
        code: each.exponent
        for code, each in CURRENCIES.items()
        if each.exponent != each.iso_exponent
    }
    assert other == {"ISK": 2, "UGX": 2, "MGA": 0}


@pytest.mark.parametrize(
    ("currency", "amount", "sent"),
    [("ISK", 500, 5), ("UGX", 500, 5), ("MGA", 10, 1000), ("JPY", 500, 500), ("KWD", 5120, 5120)],
)
def test_a_provider_that_declares_nothing_counts_as_iso_4217(
    currency: str, amount: int, sent: int
) -> None:
    assert amounts.to_provider(profile({}), amount, currency) == sent
    assert amounts.from_provider(profile({}), sent, currency) == amount


def test_an_amount_between_units_is_no_amount() -> None:
    assert amounts.from_provider(profile({}), 1050, "MGA") is None
    assert not amounts.expressible(profile({}), 550, "ISK")
    assert amounts.from_provider(profile({}), 10, "ZZZ") is None


@given(codes, minor_units)
def test_decimal_text_and_back(code: str, amount: int) -> None:
    money = Money(amount, code)
    assert parse_decimal(money.decimal(), code) == money


@given(codes, minor_units, st.integers(0, 6))
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
        assert not amounts.expressible(exact, amount, code)
        with pytest.raises(ValueError, match="cannot express"):
            amounts.to_provider(exact, amount, code)
        return
    assert (
        amounts.from_provider(channel, amounts.to_provider(channel, amount, code), code) == amount
    )


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


def refusal(amount: int, currency: str, *methods: str) -> ApiError | None:
    try:
        payment_amount(amount, currency, methods)
    except ApiError as error:
        return error if (error.status, error.param) == (400, "amount") else None
    return None


@given(codes, st.integers(1, 2 * AMOUNT_MAX))
def test_an_amount_is_taken_or_refused_for_one_reason(code: str, amount: int) -> None:
    rule = CURRENCIES[code]
    error = refusal(amount, code)
    if amount < rule.minimum:
        assert error is not None
        assert error.code == "amount_too_small"
        assert f"(amount={rule.minimum})" in error.message
    elif amount > AMOUNT_MAX:
        assert error is not None
        assert error.code == "amount_too_large"
    elif amount % rule.multiple:
        assert error is not None
        assert error.code == "parameter_invalid_integer"
        assert f"divisible by {rule.multiple}" in error.message
    else:
        assert error is None


@given(codes)
def test_what_a_refusal_names_is_taken(code: str) -> None:
    for wrong in (0, 2 * AMOUNT_MAX):
        error = refusal(wrong, code)
        assert error is not None
        named = int(error.message.partition("(amount=")[2].partition(")")[0])
        assert refusal(named, code) is None
        beyond = named - 1 if wrong == 0 else named + CURRENCIES[code].multiple
        assert refusal(beyond, code) is not None


@given(codes, st.integers(1, 10**9))
def test_what_may_be_charged_reaches_a_provider_of_iso_4217_whole(code: str, amount: int) -> None:
    rule = CURRENCIES[code]
    if amount % rule.multiple == 0:
        sent = amounts.to_provider(profile({}), amount, code)
        assert sent * 10**rule.exponent == amount * 10**rule.iso_exponent


@pytest.mark.parametrize(
    ("amount", "currency", "code"),
    [(49, "EUR", "amount_too_small"), (50, "EUR", None), (29, "GBP", "amount_too_small"),
     (30, "GBP", None), (49, "JPY", "amount_too_small"), (50, "JPY", None), (1, "VND", None),
     (17_499, "HUF", "amount_too_small"), (17_501, "HUF", None), (101, "TWD", None),
     (5_124, "KWD", "parameter_invalid_integer"), (5_120, "KWD", None), (1_001, "IQD", None),
     (550, "ISK", "parameter_invalid_integer"), (500, "ISK", None), (99, "UGX", "amount_too_small"),
     (999_999_999_999, "USD", None), (1_000_000_000_000, "USD", "amount_too_large")],
)  # fmt: skip
def test_what_stripe_documents_of_charges(amount: int, currency: str, code: str | None) -> None:
    error = refusal(amount, currency)
    assert (None if error is None else error.code) == code


def test_methods_that_take_the_smallest_amounts() -> None:
    assert refusal(1, "EUR", "ideal") is None
    assert refusal(1, "EUR", "ideal", "card") is not None
    assert refusal(0, "EUR", "card") is not None


def test_payouts_are_whole_in_more_currencies() -> None:
    assert PAYOUT_MULTIPLES["HUF"] == PAYOUT_MULTIPLES["TWD"] == PAYOUT_MULTIPLES["ISK"] == 100
    assert CURRENCIES["HUF"].multiple == CURRENCIES["TWD"].multiple == 1
