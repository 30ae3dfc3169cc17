"""What must hold of test data that was deleted: it is gone whole, and was of test mode."""

from __future__ import annotations

from bailiwick.checker.findings import Found
from bailiwick.checker.inside import Invariant
from bailiwick.checker.reader import Reader

COUNT = "SELECT count(*) FROM test_data_order"
_KEPT = (
    ("payment", "id"),
    ("payout", "id"),
    ("setup", "id"),
    ("attempt", "subject"),
    ("refund", "payment"),
    ("dispute", "payment"),
    ("event", "subject"),
    ("posting", "subject"),
    ("delivery", "subject"),
    ("review", "subject"),
    ("idempotency_key", "subject"),
)


async def deleted_is_gone(db: Reader, found: Found) -> None:
    """Of an order whose test data was deleted nothing is left, and somebody asked for it."""
    await db.compare(found, COUNT)
    for table, of in _KEPT:
        await db.broken(
            found,
            f"""SELECT DISTINCT t.id, 'is deleted, and {table} has a row of it'
                  FROM test_data_order t JOIN {table} c ON c.{of} = t.id""",
        )
    await db.broken(
        found,
        """SELECT t.id, 'was deleted by ' || t.run || ', which nobody asked for'
             FROM test_data_order t LEFT JOIN test_data_deletion d USING (run)
            WHERE d.run IS NULL""",
    )


async def deleted(db: Reader) -> set[str]:
    """What the ids of deleted orders, and so the references of their attempts, have in common."""
    return {part(row[0]) for row in await db.rows("SELECT id FROM test_data_order")}


def part(identifier: str) -> str:
    """An id without its prefix and number: the same for an order and its attempts."""
    return identifier.split("_")[1] if "_" in identifier else identifier


TEST_DATA: tuple[Invariant, ...] = (deleted_is_gone,)
