"""The frozen table of places: ISO 3166-1 countries, XK, and ISO 3166-2 subdivisions.

Pure but for one read of a packaged file at first use. Source: ``data/places.json``.
"""

import difflib
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

import msgspec


class Places(msgspec.Struct, frozen=True):
    """Every place that a request or a rule may name.

    Attributes:
        countries: alpha-2 code to English name.
        alpha3: alpha-3 code to alpha-2, for suggestions.
        mistakes: codes people write that ISO does not assign (UK), to what they mean.
        features: borders' own features (crimea) to what they mean by default, None: undecided.
        subdivisions: all ISO 3166-2 codes, "US-CA".
        same_as_country: subdivisions that are also countries of their own, US-PR to PR.
        withdrawn: former subdivision codes to their successors.
    """

    countries: Mapping[str, str]
    alpha3: Mapping[str, str]
    mistakes: Mapping[str, str]
    features: Mapping[str, str | None]
    subdivisions: frozenset[str]
    same_as_country: Mapping[str, str]
    withdrawn: Mapping[str, tuple[str, ...]]

    def nearest_country(self, text: str) -> str | None:
        """The country code that a wrong one most likely means; never used to decide."""
        wanted = text.strip()
        upper = wanted.upper()
        if upper in self.countries:
            return upper
        known = self.mistakes.get(upper) or self.alpha3.get(upper)
        if known is not None:
            return known
        names = {name.lower(): code for code, name in self.countries.items()}
        match = nearest(wanted.lower(), names)
        return names[match] if match is not None else nearest(upper, self.countries)

    def explain_country(self, text: str) -> str:
        """A sentence on why ``text`` is no country, with the nearest one."""
        guess = self.nearest_country(text)
        hint = f" Did you mean '{guess}' ({self.countries[guess]})?" if guess else ""
        return f"'{text[:40]}' is not an ISO 3166-1 alpha-2 country code.{hint}"

    def explain_subdivision(self, code: str) -> str:
        """A sentence on why ``code`` ("US-XX") is no subdivision, with the nearest one."""
        if code in self.withdrawn:
            now = " or ".join(self.withdrawn[code])
            return f"'{code}' was withdrawn from ISO 3166-2; use {now}."
        same = [known for known in self.subdivisions if known[:3] == code[:3]]
        if not same:
            return f"'{code[:40]}' is not an ISO 3166-2 code; '{code[:2]}' has no subdivisions."
        guess = nearest(code, sorted(same))
        hint = f" Did you mean '{guess}'?" if guess else ""
        return f"'{code[:40]}' is not an ISO 3166-2 subdivision code.{hint}"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like ``word``, or None when nothing is close."""
    found = difflib.get_close_matches(word[:64], list(known), n=1, cutoff=0.6)
    return found[0] if found else None


@lru_cache(maxsize=1)
def load_places() -> Places:
    """The packaged table (read once per process)."""
    raw = resources.files("bailiwick.data").joinpath("places.json").read_bytes()
    table: dict[str, Any] = json.loads(raw)
    return Places(
        countries=table["countries"],
        alpha3=table["alpha3"],
        mistakes=table["mistakes"],
        features=table["features"],
        subdivisions=frozenset(
            f"{country}-{part}"
            for country, parts in table["subdivisions"].items()
            for part in parts.split()
        ),
        same_as_country=table["same_as_country"],
        withdrawn={code: tuple(new) for code, new in table["withdrawn"].items()},
    )
