"""What may be done with files: uploaded, and erased. They are never changed."""

import asyncio
import hashlib
from typing import Any

import msgspec

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import new_id
from bailiwick.base.objects import Object
from bailiwick.idempotency.requests import Answer, IdempotentRequest
from bailiwick.records.record import Record, made
from bailiwick.records.records import Writing
from bailiwick.resources.customers.commands import erase
from bailiwick.resources.files import media, render
from bailiwick.serving.context import NodeContext
from bailiwick.serving.placed_records import records_of
from bailiwick.wire.uploads.multipart import Part

KEPT_MS = 274 * 24 * 3_600_000
"""Nine months."""
A_DAY_MS = 24 * 3_600_000
A_DAY_MAX = 500
"""Files of one merchant and mode at a node: by that, and by when they go, there is a bound."""


class Content(msgspec.Struct, frozen=True):
    """A file that was read and found to be one."""

    filename: str
    type: str
    content: bytes
    sha256: str

    @property
    def identity(self) -> dict[str, Any]:
        """What makes it the same file when a request comes again."""
        return {"filename": self.filename, "sha256": self.sha256, "size": len(self.content)}


class Kept(msgspec.Struct, frozen=True):
    """Where a file is kept: what is noted of that, and in which nodes' regions alone it may be
    shown."""

    details: dict[str, Any]
    stays_with: list[int] | None


async def content_of(part: Part) -> Content:
    """A part of a body as a file. Raises ApiError (400)."""
    name = media.name_of(part.filename)
    kind = media.type_of(part.content, name, part.media)
    digest = await asyncio.to_thread(hashlib.sha256, part.content)
    return Content(name, kind, part.content, digest.hexdigest())


async def create(
    node: NodeContext, asked: IdempotentRequest, purpose: str, what: Content, kept: Kept
) -> Answer:
    """A new file, with its content in the same transaction. Raises ApiError."""
    now = now_ms()
    details = kept.details | {
        "purpose": purpose,
        "filename": what.filename or None,
        "type": what.type,
        "size": len(what.content),
        "sha256": what.sha256,
        "expires_ms": now + KEPT_MS,
    }
    identifier = new_id("file", node.number, now)
    row = made(identifier, asked.merchant.id, asked.livemode, now, details, kept.stays_with)

    async def work(writing: Writing) -> Object:
        of_today = await writing.rows(
            "file_count", row.merchant, row.livemode, now - A_DAY_MS, A_DAY_MAX
        )
        if of_today[0][0] >= A_DAY_MAX:
            raise _too_many()
        shown = render.file(row)
        await writing.write(row, "file.created", shown, shown)
        await writing.rows("file_put", row.id, now + KEPT_MS, what.content)
        return shown

    return await records_of(node).once(asked, row.id, now, work)


def _too_many() -> ApiError:
    return ApiError.invalid(
        f"At most {A_DAY_MAX} files are taken of a merchant in 24 hours at a node.",
        code="rate_limit",
        status=429,
    )


async def erase_file(writing: Writing, row: Record, now: int) -> Object:
    """Erase a file: its content, and what was told of it. Its id, times and versions stay."""
    await writing.rows("file_erase", row.id)
    return await erase(writing, row, now, "")
