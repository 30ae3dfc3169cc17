"""In which language a payer is spoken to: as asked for, else as people of the place do (CLDR)."""

from functools import lru_cache

import msgspec
from babel import Locale, UnknownLocaleError
from babel.languages import get_official_languages

from bailiwick.base.errors import ApiError
from bailiwick.methods import FALLBACK, languages

CHARS_MAX = 35
"""As RFC 5646 (4.4.1) recommends for fields that hold a language tag."""
_TRADITIONAL = frozenset({"HK", "MO", "TW"})
"""Where Chinese is written in traditional characters (CLDR's likely subtags)."""


class Spoken(msgspec.Struct, frozen=True):
    """A language that payment methods have names in; ``tag``: as BCP 47 writes it, for a page."""

    language: str
    script: str | None
    tag: str


@lru_cache(1024)
def spoken(asked: str | None, country: str) -> Spoken:
    """The language for a payer in a country (ISO 3166-1 alpha-2).

    ``asked``: a language tag (BCP 47, RFC 5646), or ``auto``. A language without names falls back
    to English; without one that is asked for, it is the most used official one that has names.

    Raises:
        ApiError: 400, ``asked`` is no language tag, or none of a language that CLDR knows.
    """
    if asked is not None and asked != "auto":
        return _known(_parsed(asked))
    official = get_official_languages(country, de_facto=True)
    known = next((each for each in official if each.partition("_")[0] in languages()), FALLBACK)
    language, _, script = known.partition("_")
    if language == "zh":
        script = "Hant" if country in _TRADITIONAL else "Hans"
    return Spoken(language, script or None, f"{language}-{country}")


def _parsed(tag: str) -> Locale:
    try:
        found = Locale.parse(tag.replace("_", "-"), sep="-")
    except (UnknownLocaleError, ValueError):
        raise ApiError.invalid(
            f"Invalid locale: '{tag[:CHARS_MAX]}'. Send a language tag such as 'de' or 'pt-BR', or "
            "'auto' for the language of the payer's place.",
            param="locale",
            code="locale_invalid",
        ) from None
    return Locale("nb", found.territory) if found.language == "no" else found


def _known(locale: Locale) -> Spoken:
    if locale.language not in languages():
        return Spoken(FALLBACK, None, FALLBACK)
    script = locale.script
    if script is None and locale.language == "zh" and locale.territory in _TRADITIONAL:
        script = "Hant"
    return Spoken(locale.language, script, str(locale).replace("_", "-"))
