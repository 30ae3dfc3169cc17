"""Amounts at a provider's scale. Pure."""

from decimal import Decimal

import msgspec

from bailiwick.base.money import CURRENCIES
from bailiwick.channels.contract import CannotExpress, Profile


def to_provider(profile: Profile, amount: int, currency: str) -> int:
    """Our minor units in the provider's.

    Raises:
        CannotExpress: this amount; routing asks ``expressible`` first.
    """
    if not expressible(profile, amount, currency):
        raise CannotExpress(
            f"{profile.title} cannot express {amount} minor units of {currency}; nothing was sent. "
            "Change the amount or the currency.",
            param="amount",
        )
    shift = _shift(profile, currency)
    return amount * _power(shift) if shift >= 0 else amount // _power(-shift)


def from_provider(profile: Profile, amount: int | None, currency: str | None) -> int | None:
    """The provider's minor units in ours; None when they are not a whole number of ours."""
    if amount is None or currency is None or currency not in CURRENCIES:
        return None
    shift = _shift(profile, currency)
    if shift <= 0:
        return amount * _power(-shift)
    whole, rest = divmod(amount, _power(shift))
    return whole if rest == 0 else None


def to_major(profile: Profile, amount: int, currency: str) -> str:
    """Our minor units as a provider has them that counts in whole units, with decimals: ``20.00``.

    Raises:
        CannotExpress: this amount.
    """
    places = _places(profile, currency) if currency in CURRENCIES else 0
    return f"{Decimal(to_provider(profile, amount, currency)).scaleb(-places):.{places}f}"


def number(profile: Profile, amount: int, currency: str) -> msgspec.Raw:
    """The same as a number in JSON, with all its decimals. Raises CannotExpress."""
    return msgspec.Raw(to_major(profile, amount, currency).encode())


def from_major(profile: Profile, amount: Decimal | None, currency: str | None) -> int | None:
    """Such an amount in our minor units; None when it is not a whole number of ours, or none."""
    if amount is None or currency is None or currency not in CURRENCIES:
        return None
    if not amount.is_finite() or not 0 <= amount <= _MAJOR_MAX:
        return None
    minor = amount.scaleb(_places(profile, currency))
    whole = int(minor)
    return from_provider(profile, whole, currency) if whole == minor else None


_MAJOR_MAX = 10**13


def _places(profile: Profile, currency: str) -> int:
    return profile.exponents.get(currency, CURRENCIES[currency].iso_exponent)


def _shift(profile: Profile, currency: str) -> int:
    return _places(profile, currency) - CURRENCIES[currency].exponent


def _power(places: int) -> int:
    power: int = 10**places
    return power


def expressible(profile: Profile, amount: int, currency: str) -> bool:
    """Whether the provider takes this currency and this very amount of it."""
    if profile.currencies is not None and currency not in profile.currencies:
        return False
    if currency not in CURRENCIES:
        return False
    lost = _power(max(0, -_shift(profile, currency)))
    return amount % lost == 0 and amount % profile.multiples.get(currency, 1) == 0


def told(
    profile: Profile, amount: int | None, currency: str | None
) -> tuple[int | None, str | None]:
    """Amount and currency as a provider names them, in ours; None for what is no such thing."""
    code = upper(currency)
    return from_provider(profile, amount, code), code


def upper(currency: str | None) -> str | None:
    """A provider's currency code as ours, or None when it is not a code at all."""
    if currency is None or len(currency) != 3 or not currency.isascii() or not currency.isalpha():
        return None
    return currency.upper()
