"""What a request says about the payer's place, read alike by access and node. Pure in effect:
nothing but the parameters counts, in particular no header such as ``X-Forwarded-For``."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from bailiwick.jurisdiction.locate import Evidence, parse_coordinates
from bailiwick.wire.forms import struct_from

_NONE = Evidence()


class LocationParams(msgspec.Struct, frozen=True):
    """The ``location`` parameter of a request: the one thing added to Stripe's format."""

    country: Annotated[str, Meta(max_length=64)] | None = None
    subdivision: Annotated[str, Meta(max_length=64)] | None = None
    coordinates: Annotated[str, Meta(max_length=64)] | None = None
    ip_address: Annotated[str, Meta(max_length=64)] | None = None


def evidence_from(params: dict[str, Any]) -> Evidence:
    """The evidence in the parameters of a create or explain request.

    Raises:
        ApiError: 400, a ``location`` that is empty or no object, or has unknown or empty fields.
    """
    if "location" not in params:
        return _NONE
    return evidence(struct_from({"location": params["location"]}, _Holder).location)


class _Holder(msgspec.Struct, frozen=True):
    location: LocationParams


def evidence(found: LocationParams | None) -> Evidence:
    """Typed location parameters as evidence. Raises ApiError (400)."""
    if found is None:
        return _NONE
    point = None if found.coordinates is None else parse_coordinates(found.coordinates)
    return Evidence(found.country, found.subdivision, point, found.ip_address)


def may_move_money(params: dict[str, Any]) -> bool:
    """Whether a create request may charge at once: anything but a clear no counts as yes."""
    return params.get("confirm") not in (None, "", "false", False)
