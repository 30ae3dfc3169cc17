"""The bank's own list of currencies.

Source: ISO 4217 list one (active codes), published by SIX, as of 1 January 2026; funds codes,
precious metals and testing codes are left out because nobody can be charged in them.
"""

from __future__ import annotations

from typing import Final

_ACTIVE: Final = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD
    CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP
    GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD
    KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN
    NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP
    SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES
    VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
_WITHOUT_DECIMALS: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE_DECIMALS: Final = "BHD IQD JOD KWD LYD OMR TND"

CODES: Final = frozenset(_ACTIVE.split())
_EXPONENTS: Final = dict.fromkeys(_WITHOUT_DECIMALS.split(), 0) | dict.fromkeys(
    _THREE_DECIMALS.split(), 3
)
_SPELLINGS: Final = CODES | {code.lower() for code in CODES}


def known(currency: str) -> bool:
    """Whether the code is active, in capitals or in small letters throughout."""
    return currency in _SPELLINGS


def display(amount: int, currency: str) -> str:
    """An amount of minor units for a person to read, such as ``12.50 EUR``."""
    code = currency.upper()
    digits = _EXPONENTS.get(code, 2)
    if digits == 0:
        return f"{amount:,} {code}"
    whole, rest = divmod(amount, 10**digits)
    return f"{whole:,}.{rest:0{digits}d} {code}"
