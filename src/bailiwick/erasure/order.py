"""One order erased: the row stays as it is, what its events tell is replaced by what is left."""

from typing import Any

import msgspec
from msgspec.structs import replace

from bailiwick.base.clock import now_ms
from bailiwick.base.ids import new_id, new_token, part_id
from bailiwick.base.objects import text
from bailiwick.erasure.payer import Open
from bailiwick.erasure.record import erase_record
from bailiwick.erasure.tables import beside, stays
from bailiwick.erasure.work import Work
from bailiwick.orders.attempts import OPEN
from bailiwick.serving.erasing import (
    Beside,
    Erasing,
    body_left,
    instruction_left,
    result_left,
)


class ErasureError(Exception):
    """Nothing can be erased here; the message has the remedy."""


class Attempt(msgspec.Struct, frozen=True):
    """What counts of an attempt here."""

    id: str
    state: str
    result: str | None


class StillOpen(Exception):
    """Something of it is open: it was not erased."""

    def __init__(self, found: list[Open]) -> None:
        super().__init__("; ".join(each.words for each in found))
        self.found = found


async def open_of(work: Work, of: Erasing, identifier: str) -> list[Open]:
    """What of an order is open still."""
    order = await _read(work, of, identifier)
    attempts = await _attempts(work, of, order)
    found = [Open(identifier, "attempt", each.id) for each in attempts if each.state in OPEN]
    found += [Open(identifier, *row) for row in await work.rows("erase_open", identifier)]
    if not found and order.state not in of.ended:
        found.append(Open(identifier, order.state, identifier))
    return found


async def erase_order(work: Work, of: Erasing, identifier: str) -> bool:
    """Erase what is personal of an order; False: nothing is, any more.

    Raises:
        StillOpen, ErasureError: nothing is written.
    """
    await work.rows(of.lock, identifier)
    found = await open_of(work, of, identifier)
    if found:
        raise StillOpen(found)
    before = await _read(work, of, identifier)
    events = await _events(work, of, identifier)
    results = _results(await _attempts(work, of, before))
    rows = [(each, await _beside(work, each, identifier)) for each in beside(of.prefix)]
    said = await work.forget_said(identifier)
    personal = events or results or said or any(changes for _, changes in rows)
    if not personal and await work.noted(identifier):
        return False
    after = of.left(replace(before, version=before.version + 1, updated_ms=now_ms()))
    await work.note(identifier, after.version)
    for event in events:
        await work.rows("erase_event", identifier, *event)
    for attempt, result in results:
        await work.rows("erase_result", attempt, result)
    for each, changes in rows:
        for row, details, named in changes:
            await work.rows(each.write, row, details)
            for record in named:
                await erase_record(work, record)
    await _told(work, of, before.version, after)
    return True


async def _read(work: Work, of: Erasing, identifier: str) -> Any:
    return of.order_of((await work.rows(of.find, identifier))[0])


async def _events(work: Work, of: Erasing, identifier: str) -> list[tuple[Any, ...]]:
    """The events that tell something personal, each with what is left of that."""
    changed = []
    for seq, body, content, instruction, answer in await work.rows("erase_events", identifier):
        left = (
            body_left(body, stays()),
            None if content is None else of.content_left(content),
            instruction_left(instruction),
            body_left(answer, stays()),
        )
        if left != (body, content, instruction, answer):
            changed.append((seq, *left))
    return changed


async def _attempts(work: Work, of: Erasing, order: Any) -> list[Attempt]:
    """All attempts of an order. Their ids are its own under other prefixes: none is looked for in
    vain, and where one is not found nothing is erased."""
    numbers = range(1, order.attempts + 1)
    ids = [part_id(prefix, order.id, number) for prefix in of.attempts for number in numbers]
    found = [Attempt(*row) for row in await work.rows("erase_attempts", order.id, ids)]
    if len(found) != order.attempts:
        raise ErasureError(f"{order.id}: an attempt of it is not found: see bailiwick check")
    return found


def _results(attempts: list[Attempt]) -> list[tuple[str, str | None]]:
    left = [(each, result_left(each.result)) for each in attempts]
    return [(each.id, said) for each, said in left if said != each.result]


async def _beside(work: Work, each: Beside, identifier: str) -> list[tuple[str, str, list[str]]]:
    changed = []
    for row, details in await work.rows(each.find, identifier):
        held = msgspec.json.decode(details)
        left = each.left(held)
        if left != held:
            changed.append((row, text(left), each.records(held)))
    return changed


async def _told(work: Work, of: Erasing, before: int, after: Any) -> None:
    """The order's next version, and the event that tells of it. Whoever has read the order before
    and decided something finds another version: it reads what is left, and decides anew."""
    writer = new_token()
    moved = await work.rows(of.write, after.id, before, writer, after.updated_ms)
    assert moved, "the row is locked"
    await work.rows(
        "erase_told",
        new_id("evt", work.node, after.updated_ms),
        after.id,
        after.version,
        after.merchant,
        after.livemode,
        of.event,
        text(of.shown(after)),
        writer,
        after.updated_ms,
        work.wanting(after.merchant, after.livemode, of.event),
    )
