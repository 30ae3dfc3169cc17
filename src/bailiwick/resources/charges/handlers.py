"""A charge as it is now, for a key whose answer is asked for again."""

import msgspec

from bailiwick.base.objects import encode
from bailiwick.orders import attempt_store
from bailiwick.resources.payments.shown.charge import charge, charge_view
from bailiwick.resources.payments.stored import find as find_payment
from bailiwick.store.database import Store


async def as_it_is(store: Store, identifier: str) -> msgspec.Raw:
    """A charge as it is now."""
    attempt = await attempt_store.find(store, identifier)
    payment = None if attempt is None else await find_payment(store, attempt.subject)
    assert attempt is not None and payment is not None, "a claimed key has its object"
    return encode(charge(payment, charge_view(attempt)))


OBJECTS = {"ch": as_it_is}
