"""Payment method configurations as API objects. Pure; see
https://docs.stripe.com/api/payment_method_configurations/object."""

from bailiwick.base.objects import Object
from bailiwick.methods import every
from bailiwick.records.configurations import Configuration
from bailiwick.resources.payment_method_configurations import RESOURCE
from bailiwick.resources.payment_method_configurations.effect import is_default, is_on
from bailiwick.resources.payment_method_configurations.types import offered


def configuration(row: Configuration) -> Object:
    """One of them, with each type of payment methods that there is, or that it speaks of."""
    return {
        "id": row.id,
        "object": RESOURCE.object,
        "active": row.details["active"],
        "application": None,
        "is_default": is_default(row),
        "livemode": row.livemode,
        "name": row.details["name"],
        "parent": None,
        **{name: _method(row, name) for name in sorted({*every(), *row.details["methods"]})},
    }


def _method(row: Configuration, name: str) -> Object:
    on = is_on(row, name)
    return {
        "available": on and offered(name),
        "display_preference": {
            "overridable": None,
            "preference": row.details["methods"].get(name, "none"),
            "value": "on" if on else "off",
        },
    }
