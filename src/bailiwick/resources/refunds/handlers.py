"""What the outcome of a refund does to its payment."""

import msgspec

from bailiwick.base.objects import encode
from bailiwick.channels.contract import Operation
from bailiwick.orders.attempts import Attempt
from bailiwick.orders.kinds import Handler
from bailiwick.resources.payments.rows import Payment
from bailiwick.resources.payments.stored import find as find_payment
from bailiwick.resources.refunds import outcome, render, stored
from bailiwick.resources.refunds.rows import Refund
from bailiwick.store.database import Store


async def _refund(store: Store, payment: Payment, attempt: Attempt) -> Refund:
    row = await stored.find(store, attempt.acts_on or "")
    assert row is not None, "a refund is written with its attempt"
    return row


HANDLERS = {
    ("pi", Operation.REFUND): Handler(outcome.refund, acts_on=_refund, may_return=True),
}
PARTS = {"pi": ("refund_moves",)}
"""What is written beside orders of a kind: parts of ``move.sql``."""


async def as_it_is(store: Store, identifier: str) -> msgspec.Raw:
    """A refund as it is now."""
    row = await stored.find(store, identifier)
    payment = None if row is None else await find_payment(store, row.payment)
    assert row is not None and payment is not None, "a claimed key has its object"
    return encode(render.refund(row, payment))


OBJECTS = {"re": as_it_is}
