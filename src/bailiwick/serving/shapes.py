"""What the objects of all resources have in common, as their shapes declare it. Pure.

A resource's ``shape.py`` declares what its renderer shows: names, types, what may be null. The
description of the API is made from it (``openapi/``), and tests hold what is answered against it.
A shape is closed: a member that it does not name is a fault of the renderer, or of the shape.
"""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType


class Shape(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An object of the API. Members without a default are always there."""


class Expanded(msgspec.Struct, kw_only=True):
    """An object in the place of its id, because the request asked for that with ``expand``."""

    id: str
    object: str


Second = Annotated[int, Meta(ge=0, description="Seconds since the Unix epoch.")]
Count = Annotated[int, Meta(ge=0)]
Minor = Annotated[int, Meta(ge=0, description="In the currency's minor unit.")]
Currency = Annotated[str, Meta(pattern="^[a-z]{3}$", description="ISO 4217, in lower case.")]
Metadata = Annotated[dict[str, str], Meta(max_length=50)]
Open = dict[str, Any]
"""An object whose members are not promised."""


class Address(Shape):
    """A postal address."""

    city: str | None
    country: str | None
    line1: str | None
    line2: str | None
    postal_code: str | None
    state: str | None


class Billing(Shape):
    """Who pays."""

    address: Address | None
    email: str | None
    name: str | None
    phone: str | None
    tax_id: str | None


class Place(Shape):
    """Where the payer is taken to be, and by which evidence. Ours."""

    country: str
    subdivision: str | None
    source: str
    confidence: str
    evidence: dict[str, str]
    contradictions: list[str]
    coordinates: list[float] | None | UnsetType = UNSET


class KeptPlace(Shape):
    """Where a record's payer was taken to be when it was made. Ours."""

    country: str
    subdivision: str | None
    source: str


class Deleted(Shape):
    """What is left of an object that was deleted."""

    id: str
    object: str
    deleted: bool
