"""How long each step of one request took, for whoever asks: the ``Server-Timing`` header.

Off unless a request carries ``Bailiwick-Timing``: a mark then costs one look at a variable.
https://www.w3.org/TR/server-timing/
"""

import itertools
import time
from contextvars import ContextVar

_marks: ContextVar[list[tuple[str, int]] | None] = ContextVar("timing", default=None)


def begin() -> None:
    """Time what is done from here on behalf of this request."""
    _marks.set([("", time.perf_counter_ns())])


def mark(name: str) -> None:
    """A step has ended."""
    marks = _marks.get()
    if marks is not None:
        marks.append((name, time.perf_counter_ns()))


def header() -> str | None:
    """The steps so far, each with the milliseconds since the one before; None when off."""
    marks = _marks.get()
    if marks is None or len(marks) < 2:
        return None
    pairs = itertools.pairwise(marks)
    return ", ".join(f"{name};dur={(at - before) / 1e6:.3f}" for (_, before), (name, at) in pairs)
