"""Money: an integer of minor units and a currency of our frozen ISO 4217 table.

Source: ISO 4217 list one of 2026-01-01 (and list three for the withdrawn codes). CLDR is not
used: its exponents differ from the standard for more than ten currencies. In three currencies the
minor unit of the API, and so of all we store, is Stripe's and not the standard's (``_AT_STRIPE``);
which amounts may be charged is Stripe's too: https://docs.stripe.com/currencies, read 2026-09.
"""

from collections.abc import Collection

import msgspec

from bailiwick.base.errors import ApiError

NO_CURRENCY = "XXX"
"""ISO 4217's code where no currency is involved: of what moves no money."""
AMOUNT_MAX = 999_999_999_999
"""Largest amount of one payment, in minor units: twelve digits, Stripe's most for a card, and what
ISO 8583 carries."""

_ACTIVE: dict[int, str] = {
    0: ("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN "
        "BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD "
        "FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW "
        "KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR "
        "MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG "
        "SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD "
        "USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG"
    ),
    3: ("BHD IQD JOD KWD LYD OMR TND"),
    4: ("CLF UYW"),
}

_WITHDRAWN: dict[int, str] = {
    0: ("BYR"),
    2: ("ANG BGN CUC HRK LTL LVL MRO SLL STD VEF ZMK ZWL"),
}


# https://docs.stripe.com/currencies#special-cases and #zero-decimal: ISK and UGX have no minor unit
# but are written with two zeros; the ariary's fifths are not written at all.
_AT_STRIPE = {"ISK": 2, "UGX": 2, "MGA": 0}

# There too, and https://docs.stripe.com/currencies#three-decimal: of an amount that is charged,
# captured or refunded. HUF and TWD are whole in payouts only.
_MULTIPLES = {"ISK": 100, "UGX": 100} | dict.fromkeys(("BHD", "JOD", "KWD", "OMR", "TND"), 10)

# https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts, in minor units. Stripe
# measures in the currency that it settles in; we convert nothing, so what stands not here has none.
_MINIMUMS = {
    30: "GBP",
    50: "ARS AUD BRL CAD CHF COP EUR IDR ILS INR JPY KRW NZD PHP RUB SGD USD ZAR",
    200: "AED MYR PLN RON",
    250: "DKK",
    300: "NOK SEK",
    400: "HKD",
    1_000: "MXN THB",
    1_500: "CZK",
    17_500: "HUF",
}
_WITHOUT_MINIMUM = frozenset({"ideal"})
"""Types of payment methods that Stripe takes the smallest amounts by."""

PAYOUT_MULTIPLES = {**_MULTIPLES, "HUF": 100, "TWD": 100}
"""Of what so much must be paid out; see ``_MULTIPLES``."""


class Currency(msgspec.Struct, frozen=True):
    """One currency.

    Attributes:
        code: of ISO 4217.
        exponent: decimal places of its minor unit on our API, and in all we store.
        iso_exponent: those of ISO 4217, which providers use if they declare nothing else.
        withdrawn: it can only be refunded.
        multiple: amounts are multiples of so many minor units.
        minimum: the smallest charge, in minor units; see ``payment_amount``.
    """

    code: str
    exponent: int
    iso_exponent: int
    withdrawn: bool = False
    multiple: int = 1
    minimum: int = 1


def _table() -> dict[str, Currency]:
    minimums = {code: least for least, codes in _MINIMUMS.items() for code in codes.split()}
    return {
        code: Currency(
            code,
            _AT_STRIPE.get(code, exponent),
            exponent,
            withdrawn,
            _MULTIPLES.get(code, 1),
            minimums.get(code, _MULTIPLES.get(code, 1)),
        )
        for table, withdrawn in ((_WITHDRAWN, True), (_ACTIVE, False))
        for exponent, codes in table.items()
        for code in codes.split()
    }


CURRENCIES: dict[str, Currency] = _table()


class Money(msgspec.Struct, frozen=True):
    """An amount in minor units of a currency (upper-case ISO 4217 code)."""

    amount: int
    currency: str

    def decimal(self, exponent: int | None = None) -> str:
        """The amount as a decimal string, as providers that count in major units want it.

        ``exponent`` overrides the table where a provider has its own idea of a currency.
        """
        places = CURRENCIES[self.currency].exponent if exponent is None else exponent
        if places == 0:
            return str(self.amount)
        sign = "-" if self.amount < 0 else ""
        digits = str(abs(self.amount)).rjust(places + 1, "0")
        return f"{sign}{digits[:-places]}.{digits[-places:]}"


def parse_decimal(text: str, currency: str, exponent: int | None = None) -> Money:
    """The inverse of ``Money.decimal``; exact, no binary fractions in between.

    Raises:
        ValueError: not a plain decimal number, or more places than the currency has.
    """
    places = CURRENCIES[currency].exponent if exponent is None else exponent
    whole, dot, fraction = text.strip().partition(".")
    sign = -1 if whole.startswith("-") else 1
    whole = whole.removeprefix("-")
    plain = whole.isascii() and whole.isdigit() and (not dot or fraction.isdigit())
    if not plain or not fraction.isascii() or len(fraction.rstrip("0")) > places:
        raise ValueError(f"not an amount of {currency}: {text[:32]!r}")
    return Money(sign * int(whole + fraction[:places].ljust(places, "0")), currency)


def payment_currency(code: str) -> str:
    """The upper-case code of a currency that new payments may use.

    Raises:
        ApiError: 400, unknown or withdrawn currency.
    """
    found = CURRENCIES.get(code.upper()) if code.isascii() else None
    if found is None:
        raise ApiError.invalid(
            f"Invalid currency: {code[:16]}. Use a three-letter ISO 4217 code such as 'eur'.",
            param="currency",
            code="invalid_currency",
        )
    if found.withdrawn:
        raise ApiError.invalid(
            f"Currency {found.code} was withdrawn: it can only be refunded. Use its successor.",
            param="currency",
            code="invalid_currency",
        )
    return found.code


def check_multiple(amount: int, currency: str, param: str) -> None:
    """Refuse a part of a unit that the currency's minor unit could write but nobody can pay.

    Raises:
        ApiError: 400 naming ``param``.
    """
    unit = CURRENCIES[currency].multiple
    if amount % unit == 0:
        return
    whole = Money(unit, currency).decimal()
    raise ApiError.invalid(
        f"Invalid {param}: {amount}. An amount in {currency} must be divisible by {unit} "
        f"({whole} {currency}).",
        param=param,
        code="parameter_invalid_integer",
    )


def payment_amount(amount: int, currency: str, methods: Collection[str] = ()) -> None:
    """Refuse an amount that may not be charged in a currency; ``methods``: by which types.

    Raises:
        ApiError: 400, ``amount_too_small``, ``amount_too_large`` or no multiple; names ``amount``.
    """
    least = CURRENCIES[currency].minimum
    if amount < least and not (methods and _WITHOUT_MINIMUM.issuperset(methods)):
        raise _outside(f"Amount must be at least {_shown(least, currency)}.", "amount_too_small")
    if amount > AMOUNT_MAX:
        most = AMOUNT_MAX - AMOUNT_MAX % CURRENCIES[currency].multiple
        raise _outside(f"Amount must be no more than {_shown(most, currency)}.", "amount_too_large")
    check_multiple(amount, currency, "amount")


def _shown(amount: int, currency: str) -> str:
    return f"{Money(amount, currency).decimal()} {currency} (amount={amount})"


def _outside(message: str, code: str) -> ApiError:
    return ApiError.invalid(message, param="amount", code=code)
