"""Times as providers write them: ISO 8601, or the clock of one place. Pure."""

from datetime import UTC, datetime, timedelta, timezone

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


def clock(ms: int, hours: int = 0) -> str:
    """Unix milliseconds as ``2014-07-24 03:07:50``, so many hours east of Greenwich; what is left
    of a second is cut off."""
    return _at(ms, hours).strftime("%Y-%m-%d %H:%M:%S")


def rfc3339(ms: int, hours: int = 0) -> str:
    """The same as ``2018-06-08T10:34:56+08:00``."""
    return _at(ms, hours).isoformat(timespec="seconds")


def of_clock(text: str | None, hours: int = 0) -> int | None:
    """Unix milliseconds of what ``clock`` writes; None when it is not exactly that."""
    if text is None or len(text) != 19:
        return None
    try:
        local = datetime.strptime(f"{text}{hours:+03d}00", "%Y-%m-%d %H:%M:%S%z")
    except ValueError:
        return None
    return int(local.timestamp()) * 1000


def _at(ms: int, hours: int) -> datetime:
    return datetime.fromtimestamp(ms // 1000, UTC).astimezone(timezone(timedelta(hours=hours)))
