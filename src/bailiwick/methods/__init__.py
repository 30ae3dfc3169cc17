"""Types of payment methods: what payers call them, and how usual they are where. Pure.

A file for each, ``<type>.toml``, found by itself. Which gateway takes which is the gateways'
business, see ``routing``.
"""

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from bailiwick.methods.families import Family

Device = Literal["web", "mobile", "in_app", "terminal"]
DEVICES: tuple[Device, ...] = ("web", "mobile", "in_app", "terminal")
FALLBACK = "en"
"""The language in which everything has a name."""


class Method(msgspec.Struct, frozen=True):
    """One type of payment method.

    Attributes:
        family: how payer and provider mostly meet.
        devices: where a payer can use it: a browser on a desk or on a phone, the merchant's own
            app, a terminal in a shop.
        payers: the countries (ISO 3166-1 alpha-2) in which there are any; empty: everywhere.
        currencies: in which alone it pays; empty: in whichever the provider takes.
        usual: how far in front payers of a country expect it, from 0 to 100; ``default``:
            everywhere else. Judged by us, for an order that nobody has to look for theirs in;
            no market shares.
        names: by language (CLDR's names of locales), at least English; a brand has but one name.
        codes: a regular expression for the codes that its payers show, where these tell its own
            from others'.
    """

    family: Family
    devices: tuple[Device, ...]
    usual: dict[str, int]
    names: dict[str, str]
    payers: frozenset[str] = frozenset()
    codes: str | None = None
    currencies: tuple[str, ...] = ()

    def weight(self, country: str) -> int:
        """How usual it is in a country (ISO 3166-1 alpha-2)."""
        return self.usual.get(country, self.usual["default"])

    def name(self, language: str, script: str | None = None) -> str:
        """What it is called in a language, written in a script where that matters."""
        names = self.names
        return names.get(f"{language}_{script}") or names.get(language) or names[FALLBACK]


@cache
def every() -> dict[str, Method]:
    """All types, by the name that the API has for them."""
    found = sorted(files(__name__).iterdir(), key=lambda each: each.name)
    return {
        each.name.removesuffix(".toml"): msgspec.convert(
            tomllib.loads(each.read_text("utf-8")), Method
        )
        for each in found
        if each.name.endswith(".toml")
    }


def of_code(code: str) -> str | None:
    """The type whose payers show such a code; None where that tells nothing."""
    known = ((name, each.codes) for name, each in every().items())
    return next((name for name, codes in known if codes and re.fullmatch(codes, code)), None)


@cache
def languages() -> frozenset[str]:
    """The languages in which there are names."""
    return frozenset(name.partition("_")[0] for each in every().values() for name in each.names)
