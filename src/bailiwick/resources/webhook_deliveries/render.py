"""Webhook deliveries as API objects. Pure."""

import msgspec

from bailiwick.base.ids import node_of
from bailiwick.base.objects import Object
from bailiwick.delivery.tries import Try
from bailiwick.delivery.webhooks import USER_AGENT

NOT_KEPT = "[not kept]"


def webhook_delivery(row: Try) -> Object:
    """One try: what was asked of whom, what came back, what follows. The signatures that were sent
    are not kept; the body is the event."""
    second = row.created_ms // 1000
    return {
        "id": row.id,
        "object": "webhook_delivery",
        "created": second,
        "created_ms": row.created_ms,
        "duration_ms": row.took_ms,
        "event": row.event,
        "webhook_endpoint": row.endpoint,
        "livemode": row.livemode,
        "node": node_of(row.id),
        "number": row.number,
        "resend": row.resent,
        "request": {
            "method": "POST",
            "url": row.url,
            "headers": {
                "content-type": "application/json",
                "user-agent": USER_AGENT,
                "stripe-signature": f"t={second},v1={NOT_KEPT}",
                "webhook-id": row.event,
                "webhook-timestamp": str(second),
                "webhook-signature": f"v1,{NOT_KEPT}",
            },
        },
        "response": _response(row),
        "failure": row.failure,
        "next": row.follows,
        "next_attempt": None if row.next_ms is None else row.next_ms // 1000,
    }


def _response(row: Try) -> Object | None:
    if row.status == 0:
        return None
    return {
        "status": row.status,
        "headers": {} if row.headers is None else msgspec.Raw(row.headers.encode()),
        "body": row.body,
        "body_truncated": row.body_cut,
    }
