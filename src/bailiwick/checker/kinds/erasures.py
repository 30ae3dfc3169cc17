"""What must hold of what was erased: nothing personal of it stands anywhere.

Which fields are personal is written down here again, by name and at any depth: what erases knows
what stays, and may be wrong.
"""

from __future__ import annotations

from typing import Any

import msgspec

from bailiwick.base.ids import is_id
from bailiwick.checker.findings import Found
from bailiwick.checker.inside import Invariant
from bailiwick.checker.reader import Reader

PERSONAL = frozenset(
    {
        "action",
        "address",
        "agreement",
        "billing",
        "billing_details",
        "calculated_statement_descriptor",
        "charges",
        "contradictions",
        "coordinates",
        "customer_email_address",
        "description",
        "email",
        "evidence",
        "failure_message",
        "increment",
        "instructions_email",
        "ip_address",
        "metadata",
        "name",
        "next_action",
        "payment_method",
        "phone",
        "receipt_email",
        "return_url",
        "saving",
        "seller_message",
        "shipping",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "subdivision",
        "tax_id",
        "token",
        "vaults",
    }
)
_OURS = frozenset({"assignment", "routing", "fee_details"})
"""What we have written: names and descriptions in it are of nodes, gateways and fees."""
_SAID = "What this said was erased."
_ERASED = "(SELECT subject, max(seq) AS seq, max(erased_at) AS at FROM erasure GROUP BY subject)"


def standing(told: Any, within: str = "") -> str | None:
    """The first personal field that is not empty, as a path; None: there is none."""
    if isinstance(told, list):
        return next((found for each in told if (found := standing(each, within))), None)
    if not isinstance(told, dict):
        return None
    for name, value in told.items():
        path = f"{within}.{name}".lstrip(".")
        if name == "message" and value != _SAID:
            return path
        if name in PERSONAL and not _empty(value) and not _ours(name, value):
            return path
        if name not in _OURS and (found := standing(value, path)) is not None:
            return found
    return None


def _ours(name: str, value: Any) -> bool:
    """Whether it names a payment method that we keep, or kept: that is no token."""
    return name == "payment_method" and isinstance(value, str) and is_id(value, "pm")


def _empty(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_empty(each) for each in value.values())
    if isinstance(value, list):
        return all(_empty(each) for each in value)
    return value is None


async def erased_is_gone(db: Reader, found: Found) -> None:
    """What is erased is gone: of a payer's orders and records nothing personal is told by the event
    of their erasure and those before it, kept of what providers said, or beside them; and the event
    is there."""
    await db.compare(found, "SELECT count(*) FROM erasure")
    await db.broken(
        found,
        """SELECT x.subject, 'erased by event ' || x.seq || ': ' || coalesce(e.type, 'missing')
             FROM erasure x LEFT JOIN event e ON e.subject = x.subject AND e.seq = x.seq
            WHERE e.type IS NULL OR e.type NOT SIMILAR TO '%(erased|deleted|detached)'""",
    )
    await _events(db, found)
    await _beside(db, found)
    await db.broken(
        found,
        f"""SELECT r.subject, 'a review quotes' FROM review r JOIN {_ERASED} x USING (subject)
             WHERE r.opened_at <= x.at AND (r.detail IS NOT NULL OR r.note IS NOT NULL)
             UNION ALL
            SELECT t.subject, 'try ' || t.id || ' keeps an answer'
              FROM delivery_try t JOIN {_ERASED} x USING (subject)
             WHERE t.created_ms + t.took_ms < extract(epoch FROM x.at) * 1000
               AND (t.headers IS NOT NULL OR t.body IS NOT NULL)
             UNION ALL
            SELECT r.id, 'is noted as erased, and keeps details'
              FROM record r JOIN erasure x ON x.subject = r.id WHERE r.details <> '{{}}'""",
    )


async def _events(db: Reader, found: Found) -> None:
    columns = ("body", "content", "instruction", "answer_body")
    async for row in db.stream(
        f"""SELECT e.subject, e.seq, {", ".join(f"e.{each}" for each in columns)}
              FROM event e JOIN {_ERASED} x ON x.subject = e.subject AND e.seq <= x.seq"""
    ):
        for name, told in zip(columns, row[2:], strict=True):
            _look(db, found, row[0], f"event {row[1]}, {name}", told)


async def _beside(db: Reader, found: Found) -> None:
    """Rows beside an order, as long as nothing has happened to it since."""
    still = f"{_ERASED} x JOIN payment p ON p.id = x.subject AND p.version = x.seq"
    async for subject, of, told in db.stream(
        f"""SELECT p.id, 'attempt ' || a.id, a.result
              FROM {still} JOIN attempt a ON a.subject = p.id
            UNION ALL
            SELECT p.id, 'refund ' || r.id, r.details::text
              FROM {still} JOIN refund r ON r.payment = p.id
            UNION ALL
            SELECT p.id, 'dispute ' || d.id, d.details::text
              FROM {still} JOIN dispute d ON d.payment = p.id"""
    ):
        _look(db, found, subject, of, told)


def _look(db: Reader, found: Found, subject: str, of: str, told: str | None) -> None:
    if told is None:
        return
    try:
        wrong = standing(msgspec.json.decode(told))
    except msgspec.DecodeError as error:
        wrong = f"unreadable ({error})"
    if wrong is not None:
        found.broken(db.node, subject, f"is erased, and {of} still has {wrong}")


ERASURES: tuple[Invariant, ...] = (erased_is_gone,)
