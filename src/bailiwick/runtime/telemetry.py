"""Logs and metrics that cannot carry a payer's data.

Both have an allow-list. A log line holds only the fields named in `FIELDS`, whatever the
caller passes; the rest is dropped and counted in `dropped`. Error messages are never logged,
because a database or a provider puts values into them: the type and the places in the code
are. Log records of libraries keep their fixed text, without its arguments.

The event's text is a constant in the code, never a formatted string.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, MutableMapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO, cast

import msgspec
import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from bailiwick.runtime import trace

FIELDS: Final = frozenset(
    {
        # line
        "event", "level", "time", "process", "library", "pid", "version",
        # who and where
        "node", "home", "access", "gateway", "channel", "provider", "merchant", "epoch", "rule",
        "livemode", "place",
        # what
        "request_id", "traceparent", "payment", "attempt", "refund", "event_id", "webhook",
        "operation", "phase", "state", "outcome", "code", "decline_code", "status", "method",
        "route", "reason", "remedy", "fault", "lane", "table", "migration", "mode",
        "preparation",
        # how much
        "count", "size", "bytes", "duration_ms", "delay_ms", "lag_ms", "age_ms", "inflight",
        "capacity", "tries", "share", "dropped",
        # our own addresses and files
        "listen", "url", "host", "port", "file", "field",
        # errors
        "error", "where",
    }
)  # fmt: skip
LABELS: Final = frozenset(
    {
        "node", "gateway", "channel", "method", "route", "status", "outcome", "operation",
        "phase", "reason", "state", "lane", "mode", "verdict", "version", "preparation",
    }
)  # fmt: skip
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
MOST_CHARACTERS: Final = 200
_FRAMES: Final = 6

Event = MutableMapping[str, Any]
Logger = structlog.typing.FilteringBoundLogger

# A series with the time of its making beside each counter doubles the text for no reader.
disable_created_metrics()  # type: ignore[no-untyped-call]


def configure(process: str, *, level: str = "info", stream: TextIO | None = None) -> None:
    """Send this process's logs, and those of libraries, to `stream` as JSON lines.

    `process` is the name on every line; the default stream is standard error.
    """
    out = stream if stream is not None else sys.stderr
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)

    def name_process(_logger: Any, _method: str, event: Event) -> Event:
        event["process"] = process
        return event

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            name_process,
            name_trace,
            describe_error,
            allow,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_LibraryHandler()]
    root.setLevel(max(number, logging.WARNING))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        library = logging.getLogger(name)
        library.handlers = []
        library.propagate = True
        library.setLevel(logging.WARNING)


def logger(**fields: Any) -> Logger:
    """A logger with `fields` on each of its lines."""
    return cast(Logger, structlog.get_logger(**fields))


# --- processors ---------------------------------------------------------------------------


def name_trace(_logger: Any, _method: str, event: Event) -> Event:
    """Name the trace on whose behalf the line is written."""
    known = trace.current()
    if known is not None:
        event.setdefault("traceparent", known)
    return event


def describe_error(_logger: Any, _method: str, event: Event) -> Event:
    """Replace an exception by its type and the places it passed; its message is not ours."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if not isinstance(error, BaseException):
        error = event.get("error")
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        event["where"] = places(error.__traceback__)
    return event


def allow(_logger: Any, _method: str, event: Event) -> Event:
    """Keep allow-listed fields of plain types, cut to a bounded length."""
    kept: dict[str, Any] = {"time": event.get("time"), "event": event.get("event")}
    dropped = 0
    for name, value in event.items():
        plain = _plain(value) if name in FIELDS else None
        if plain is None and value is not None:
            dropped += 1
        elif plain is not None:
            kept[name] = plain
    if dropped:
        kept["dropped"] = dropped
    return kept


def render(_logger: Any, _method: str, event: Event) -> str:
    return msgspec.json.encode(event).decode()


def places(traceback: TracebackType | None) -> str:
    """`file:line` of the innermost frames, outermost first."""
    frames: list[str] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        frames.append(f"{Path(code.co_filename).name}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    return " ".join(frames[-_FRAMES:])


def _plain(value: Any) -> Any:
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value if len(value) <= MOST_CHARACTERS else value[: MOST_CHARACTERS - 1] + "…"
    if isinstance(value, Path):
        return str(value)
    return None


class _LibraryHandler(logging.Handler):
    """Records of libraries: their fixed text without arguments, which may hold anything."""

    def emit(self, record: logging.LogRecord) -> None:
        event = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
        try:
            structlog.get_logger(library=record.name).log(
                record.levelno, event.strip() or "log", exc_info=record.exc_info
            )
        except Exception:
            self.handleError(record)


# --- metrics ------------------------------------------------------------------------------


class Metrics:
    """The metrics of one process, in a registry of its own.

    Names get the prefix `bailiwick_`. Labels are allow-listed (`LABELS`): never a merchant,
    payer, id or place, both for privacy and for the number of series.
    """

    def __init__(self, *, process: bool = True) -> None:
        self.registry = CollectorRegistry()
        if process:
            ProcessCollector(registry=self.registry)

    def counter(self, name: str, text: str, labels: Iterable[str] = ()) -> Counter:
        return Counter(_name(name), text, _labels(labels), registry=self.registry)

    def gauge(self, name: str, text: str, labels: Iterable[str] = ()) -> Gauge:
        return Gauge(_name(name), text, _labels(labels), registry=self.registry)

    def histogram(
        self,
        name: str,
        text: str,
        labels: Iterable[str] = (),
        *,
        buckets: Sequence[float] = (
            0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
        ),
    ) -> Histogram:  # fmt: skip
        """A histogram; the default buckets are seconds."""
        return Histogram(
            _name(name), text, _labels(labels), registry=self.registry, buckets=buckets
        )

    def render(self) -> bytes:
        """The text that `/metrics` answers, of type `CONTENT_TYPE`."""
        return generate_latest(self.registry)


def _name(name: str) -> str:
    return name if name.startswith("bailiwick_") else f"bailiwick_{name}"


def _labels(labels: Iterable[str]) -> tuple[str, ...]:
    names = tuple(labels)
    unknown = sorted(set(names) - LABELS)
    if unknown:
        raise ValueError(f"metric labels {', '.join(unknown)} are not in telemetry.LABELS")
    return names
