"""Objects of the API as JSON, and the version of the format that they follow. Pure."""

from collections.abc import Sequence
from typing import Any

import msgspec

API_VERSION = "2026-10-28.endive"
"""Of the Stripe API whose shapes are followed (https://docs.stripe.com/api)."""
Object = dict[str, Any]
_encode = msgspec.json.Encoder().encode


def encode(value: Any) -> msgspec.Raw:
    """An object as JSON bytes that nobody re-encodes."""
    return msgspec.Raw(_encode(value))


def text(value: Any) -> str:
    """An object as JSON text."""
    return _encode(value).decode()


def page(objects: Sequence[Object | msgspec.Raw], url: str, has_more: bool) -> Object:
    """A list answer."""
    return {"object": "list", "url": url, "has_more": has_more, "data": objects}
