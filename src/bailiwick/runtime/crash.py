"""Named places at which a test kills or freezes the process, to prove that nothing is lost there.

The names are read from the source by the tests, so a point that is added without a test is
found. Unarmed, a point costs one comparison. Arming is possible only where the process was
started with ``BAILIWICK_CRASH_POINTS=1``; see ``POST /internal/crash`` of a node.
"""

import os
import signal
from typing import Final

HOW: Final = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP}

_armed: str | None = None
_hits_left = 0
_signal = signal.SIGKILL


def enabled() -> bool:
    """Whether processes may be made to die here."""
    return os.environ.get("BAILIWICK_CRASH_POINTS") == "1"


def arm(name: str, nth: int = 1, how: str = "kill") -> None:
    """Kill this process, or freeze it until a SIGCONT, the ``nth`` time it comes to ``name``.

    Raises:
        PermissionError: crash points are not enabled in this process.
        ValueError: ``how`` is neither "kill" nor "freeze".
    """
    global _armed, _hits_left, _signal
    if not enabled():
        raise PermissionError("crash points are off: set BAILIWICK_CRASH_POINTS=1 in a test")
    if how not in HOW:
        raise ValueError(f"how {how!r} must be one of {', '.join(HOW)}")
    _armed, _hits_left, _signal = name, nth, HOW[how]


def crash_point(name: str) -> None:
    """A place where a process may die or stand still."""
    global _armed, _hits_left
    if _armed is None or _armed != name:
        return
    _hits_left -= 1
    if _hits_left <= 0:
        _armed = None  # it is woken once, not stopped again at the next payment
        os.kill(os.getpid(), _signal)
