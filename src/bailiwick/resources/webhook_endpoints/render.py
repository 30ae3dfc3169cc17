"""Webhook endpoints as API objects. Pure; see https://docs.stripe.com/api/webhook_endpoints."""

from bailiwick.base.objects import Object
from bailiwick.delivery.secrets import valid


def webhook_endpoint(row: Object, now_ms: int, *, secret: bool = False) -> Object:
    """A webhook endpoint; its secret is shown once, when it is made."""
    details = row["details"]
    shown = {
        "id": row["id"],
        "object": "webhook_endpoint",
        "api_version": details.get("api_version"),
        "application": None,
        "created": row["created_ms"] // 1000,
        "description": details.get("description"),
        "enabled_events": row["events"],
        "livemode": row["livemode"],
        "metadata": details.get("metadata", {}),
        "status": row["status"],
        "url": row["url"],
    }
    expiring = valid(row["old_secrets"], now_ms)
    if expiring:
        shown["previous_secrets_expire_at"] = [each.until_ms // 1000 for each in expiring]
    return {**shown, "secret": row["secret"]} if secret else shown
