"""One record erased: its id, times and versions stay."""

from bailiwick.base.clock import now_ms
from bailiwick.base.objects import Object
from bailiwick.erasure.tables import records
from bailiwick.erasure.work import Work
from bailiwick.records.record import Record
from bailiwick.records.records import Writing
from bailiwick.resources.customers.commands import erase


async def erase_record(work: Work, identifier: str) -> bool:
    """Erase a record as its resource does it; False: it is gone already, or was never there."""
    writing = Writing(work.connection, work.node, work.endpoints, None)
    row = await writing.lock(identifier)
    if row is None or row.erased:
        return False
    how = records().get(identifier.partition("_")[0], _plainly)
    await how(writing, row, now_ms())
    await note_records(work, row)
    return True


async def _plainly(writing: Writing, row: Record, now: int) -> Object:
    return await erase(writing, row, now, "")


async def note_records(work: Work, *rows: Record) -> None:
    """Note whose records are erased, each by its next version."""
    for each in rows:
        await work.note(each.id, each.version + 1)
        await work.forget_said(each.id)
