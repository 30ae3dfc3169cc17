"""Card numbers are refused in every field of a request, and repeated nowhere. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from bailiwick.base.cards import has_card_number, without_cards
from bailiwick.base.errors import ApiError
from bailiwick.methods.presented import without_code


def refuse_cards(params: Mapping[str, Any], *, chars_max: int | None = None) -> None:
    """Refuse a card number in any field, nested ones and names included; a code that a payer shows
    is none, see ``methods.presented``.

    ``chars_max``: how much to read at the most; None for all, of fields that are known to be no
    longer than they may be.

    Raises:
        ApiError: 400 naming the field; the number itself is repeated nowhere.
    """
    for holder, name, text in _fields(without_code(params), ""):
        if chars_max is not None:
            text = text[: max(0, chars_max - len(name))]
            chars_max -= len(name) + len(text)
            if chars_max < 0:
                return
        if has_card_number(name) or has_card_number(text):
            where = f"{holder}[{name}]" if holder else name
            shown = (holder or "a parameter's name") if has_card_number(name) else where
            shown = without_cards(shown)[:100]
            raise ApiError.invalid(
                f"{shown} holds a card number. Card numbers are not accepted: have the payer's "
                "browser exchange it for a token at the provider and send the token.",
                param=shown,
                code="card_number_refused",
            )


def _fields(params: Mapping[str, Any], holder: str) -> Iterator[tuple[str, str, str]]:
    """Each value as text, with its name and the name of what it is in."""
    for name, value in params.items():
        if isinstance(value, list):
            value = {str(place): item for place, item in enumerate(value)}
        if isinstance(value, dict):
            yield from _fields(value, f"{holder}[{name}]" if holder else name)
        else:
            yield holder, name, str(value)
