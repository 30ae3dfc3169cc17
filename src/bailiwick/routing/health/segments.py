"""Segments of a gateway's traffic: by type of payment method, and country of the payer. Pure.

Where a card was issued is not told by a token: the payer's country stands for it.
"""

from typing import Final

ALL: Final = ""
"""Stands for all of it."""


def segment_of(method: str, country: str) -> str:
    """The name of a segment."""
    return f"{method} {country}"
