"""Times as providers write them: the clock of one place, or RFC 3339. Pure."""

from datetime import UTC, datetime, timedelta, timezone


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
    return datetime.fromtimestamp(ms // 1000, UTC).astimezone(_zone(hours))


def _zone(hours: int) -> timezone:
    return timezone(timedelta(hours=hours))
