"""Named places at which a test kills the process, to prove that nothing is lost there.

The names are read from the source by the tests, so a point that is added without a test is
found. Unarmed, a point costs one comparison. Arming is possible only where the process was
started with ``BAILIWICK_CRASH_POINTS=1``; see ``POST /internal/crash`` of a node.
"""

import os
import signal

_armed: str | None = None
_hits_left = 0


def arm(name: str, nth: int = 1) -> None:
    """Kill this process the ``nth`` time it comes to ``name``.

    Raises:
        PermissionError: crash points are not enabled in this process.
    """
    global _armed, _hits_left
    if os.environ.get("BAILIWICK_CRASH_POINTS") != "1":
        raise PermissionError("crash points are off: set BAILIWICK_CRASH_POINTS=1 in a test")
    _armed, _hits_left = name, nth


def crash_point(name: str) -> None:
    """A place where a process may die."""
    global _hits_left
    if _armed is None or _armed != name:
        return
    _hits_left -= 1
    if _hits_left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
