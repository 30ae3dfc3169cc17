"""Test clocks as API objects. Pure; see https://docs.stripe.com/api/test_clocks/object.

``location`` and ``node`` are ours.
"""

from bailiwick.base.objects import Object
from bailiwick.records.record import Record
from bailiwick.resources.test_clocks import OBJECT

LASTS_S = 30 * 86_400
"""When a clock is to be deleted, as Stripe has it; here it stays until somebody deletes it."""


def clock(row: Record) -> Object:
    """A test clock; of one that was deleted, that it was."""
    if row.erased:
        return deleted(row.id)
    details = row.details
    target = details.get("target")
    return {
        "id": row.id,
        "object": OBJECT,
        "created": row.created_ms // 1000,
        "deletes_after": row.created_ms // 1000 + LASTS_S,
        "frozen_time": details["frozen_time"],
        "livemode": row.livemode,
        "name": details.get("name"),
        "status": "ready" if target is None else "advancing",
        "status_details": {} if target is None else {"advancing": {"target_frozen_time": target}},
        "location": details.get("location"),
        "node": details.get("node"),
    }


def deleted(identifier: str) -> Object:
    """What is shown of a clock that was deleted."""
    return {"id": identifier, "object": OBJECT, "deleted": True}


SHOW = {"clock": clock}
"""By the prefix of an id, how a record is shown: to those who act on records of all kinds."""
