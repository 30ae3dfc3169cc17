"""Payment methods as API objects. Pure; see https://docs.stripe.com/api/payment_methods/object.

The token is shown to nobody. ``card.vault``, ``location`` and ``node`` are ours.
"""

from typing import Any

from bailiwick.base.objects import Object
from bailiwick.records.record import Record
from bailiwick.resources.customers.render import address

REFERENCES = {"payment_method": {"customer": "customer"}}


def payment_method(row: Record) -> Object:
    """A payment method. One that is erased has nothing left."""
    details = row.details
    billing = details.get("billing_details", {})
    return {
        "id": row.id,
        "object": "payment_method",
        "allow_redisplay": details.get("allow_redisplay", "unspecified"),
        "billing_details": {
            "address": address(billing.get("address") or {}),
            "email": billing.get("email"),
            "name": billing.get("name"),
            "phone": billing.get("phone"),
            "tax_id": billing.get("tax_id"),
        },
        "card": _card(details.get("card", {})),
        "created": row.created_ms // 1000,
        "customer": row.belongs_to if row.active else None,
        "customer_account": None,
        "livemode": row.livemode,
        "metadata": details.get("metadata", {}),
        "radar_options": {},
        "type": "card",
        "location": details.get("location"),
        "node": details.get("node"),
    }


def _card(card: dict[str, Any]) -> Object:
    brand = card.get("brand", "unknown")
    return {
        "brand": brand,
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": None,
        },
        "country": None,
        "display_brand": brand,
        "exp_month": None,
        "exp_year": None,
        "fingerprint": card.get("fingerprint"),
        "funding": card.get("funding", "unknown"),
        "generated_from": None,
        "last4": card.get("last4"),
        "networks": {"available": [] if brand == "unknown" else [brand], "preferred": None},
        "regulated_status": None,
        "three_d_secure_usage": None,
        "wallet": None,
        "vault": card.get("vault"),
    }


SHOW = {"pm": payment_method}
"""By the prefix of an id, how a record is shown: to those who act on records of all kinds."""
