"""The trace that a request belongs to, and how long each step of it took.

The trace is carried through tasks, log lines and calls to providers; its format is W3C Trace
Context, https://www.w3.org/TR/trace-context/. Steps are timed for whoever asks, in the header
``Server-Timing`` (https://www.w3.org/TR/server-timing/): off unless a request carries
``Bailiwick-Timing``, and then a mark costs one look at a variable.
"""

import itertools
import os
import re
import time
from contextvars import ContextVar

_SHAPE = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_current: ContextVar[str | None] = ContextVar("traceparent", default=None)
_marks: ContextVar[list[tuple[str, int]] | None] = ContextVar("timing", default=None)


def follow(header: str | None) -> None:
    """Take a request's ``traceparent`` over for all that is done on its behalf."""
    if header is not None and _SHAPE.fullmatch(header) is not None:
        _current.set(header)


def current() -> str | None:
    """The trace of what runs now."""
    return _current.get()


def onward() -> str | None:
    """The header for a call made on behalf of the current trace: a span of its own."""
    known = _current.get()
    if known is None:
        return None
    return f"{known[:36]}{os.urandom(8).hex()}{known[52:]}"


def begin_timing() -> None:
    """Time what is done from here on behalf of this request."""
    _marks.set([("", time.perf_counter_ns())])


def mark(name: str) -> None:
    """A step has ended."""
    marks = _marks.get()
    if marks is not None:
        marks.append((name, time.perf_counter_ns()))


def timing_header() -> str | None:
    """The steps so far, each with the milliseconds since the one before; None when off."""
    marks = _marks.get()
    if marks is None or len(marks) < 2:
        return None
    pairs = itertools.pairwise(marks)
    return ", ".join(f"{name};dur={(at - before) / 1e6:.3f}" for (_, before), (name, at) in pairs)
