"""Charges read from the store: attempts to charge, each with its payment."""

from bailiwick.resources.payments.rows import Payment
from bailiwick.resources.payments.shown.charge import ChargeView, charge_seen
from bailiwick.resources.payments.stored import payment_of
from bailiwick.store.database import HIGHEST_ID, LOWEST_ID, Page, Part, Store, following

PAYMENT_COLUMNS = 19
"""Of a row; those of the charge follow."""
_BODY = slice(3, 29)
"""Where a charge's id has the body of its payment's."""
Charged = tuple[Payment, ChargeView]


async def page(
    store: Store, merchant: str, livemode: bool, part: Page, customer: str | None, of: str | None
) -> Part[Charged]:
    """A page of a merchant's charges: of one customer or all, of one payment or all."""
    highest = "pi_~" if part.below == HIGHEST_ID else "pi_" + part.below[_BODY]
    lowest = "pi_" if part.above == LOWEST_ID else "pi_" + part.above[_BODY]
    if of is not None:
        highest, lowest = min(highest, of), max(lowest, of)
    found = await store.page(
        "charge", merchant, livemode, part, highest, lowest, part.since_ms, part.until_ms, customer
    )
    return [charged(list(row[:-1])) for row in found], following(found)


def charged(columns: list[object]) -> Charged:
    """A payment and a charge of it from their columns."""
    payment = payment_of(columns[:PAYMENT_COLUMNS])
    return payment, charge_seen(*columns[PAYMENT_COLUMNS:])  # type: ignore[arg-type]
