"""Invariants about files of evidence: inside one node's database, and with the providers' books."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bailiwick.checker.books import Row, Submission
from bailiwick.checker.findings import Found
from bailiwick.checker.inside import Invariant
from bailiwick.checker.reader import Reader

_FIELDS = ", ".join(
    f"'{field}'"
    for field in (
        "cancellation_policy",
        "customer_communication",
        "customer_signature",
        "duplicate_charge_documentation",
        "receipt",
        "refund_policy",
        "service_documentation",
        "shipping_documentation",
        "uncategorized_file",
    )
)


async def files_kept(db: Reader, found: Found) -> None:
    """What is in a file is kept, all of it, until its time is over or it is erased; then nothing
    is."""
    await db.compare(found, "SELECT count(*) FROM record WHERE id ^@ 'file_'")
    await db.broken(
        found,
        f"""SELECT r.id, CASE WHEN r.details = '{{}}' THEN 'is erased, and its content is there'
                  ELSE 'has ' || coalesce(octet_length(c.content)::text, 'no') || ' bytes of '
                       || (r.details::json ->> 'size') END
             FROM record r LEFT JOIN file_content c ON c.file = r.id
            WHERE r.id ^@ 'file_' AND CASE
                  WHEN r.details = '{{}}' THEN c.file IS NOT NULL
                  WHEN c.file IS NULL
                  THEN (r.details::json ->> 'expires_ms')::bigint > {db.taken_ms}
                  ELSE octet_length(c.content) <> (r.details::json ->> 'size')::bigint END
            UNION ALL
           SELECT c.file, 'is the content of no file'
             FROM file_content c LEFT JOIN record r ON r.id = c.file WHERE r.id IS NULL""",
    )


async def evidence_files_exist(db: Reader, found: Found) -> None:
    """A file that evidence names is there, the same merchant's and of the same mode."""
    named = """dispute d CROSS JOIN LATERAL json_each_text(
                     coalesce(d.details -> 'evidence', '{}')) AS e (field, file)"""
    await db.compare(found, f"SELECT count(*) FROM {named} WHERE e.field IN ({_FIELDS})")
    await db.broken(
        found,
        f"""SELECT d.id, e.field || ' is ' || e.file || ': '
                  || CASE WHEN r.id IS NULL THEN 'there is none' ELSE 'of ' || r.merchant END
             FROM {named} LEFT JOIN record r ON r.id = e.file AND r.id ^@ 'file_'
            WHERE e.field IN ({_FIELDS})
              AND (r.merchant, r.livemode) IS DISTINCT FROM (d.merchant, d.livemode)""",
    )


async def evidence_files_match_books(
    db: Reader, by_reference: Mapping[str, Sequence[Row]], found: Found
) -> None:
    """The files that went with evidence are the ones that its provider has, byte for byte; none is
    missing, and none is there besides (rule 2)."""
    rows = await db.rows(
        """SELECT a.id, f.key, r.details::json ->> 'size', r.details::json ->> 'sha256'
             FROM attempt a
             JOIN event e ON e.subject = a.subject AND e.seq = a.seq
            CROSS JOIN LATERAL json_each(
                  coalesce(e.instruction::json -> 'files', '{}')) AS f (key, value)
             LEFT JOIN record r ON r.id = f.value ->> 'id'
            WHERE a.operation = 'evidence' AND a.state = 'approved'"""
    )
    sent: dict[str, dict[str, tuple[str | None, str | None]]] = {}
    for attempt, field, size, sha256 in rows:
        sent.setdefault(attempt, {})[field] = size, sha256
    for attempt, files in sent.items():
        for row in by_reference.get(attempt, ()):
            if isinstance(row, Submission):
                found.compare(len(files))
                for wrong in _wrong(files, row):
                    found.broken(db.node, attempt, wrong)


def _wrong(ours: Mapping[str, tuple[str | None, str | None]], row: Submission) -> list[str]:
    if set(ours) != set(row.files):
        return [f"{sorted(ours)} for us, {sorted(row.files)} in the books"]
    return [
        f"{field} is another file in the books"
        for field, (size, sha256) in ours.items()
        # Of an erased one nothing is known any more.
        if sha256 is not None and (size, sha256) != _told(row, field)
    ]


def _told(row: Submission, field: str) -> tuple[str, str]:
    return str(row.files[field].size), row.files[field].sha256


FILES: tuple[Invariant, ...] = (files_kept, evidence_files_exist)
