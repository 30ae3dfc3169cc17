"""Whose row it is: a merchant sees its own of its own mode, and nothing tells it of any other."""

from typing import Protocol, TypeVar

from bailiwick.base.errors import ApiError


class Identified(Protocol):
    """A merchant, by its id."""

    @property
    def id(self) -> str: ...


class Owner(Protocol):
    """On whose behalf something is asked."""

    @property
    def merchant(self) -> Identified: ...
    @property
    def livemode(self) -> bool: ...


class Owned(Protocol):
    """A stored row that belongs to a merchant."""

    @property
    def merchant(self) -> str: ...
    @property
    def livemode(self) -> bool: ...


RowT = TypeVar("RowT", bound=Owned)


def own(
    row: RowT | None, who: Owner, kind: str, identifier: str, *, param: str | None = "id"
) -> RowT:
    """The row, if it is theirs.

    Raises:
        ApiError: 404, alike for what does not exist and for what is another's.
    """
    if row is None or row.merchant != who.merchant.id or row.livemode != who.livemode:
        raise ApiError.missing(kind, identifier, param=param)
    return row
