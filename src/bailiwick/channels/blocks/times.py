"""Times as providers write them. Pure."""

from datetime import UTC, datetime

_YEARS = range(1970, 2200)


def to_ms(text: str | None) -> int | None:
    """An instant by ISO 8601, which names its zone, in Unix milliseconds; None if it is none."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    if found.tzinfo is None or found.year not in _YEARS:
        return None
    return round(found.timestamp() * 1000)


def of_ms(instant_ms: int) -> str:
    """An instant as ISO 8601 writes it in UTC, to the second: ``2026-01-31T12:00:00Z``."""
    return datetime.fromtimestamp(instant_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
