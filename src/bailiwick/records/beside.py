"""Records written beside an order, in the commit of its move. Pure.

An order of a kind whose table says ``records`` brings them (``records_beside.sql``). It moves only
if they are as they were when that was decided; what belongs to somebody who was erased meanwhile is
not written.
"""

from bailiwick.base.objects import Object, text
from bailiwick.orders.rows import Beside, Told
from bailiwick.records.record import Record

NAME = "records"


class RecordTold(Told, frozen=True, kw_only=True):
    """A version of a record: ``records`` of ``records_beside.sql``."""

    id: str
    version: int
    active: bool
    belongs_to: str | None
    stays_with: list[int] | None
    details: str
    body: str


def told(row: Record, event: str, shown: Object) -> RecordTold:
    """A record's next version, with the event that tells of it as it is ``shown``."""
    return RecordTold(
        event=event,
        id=row.id,
        version=row.version,
        active=row.active,
        belongs_to=row.belongs_to,
        stays_with=row.stays_with,
        details=text(row.details),
        body=text(shown),
    )


def beside(rows: list[RecordTold]) -> Beside | None:
    """These as what a transition brings; None for nothing."""
    return {NAME: list(rows)} if rows else None
