"""Money: an integer of minor units and a currency of our frozen ISO 4217 table.

Source: ISO 4217 list one of 2026-01-01 (and list three for the withdrawn codes). CLDR is not
used: its exponents differ from the standard for more than ten currencies.
"""

import msgspec

from bailiwick.base.errors import ApiError

AMOUNT_MAX = 99_999_999_999
"""Largest amount of one payment, in minor units (twelve digits are what ISO 8583 carries)."""

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


class Currency(msgspec.Struct, frozen=True):
    """One currency: its ISO 4217 code, decimal places of its minor unit, and whether withdrawn."""

    code: str
    exponent: int
    withdrawn: bool = False


CURRENCIES: dict[str, Currency] = {
    code: Currency(code, exponent, withdrawn)
    for table, withdrawn in ((_WITHDRAWN, True), (_ACTIVE, False))
    for exponent, codes in table.items()
    for code in codes.split()
}


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
