"""The files of a dispute's evidence: checked when they are named, read when they are sent."""

from collections.abc import Mapping

import msgspec

from bailiwick.base.errors import ApiError
from bailiwick.base.ids import is_id, node_of
from bailiwick.base.tenancy import own
from bailiwick.channels.contract import Document, Instruction, NotBuilt, Outcome
from bailiwick.idempotency.requests import IdempotentRequest
from bailiwick.records import records
from bailiwick.records.record import Record
from bailiwick.resources.disputes import FILES
from bailiwick.resources.files.media import EVIDENCE_BYTES_MAX, NAMES
from bailiwick.store.database import Store

_replace = msgspec.structs.replace


def named(evidence: Mapping[str, str]) -> dict[str, str]:
    """The files that evidence names, by field."""
    return {field: said for field, said in evidence.items() if field in FILES}


def texts(evidence: Mapping[str, str]) -> dict[str, str]:
    """All else of it."""
    return {field: said for field, said in evidence.items() if field not in FILES}


async def require(
    store: Store, asked: IdempotentRequest, dispute: str, evidence: Mapping[str, str]
) -> None:
    """Refuse evidence whose files cannot be sent.

    Raises:
        ApiError: 404, there is no such file; 400, it is another node's, erased, or no evidence, or
            all of them are too large.
    """
    files = named(evidence)
    if not files:
        return
    found = await records.find_all(store, {each for each in files.values() if is_id(each, "file")})
    size = 0
    for field, identifier in files.items():
        param = f"evidence[{field}]"
        if is_id(identifier, "file") and node_of(identifier) != node_of(dispute):
            raise _elsewhere(identifier, dispute, param)
        row = own(found.get(identifier), asked, "file", identifier, param=param)
        size += _size(row, param)
    if size > EVIDENCE_BYTES_MAX:
        raise ApiError.invalid(
            f"The files of all evidence together have {size} bytes; at most {EVIDENCE_BYTES_MAX} "
            "are sent: compress them, or leave some out.",
            param="evidence",
            code="file_too_large",
        )


def _size(row: Record, param: str) -> int:
    if row.erased:
        raise ApiError.invalid(
            "This file was erased: upload it again, or unset the field.",
            param=param,
            code="file_gone",
        )
    if row.details["purpose"] != "dispute_evidence":
        raise ApiError.invalid("This file's purpose is not dispute_evidence.", param=param)
    size: int = row.details["size"]
    return size


def _elsewhere(identifier: str, dispute: str, param: str) -> ApiError:
    return ApiError.invalid(
        f"The file '{identifier}' is kept at another node than the dispute. Upload it again with "
        f"dispute={dispute}.",
        param=param,
        code="file_elsewhere",
    )


async def completed(store: Store, instruction: Instruction) -> Instruction | NotBuilt:
    """Evidence with what is in its files, or that one of them is gone."""
    if not instruction.files:
        return instruction
    wanted = {each.id for each in instruction.files.values()}
    rows = await records.find_all(store, wanted)
    read = {row["file"]: row["content"] for row in await store.rows("file_contents", list(wanted))}
    files: dict[str, Document] = {}
    for field, each in instruction.files.items():
        row, content = rows.get(each.id), read.get(each.id)
        if row is None or row.erased or content is None:
            return _gone(field)
        name, media = row.details["filename"] or each.id, NAMES[row.details["type"]]
        files[field] = Document(each.id, name, media, content)
    return _replace(instruction, files=files)


def _gone(field: str) -> NotBuilt:
    return NotBuilt(
        Outcome.DECLINED,
        code="file_gone",
        message=f"The file of evidence[{field}] has expired, or was erased. Nothing was sent: "
        "upload it again, or unset the field.",
        detail="file_gone",
        param=f"evidence[{field}]",
    )
