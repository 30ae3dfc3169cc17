"""What the parameters of all resources have in common: types with their limits, lists, metadata.

Names and meanings follow the Stripe v1 API (https://docs.stripe.com/api). A resource has a struct
for each of its routes, checked at the edge; limits are on every length and count.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from bailiwick.base.errors import ApiError
from bailiwick.search.language import QUERY_CHARS_MAX

Text = Annotated[str, Meta(max_length=500)]
LongText = Annotated[str, Meta(max_length=1000)]
Amount = Annotated[int, Meta(ge=1)]
"""Minor units; how many there may be, ``base.money`` says, or what is left of them."""
METADATA_KEYS_MAX = 50
METADATA_KEY_CHARS_MAX = 40
Metadata = Annotated[dict[str, Text], Meta(max_length=METADATA_KEYS_MAX)]
Expand = Annotated[list[Text], Meta(max_length=10)]


class Address(msgspec.Struct, frozen=True, omit_defaults=True):
    """A postal address; stored and shown, not used."""

    line1: Text | None | UnsetType = UNSET
    line2: Text | None | UnsetType = UNSET
    city: Text | None | UnsetType = UNSET
    state: Text | None | UnsetType = UNSET
    postal_code: Text | None | UnsetType = UNSET
    country: Text | None | UnsetType = UNSET


class Retrieve(msgspec.Struct, frozen=True):
    """Query of a GET of one object."""

    expand: Expand = []


class Delete(msgspec.Struct, frozen=True):
    """Query of a DELETE, or its body: there is nothing to say."""

    expand: Expand = []


class SearchQuery(msgspec.Struct, frozen=True):
    """Query of a GET of a search."""

    query: Annotated[str, Meta(max_length=QUERY_CHARS_MAX)]
    limit: Annotated[int, Meta(ge=1, le=100)] = 10
    page: Text | None = None
    partial: Literal["allow"] | None = None
    expand: Expand = []


SECONDS_MAX = 2**53 // 1000 - 1
"""As milliseconds, every time up to this one, and the next, fits the database and a JSON number."""
Second = Annotated[int, Meta(ge=0, le=SECONDS_MAX)]


class Span(msgspec.Struct, frozen=True):
    """A range of creation times, in seconds since the Unix epoch."""

    gt: Second | None = None
    gte: Second | None = None
    lt: Second | None = None
    lte: Second | None = None


class Moment(msgspec.Struct, frozen=True):
    """One second of creation."""

    created: Second


class ListQuery(msgspec.Struct, frozen=True):
    """What the queries of all lists have."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 10
    starting_after: Text | None = None
    ending_before: Text | None = None
    created: Any = None
    partial: Literal["allow"] | None = None
    expand: Expand = []


def merged(old: dict[str, str], new: dict[str, str] | None | UnsetType) -> dict[str, str]:
    """Metadata after a change: an empty value removes its key, an empty text removes all.

    Raises:
        ApiError: 400, a name is too long, or there would be more keys than one request may give.
    """
    if isinstance(new, UnsetType):
        return old
    if new is None:
        return {}
    for name in new:
        if len(name) > METADATA_KEY_CHARS_MAX:
            raise ApiError.invalid(
                f"Metadata keys have at most {METADATA_KEY_CHARS_MAX} characters.",
                param=f"metadata[{name[:METADATA_KEY_CHARS_MAX]}]",
            )
    found = {key: value for key, value in {**old, **new}.items() if value != ""}
    if len(found) > max(METADATA_KEYS_MAX, len(old)):
        raise ApiError.invalid(
            f"There would be {len(found)} metadata keys; at most {METADATA_KEYS_MAX} are kept. "
            "Remove some by giving them an empty value.",
            param="metadata",
        )
    return found
