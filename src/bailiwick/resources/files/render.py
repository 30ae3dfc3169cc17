"""Files as API objects. Pure; see https://docs.stripe.com/api/files/object.

``location`` and ``node`` are ours. ``url`` is a path, as those of lists are: a node does not know
by which address it was asked.
"""

from bailiwick.base.objects import Object
from bailiwick.records.record import Record


def file(row: Record) -> Object:
    """A file. Of one that is erased only the id is left."""
    details = row.details
    expires_ms = details.get("expires_ms")
    return {
        "id": row.id,
        "object": "file",
        "created": row.created_ms // 1000,
        "expires_at": None if expires_ms is None else expires_ms // 1000,
        "filename": details.get("filename"),
        "links": None,
        "purpose": details.get("purpose", "dispute_evidence"),
        "size": details.get("size", 0),
        "title": None,
        "type": details.get("type"),
        "url": None if row.erased else f"/v1/files/{row.id}/contents",
        "location": details.get("location"),
        "node": details.get("node"),
    }


SHOW = {"file": file}
REFERENCES: dict[str, dict[str, str]] = {"file": {}}
