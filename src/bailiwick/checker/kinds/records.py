"""What must hold of records, rows that no provider is asked about, and of setups, orders that write
them and move no money."""

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


async def found_by_customer(db: Reader, found: Found) -> None:
    """A payment is found by the customer that it names, and by no other."""
    await db.compare(found, "SELECT count(*) FROM payment")
    await db.broken(
        found,
        """SELECT p.id, 'is found by ' || coalesce(p.customer, 'nobody')
             FROM payment p JOIN event e ON e.subject = p.id AND e.seq = p.content_seq
            WHERE p.customer IS DISTINCT FROM e.content::json #>> '{progress,customer}'""",
    )


TOLD = """SELECT count(*) FROM event
           WHERE NOT (subject ^@ 'pi_' OR subject ^@ 'po_' OR subject ^@ 'seti_')"""
"""How many events tell of records: if any, there are records to compare."""
RECORDS: tuple[Invariant, ...] = (records_told, methods_owned, found_by_customer)


SETUPS_COUNT = "SELECT count(*) FROM setup"


async def setups_told(db: Reader, found: Found) -> None:
    """A setup's version is its event sequence (rule 3): events 1 to version, without a gap; its
    attempts are numbered from 1; and no money moves for it."""
    await db.compare(found, SETUPS_COUNT)
    await db.broken(
        found,
        """SELECT s.id, 'version ' || s.version || ' with ' || coalesce(e.n, 0) || ' events'
             FROM setup s LEFT JOIN (
                  SELECT subject, count(*) AS n, min(seq) AS first, max(seq) AS last
                    FROM event WHERE subject ^@ 'seti_' GROUP BY subject) e ON e.subject = s.id
            WHERE e.n IS DISTINCT FROM s.version OR e.first <> 1 OR e.last <> s.version
            UNION ALL
           SELECT s.id, 'says ' || s.attempts || ' attempts, there are ' || coalesce(a.n, 0)
             FROM setup s LEFT JOIN (
                  SELECT subject, count(*) AS n, max(number) AS last FROM attempt
                   WHERE subject ^@ 'seti_' GROUP BY subject) a ON a.subject = s.id
            WHERE s.attempts <> coalesce(a.n, 0) OR s.attempts <> coalesce(a.last, 0)
            UNION ALL
           SELECT g.subject, 'moved ' || g.amount || ' ' || g.currency
             FROM posting g WHERE g.subject ^@ 'seti_'
            UNION ALL
           SELECT a.id, a.operation || ' of ' || a.amount || ' ' || a.currency
             FROM attempt a WHERE a.subject ^@ 'seti_' AND (
                  a.amount <> 0 OR a.currency <> 'XXX' OR a.operation NOT IN ('setup', 'void'))""",
    )


async def setups_follow_attempts(db: Reader, found: Found) -> None:
    """A setup stands as its attempts do (rule 1): one that succeeded has exactly one approved
    attempt, which is its latest; one whose provider is at it names the open one; no other has
    one."""
    await db.compare(found, SETUPS_COUNT)
    await db.broken(
        found,
        """SELECT s.id, s.state || ' with ' || coalesce(a.approved, 0) || ' approved and '
                  || coalesce(a.open, 0) || ' open attempts, open_attempt is '
                  || coalesce(s.open_attempt, 'none')
             FROM setup s LEFT JOIN (
                  SELECT subject,
                         count(*) FILTER (WHERE operation = 'setup' AND state = 'approved')
                         AS approved,
                         max(id) FILTER (WHERE operation = 'setup' AND state = 'approved') AS done,
                         count(*) FILTER (WHERE state IN ('permitted', 'pending', 'unknown'))
                         AS open
                    FROM attempt WHERE subject ^@ 'seti_' GROUP BY subject) a ON a.subject = s.id
            WHERE CASE s.state
                  WHEN 'succeeded' THEN coalesce(a.approved, 0) <> 1
                                        OR a.done IS DISTINCT FROM s.setup_attempt
                  ELSE coalesce(a.approved, 0) <> 0 END
               OR CASE WHEN s.state IN ('processing', 'requires_action', 'canceling')
                       THEN s.open_attempt IS NULL OR coalesce(a.open, 0) = 0
                       ELSE s.open_attempt IS NOT NULL OR coalesce(a.open, 0) <> 0 END""",
    )
    await db.broken(
        found,
        """SELECT s.id, 'open_attempt ' || s.open_attempt || ' is ' || coalesce(a.state, 'missing')
             FROM setup s LEFT JOIN attempt a ON a.id = s.open_attempt AND a.subject = s.id
            WHERE s.open_attempt IS NOT NULL
              AND coalesce(a.state, '') NOT IN ('permitted', 'pending', 'unknown')""",
    )


async def setups_keep_records(db: Reader, found: Found) -> None:
    """What a setup is about is its merchant's and of its mode, a payment method that it brought is
    in use only once it has succeeded, and its mandate is in force only then."""
    await db.compare(found, SETUPS_COUNT)
    await db.broken(
        found,
        """SELECT s.id, 'is about ' || r.id || ' of ' || r.merchant
             FROM setup s JOIN record r ON r.id IN (s.payment_method, s.customer)
            WHERE (r.merchant, r.livemode) IS DISTINCT FROM (s.merchant, s.livemode)
            UNION ALL
           SELECT r.id, 'is in use, and not set up yet'
             FROM record r
            WHERE r.id ^@ 'pm_' AND r.active AND r.details::json -> 'setup' IS NOT NULL
            UNION ALL
           SELECT s.id, s.state || ', its mandate ' || r.id || ' is ' ||
                  coalesce(r.details::json ->> 'status', 'without a status')
             FROM setup s JOIN event e ON e.subject = s.id AND e.seq = s.content_seq
             JOIN record r ON r.id = e.content::json #>> '{progress,mandate}'
            WHERE r.details <> '{}' AND (s.state = 'succeeded') IS DISTINCT FROM
                  (r.details::json ->> 'status' = 'active')""",
    )


SETUPS: tuple[Invariant, ...] = (setups_told, setups_follow_attempts, setups_keep_records)
