"""Parts of what payments and their charges show. Pure."""

from bailiwick.base.objects import Object

_FIELDS = ("city", "country", "line1", "line2", "postal_code", "state")


def shipping(given: Object | None) -> Object | None:
    """Where the goods go."""
    if given is None:
        return None
    return {
        "address": address(given.get("address")),
        "carrier": given.get("carrier"),
        "name": given.get("name"),
        "phone": given.get("phone"),
        "tracking_number": given.get("tracking_number"),
    }


def address(given: Object | None) -> Object | None:
    """A postal address, whole."""
    return None if given is None else {name: given.get(name) for name in _FIELDS}
