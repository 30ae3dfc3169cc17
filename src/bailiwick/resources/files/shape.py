"""What a file looks like to clients: https://docs.stripe.com/api/files/object. Pure."""

from typing import Literal

from bailiwick.serving.shapes import Count, KeptPlace, Second, Shape


class File(Shape):
    """What a merchant has uploaded; ``location`` and ``node`` are ours."""

    id: str
    object: Literal["file"]
    created: Second
    expires_at: Second | None
    filename: str | None
    links: None
    purpose: str
    size: Count
    title: None
    type: str | None
    url: str | None
    location: KeptPlace | None
    node: str | None


SHAPE = File
MEDIA = {"GET /v1/files/{id}/contents": ("application/pdf", "image/jpeg", "image/png")}
"""Routes that answer with something else than JSON: with what."""
