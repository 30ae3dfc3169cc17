"""What must hold of records: rows that no provider is asked about."""

from __future__ import annotations

from bailiwick.checker.findings import Found
from bailiwick.checker.inside import Invariant
from bailiwick.checker.reader import Reader


async def records_told(db: Reader, found: Found) -> None:
    """A record's version is its event sequence (rule 3): events 1 to version, each with what it
    tells; and nothing is kept of one that is erased."""
    await db.compare(found, "SELECT count(*) FROM record")
    await db.broken(
        found,
        """SELECT r.id, 'version ' || r.version || ' with ' || coalesce(e.n, 0) || ' events, '
                  || coalesce(e.told, 0) || ' of them told'
             FROM record r LEFT JOIN (
                  SELECT e.subject, count(*) AS n, count(t.seq) AS told, min(e.seq) AS first,
                         max(e.seq) AS last
                    FROM event e LEFT JOIN personal_event t USING (subject, seq)
                   WHERE NOT e.subject ^@ 'pi_' GROUP BY e.subject) e ON e.subject = r.id
            WHERE e.n IS DISTINCT FROM r.version OR e.told <> e.n OR e.first <> 1
               OR e.last <> r.version""",
    )
    await db.broken(
        found,
        """SELECT r.id, 'is erased, and ' || CASE WHEN r.active THEN 'in lists'
                  WHEN r.found_by IS NOT NULL THEN 'found by something'
                  ELSE 'an event tells something else of it' END
             FROM record r
            WHERE r.details = '{}' AND (
                  r.active OR r.found_by IS NOT NULL OR (
                  SELECT count(DISTINCT t.body) FROM personal_event t WHERE t.subject = r.id) <> 1)
           """,
    )


async def methods_owned(db: Reader, found: Found) -> None:
    """What belongs to a customer is its merchant's and of its mode, and a customer's default
    payment method is attached to it."""
    await db.compare(found, "SELECT count(*) FROM record WHERE belongs_to IS NOT NULL")
    await db.broken(
        found,
        """SELECT m.id, 'belongs to ' || m.belongs_to
             FROM record m LEFT JOIN record o ON o.id = m.belongs_to AND o.details <> '{}'
            WHERE m.belongs_to IS NOT NULL AND (m.merchant, m.livemode) IS DISTINCT FROM
                  (o.merchant, o.livemode)
            UNION ALL
           SELECT o.id, 'has the default ' || m.id
             FROM record o JOIN record m ON m.id = o.details::json ->> 'default_payment_method'
            WHERE m.belongs_to IS DISTINCT FROM o.id OR NOT m.active""",
    )


TOLD = """SELECT count(*) FROM event
           WHERE NOT (subject ^@ 'pi_' OR subject ^@ 'po_' OR subject ^@ 'seti_')"""
"""How many events tell of records: if any, there are records to compare."""
RECORDS: tuple[Invariant, ...] = (records_told, methods_owned)
