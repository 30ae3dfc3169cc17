"""What must hold of setups: orders that store what a payer agrees to, and move no money."""

from __future__ import annotations

from bailiwick.checker.findings import Found
from bailiwick.checker.inside import Invariant
from bailiwick.checker.reader import Reader

COUNT = "SELECT count(*) FROM setup"


async def setups_told(db: Reader, found: Found) -> None:
    """A setup's version is its event sequence (rule 3): events 1 to version, without a gap; its
    attempts are numbered from 1; and no money moves for it."""
    await db.compare(found, COUNT)
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
    await db.compare(found, COUNT)
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
    await db.compare(found, COUNT)
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
