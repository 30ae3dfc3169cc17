"""Mandates as API objects. Pure; see https://docs.stripe.com/api/mandates/object."""

from typing import Any

from bailiwick.base.objects import Object
from bailiwick.records.record import Record

REFERENCES = {"mandate": {"payment_method": "payment_method"}}
"""See ``serving.expansion``."""


def mandate(row: Record) -> Object:
    """A mandate; of one that is erased the payment method's id is left unsaid too."""
    details = row.details
    return {
        "id": row.id,
        "object": "mandate",
        "customer_acceptance": _acceptance(details.get("acceptance", {})),
        "livemode": row.livemode,
        "multi_use": {},
        "on_behalf_of": None,
        "payment_method": details.get("payment_method"),
        "payment_method_details": {"card": {}, "type": "card"},
        "single_use": None,
        "status": details.get("status", "inactive"),
        "type": "multi_use",
    }


def _acceptance(given: dict[str, Any]) -> Object:
    kind = given.get("type", "offline")
    shown: Object = {"accepted_at": given.get("accepted_at"), "type": kind}
    if kind == "online":
        online = given.get("online", {})
        shown["online"] = {name: online.get(name) for name in ("ip_address", "user_agent")}
    else:
        shown["offline"] = {}
    return shown


SHOW = {"mandate": mandate}
"""By the prefix of an id, how a record is shown: to those who act on records of all kinds."""
