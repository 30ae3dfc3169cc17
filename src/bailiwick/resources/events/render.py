"""Events as API objects. Pure; see https://docs.stripe.com/api/events."""

import msgspec

from bailiwick.base.ids import node_of, time_of
from bailiwick.base.objects import Object


def event(
    identifier: str,
    type_: str,
    body: msgspec.Raw,
    livemode: bool,
    subject: str,
    seq: int,
    pending: int,
    version: str,
) -> Object:
    """An event around the object as it was. ``pending``: to how many endpoints it is still owed;
    ``version``: of the format that the body is in."""
    return {
        "id": identifier,
        "object": "event",
        "api_version": version,
        "created": time_of(identifier) // 1000,
        "data": {"object": body},
        "livemode": livemode,
        "pending_webhooks": pending,
        "request": {"id": None, "idempotency_key": None},
        "type": type_,
        "node": node_of(identifier),
        "payment": subject if subject.startswith("pi_") else None,
        "sequence": seq,
    }
