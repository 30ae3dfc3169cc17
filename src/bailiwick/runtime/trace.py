"""The trace that a request belongs to: carried through tasks, log lines and calls to providers.

Format: W3C Trace Context, https://www.w3.org/TR/trace-context/.
"""

import os
import re
from contextvars import ContextVar

_SHAPE = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_current: ContextVar[str | None] = ContextVar("traceparent", default=None)


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
