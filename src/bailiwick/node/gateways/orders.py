"""What an operator's order makes of a gateway's row: pure, but for the checks of what it names.

An order never changes where money goes that is under way: what asks a provider about an attempt
must ask the one, and the account, to which it was sent. Another address or account there would
know nothing of it, and what is not known there would be taken for not charged.
"""

from typing import Any

import msgspec

from bailiwick.base.errors import ApiError
from bailiwick.node.gateways.rows import GatewayRow, stale
from bailiwick.routing.settings import GatewaySettings, State

FIXED = (
    "name", "channel", "mode", "base_url", "options", "vault", "visibility_ms", "secrets",
)  # fmt: skip
"""Fields that no order changes: they say whom to ask about what was begun, and for how long."""
LIGHT = (
    "kind",
    "priority",
    "cost_bps",
    "cost_fixed",
    "countries",
    "currencies",
    "methods",
    "calls_max",
)
"""Fields that are no matter of the gateway's connections."""
FIELDS = frozenset(each.encode_name for each in msgspec.structs.fields(GatewaySettings))
STATES: dict[str, State] = {"enable": "enabled", "disable": "disabled", "drain": "draining"}


class Order(msgspec.Struct, frozen=True):
    """A row as it is to be, and what the record says of it."""

    row: GatewayRow
    what: str
    details: dict[str, Any] = {}


def same_connections(one: GatewaySettings, other: GatewaySettings) -> bool:
    """Whether two settings differ at most in what is no matter of connections."""
    names = sorted(FIELDS - set(LIGHT))
    return all(getattr(one, name) == getattr(other, name) for name in names)


def added(name: str, settings: dict[str, Any]) -> Order:
    """A gateway that there was none of. Raises ApiError."""
    _known(settings)
    if "secrets" in settings:
        raise _refused("secrets", "are given by themselves, not among the settings")
    if settings.get("name", name) != name:
        raise _refused("name", f"is '{name}'")
    row = GatewayRow(name, added=True, settings={**settings, "name": name})
    return Order(row, "added", {"settings": settings})


def changed(
    row: GatewayRow, now: GatewaySettings, settings: dict[str, Any], unset: list[str]
) -> Order:
    """Other settings. Raises ApiError."""
    _known([*settings, *unset])
    for name in (*settings, *unset):
        if name in FIXED:
            raise _refused(
                name,
                "stays as it is, since payments may be open that are asked about there. Add "
                "another gateway, and drain this one",
            )
        if name in settings and name in unset:
            raise _refused(name, "is to be set and unset")
    if not settings and not unset:
        raise ApiError.invalid("Nothing is to be changed: give a setting.", param="settings")
    over = {name: value for name, value in row.settings.items() if name not in unset}
    before = {name: getattr(now, name) for name in settings}
    details = {"set": settings, "before": msgspec.to_builtins(before), "unset": unset}
    return Order(msgspec.structs.replace(row, settings={**over, **settings}), "changed", details)


def stated(row: GatewayRow, verb: str) -> Order:
    """What its operator says of it."""
    state = STATES[verb]
    details = {"before": row.state, "after": state}
    return Order(msgspec.structs.replace(row, state=state), state, details)


def seen(row: GatewayRow, version: int) -> None:
    """Refuse an order that was given on another version. Raises ApiError (409)."""
    if row.version != version:
        raise stale(row.name)


def _known(names: Any) -> None:
    for name in names:
        if name not in FIELDS:
            raise _refused(name, f"is no setting of a gateway; known: {', '.join(sorted(FIELDS))}")


def _refused(name: str, why: str) -> ApiError:
    return ApiError.invalid(f"{name} {why}.", param=f"settings[{name}]")
