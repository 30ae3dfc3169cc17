"""Customers as API objects. Pure; see https://docs.stripe.com/api/customers/object.

``location`` and ``node`` are ours.
"""

from typing import Any

from bailiwick.base.objects import Object
from bailiwick.records.record import Record

REFERENCES = {
    "customer": {
        "default_source": "source",
        "invoice_settings.default_payment_method": "payment_method",
        "test_clock": "test_clock",
    }
}
ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")


def address(given: dict[str, Any] | None) -> Object | None:
    """A postal address with all its lines."""
    return None if given is None else {name: given.get(name) for name in ADDRESS}


def customer(row: Record) -> Object:
    """A customer. One that is erased has nothing left, and ``deleted``."""
    details = row.details
    shown = {
        "id": row.id,
        "object": "customer",
        "address": address(details.get("address")),
        "balance": 0,
        "business_name": details.get("business_name"),
        "cash_balance": None,
        "created": row.created_ms // 1000,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": details.get("description"),
        "discount": None,
        "email": details.get("email"),
        "individual_name": details.get("individual_name"),
        "invoice_credit_balance": {},
        "invoice_prefix": None,
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": details.get("default_payment_method"),
            "footer": None,
            "rendering_options": None,
        },
        "livemode": row.livemode,
        "metadata": details.get("metadata", {}),
        "name": details.get("name"),
        "next_invoice_sequence": 1,
        "phone": details.get("phone"),
        "preferred_locales": details.get("preferred_locales", []),
        "shipping": _shipping(details.get("shipping")),
        "tax_exempt": details.get("tax_exempt", "none"),
        "test_clock": row.belongs_to,
        "location": details.get("location"),
        "node": details.get("node"),
    }
    return {**shown, "deleted": True} if row.erased else shown


def _shipping(given: dict[str, Any] | None) -> Object | None:
    if given is None:
        return None
    place = address(given.get("address"))
    return {"address": place, "name": given.get("name"), "phone": given.get("phone")}


def deleted(identifier: str) -> Object:
    """What is shown of a customer that was deleted."""
    return {"id": identifier, "object": "customer", "deleted": True}


SHOW = {"cus": customer}
"""By the prefix of an id, how a record is shown: to those who act on records of all kinds."""
