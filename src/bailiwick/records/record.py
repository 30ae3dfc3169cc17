"""A record as it is stored. Pure."""

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

_details = msgspec.json.Decoder(dict[str, Any]).decode


class Record(msgspec.Struct, frozen=True):
    """A record: the fields are the columns of ``record_find``, in order.

    Attributes:
        active: in lists; not: deleted, detached.
        belongs_to: the record that it is one of, and erased with.
        found_by: what lists are filtered by.
        stays_with: numbers of the nodes in whose regions it may be shown; None: anywhere.
        details: all else; nothing at all once it is erased.
    """

    id: str
    merchant: str
    livemode: bool
    version: int
    active: bool
    belongs_to: str | None
    found_by: str | None
    stays_with: list[int] | None
    created_ms: int
    updated_ms: int
    details: dict[str, Any]

    @property
    def erased(self) -> bool:
        """Whether what it said is gone for ever."""
        return not self.details


def record_of(row: Iterable[Any]) -> Record:
    """A record from its columns, in order."""
    values = list(row)
    values[10] = _details(values[10])
    return Record(*values)


def made(
    identifier: str,
    merchant: str,
    livemode: bool,
    now_ms: int,
    details: dict[str, Any],
    stays_with: list[int] | None,
    *,
    active: bool = True,
    belongs_to: str | None = None,
    found_by: str | None = None,
) -> Record:
    """A new record."""
    return Record(
        id=identifier,
        merchant=merchant,
        livemode=livemode,
        version=1,
        active=active,
        belongs_to=belongs_to,
        found_by=found_by,
        stays_with=stays_with,
        created_ms=now_ms,
        updated_ms=now_ms,
        details=details,
    )


def changed(row: Record, now_ms: int, **columns: Any) -> Record:
    """The next version of a record."""
    return msgspec.structs.replace(row, version=row.version + 1, updated_ms=now_ms, **columns)


def erased(row: Record, now_ms: int) -> Record:
    """The next version of a record, without anything that it said."""
    return changed(row, now_ms, active=False, belongs_to=None, found_by=None, details={})


class Staying(Protocol):
    """What may have to stay in some regions: a record, or what is kept with one."""

    @property
    def stays_with(self) -> list[int] | None: ...


def stays(row: Staying, region: int) -> bool:
    """Whether a record may not be shown in the region of node ``region``; 0: of none."""
    return bool(region) and row.stays_with is not None and region not in row.stays_with
