"""Invariants about disputes: inside one node's database, and with the providers' books."""

from __future__ import annotations

from collections.abc import Mapping

from bailiwick.checker.books import Dispute as Row
from bailiwick.checker.findings import Found
from bailiwick.checker.reader import Reader
from bailiwick.checker.tables import Dispute

_FUNDS = ("held", "withdrawn", "reinstated")


async def disputes_booked_once(db: Reader, found: Found) -> None:
    """A dispute's money is booked once: withdrawn by one version of its payment, with the fee,
    where the dispute says so, and given back by one later, if it was; by no other."""
    await db.compare(found, "SELECT count(*) FROM dispute")
    await db.broken(
        found,
        """SELECT d.id, d.funds || ' of ' || d.amount || ' and ' || d.fee || ', withdrawn '
                  || coalesce(b.taken, 0) || ' in ' || coalesce(b.takings, 0) || ', given back '
                  || coalesce(b.given, 0) || ' in ' || coalesce(b.givings, 0)
             FROM dispute d LEFT JOIN (
                  SELECT e.body::json ->> 'id' AS id,
                         sum(n.amount) FILTER (WHERE n.amount > 0) AS taken,
                         count(DISTINCT e.seq) FILTER (WHERE n.amount > 0) AS takings,
                         -sum(n.amount) FILTER (WHERE n.amount < 0) AS given,
                         count(DISTINCT e.seq) FILTER (WHERE n.amount < 0) AS givings
                    FROM event e JOIN entry n ON n.subject = e.subject AND n.seq = e.seq
                   WHERE e.type LIKE 'charge.dispute.%' AND n.account LIKE 'merchant:%'
                   GROUP BY 1) b ON b.id = d.id
            WHERE coalesce(b.taken, 0) <> CASE d.funds WHEN 'held' THEN 0 ELSE d.amount + d.fee END
               OR coalesce(b.takings, 0) <> (d.funds <> 'held')::integer
               OR coalesce(b.given, 0) <> CASE d.funds WHEN 'reinstated' THEN d.amount + d.fee
                                                       ELSE 0 END
               OR coalesce(b.givings, 0) <> (d.funds = 'reinstated')::integer""",
    )
    await db.broken(
        found,
        """SELECT d.id, 'asks by ' || d.open_attempt || ', that is ' || coalesce(a.state, 'gone')
             FROM dispute d LEFT JOIN attempt a ON a.id = d.open_attempt AND a.acts_on = d.id
            WHERE d.open_attempt IS NOT NULL
              AND coalesce(a.state, '') NOT IN ('permitted', 'pending', 'unknown')
            UNION ALL
           SELECT a.acts_on, a.id || ' is ' || a.state || ', and the dispute does not know it'
             FROM attempt a LEFT JOIN dispute d ON d.id = a.acts_on
            WHERE a.operation IN ('evidence', 'concede')
              AND a.state IN ('permitted', 'pending', 'unknown')
              AND d.open_attempt IS DISTINCT FROM a.id""",
    )


def disputes_match_books(
    node: str,
    disputes: Mapping[str, Dispute],
    rows: Mapping[tuple[str, str], Row],
    providers: Mapping[str, str | None] | None,
    taken_ms: int,
    found: Found,
) -> None:
    """What we booked of a dispute has happened at its provider: it is in the books, with the same
    amount and fee, and its money moved there as far as here (rule 2); told of the same change, both
    are in the same state. The provider may be ahead of what it has told."""
    for dispute in disputes.values():
        provider = None if providers is None else providers.get(dispute.gateway)
        if provider is None:
            continue
        row = rows.get((provider, dispute.provider_ref))
        if row is not None and row.updated >= taken_ms:
            continue
        found.compare()
        wrong = _wrong(dispute, row)
        if wrong is not None:
            found.broken(node, dispute.id, wrong)


def _wrong(dispute: Dispute, row: Row | None) -> str | None:
    if row is None:
        return f"{dispute.provider_ref} is not in the books"
    if (dispute.amount, dispute.fee) != (row.amount, row.fee):
        return f"{dispute.amount} and {dispute.fee} for us, {row.amount} and {row.fee} in the books"
    if _FUNDS.index(dispute.funds) > _FUNDS.index(row.funds):
        return f"{dispute.funds} for us, {row.funds} in the books"
    told = (dispute.state, dispute.funds)
    if dispute.sequence == row.sequence and told != (row.status, row.funds):
        return f"{told} for us, {(row.status, row.funds)} in the books"
    return None
