"""A gateway as its operators see it: everything but what is secret."""

from typing import Any

import msgspec

from bailiwick.node.gateways.live import Made
from bailiwick.node.gateways.rows import GatewayRow
from bailiwick.routing.gateway import Gateway


def shown(gateway: Gateway, row: GatewayRow, made: Made, open_attempts: int) -> dict[str, Any]:
    """How a gateway is set, and how it stands.

    Args:
        open_attempts: without a definite outcome yet.
    """
    settings: dict[str, Any] = msgspec.to_builtins(made.settings)
    del settings["secrets"]
    history = gateway.noted()
    sealed = row.sealed
    return {
        "object": "gateway",
        "name": gateway.name,
        "version": row.version,
        "state": row.state,
        "usage": gateway.usage,
        "since_ms": history.since_ms,
        "under_way": gateway.inflight,
        "open_attempts": open_attempts,
        "drained": row.state != "enabled" and open_attempts == 0 and gateway.inflight == 0,
        "source": "added" if row.added else "settings file",
        "changed": sorted(row.settings) if not row.added else [],
        "credentials": {
            "names": sorted(made.account.secrets),
            "kept_here": sealed is not None,
            "node_key": None if sealed is None else sealed.node_key,
        },
        "settings": settings,
        "preparations": gateway.preparations.shown(),
        "health": gateway.health.shown(),
    }
