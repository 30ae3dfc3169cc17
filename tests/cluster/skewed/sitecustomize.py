"""Read by every Python process that has this folder in PYTHONPATH: a wrong clock for some.

``SKEWED`` is ``part of the command line=seconds,...``.
"""

import os
import sys
import time

_line = " ".join(sys.orig_argv)
_skews = (each.rpartition("=") for each in os.environ.get("SKEWED", "").split(","))
_seconds = next((int(seconds) for part, _, seconds in _skews if part and part in _line), 0)
if _seconds:
    _time, _time_ns = time.time, time.time_ns
    time.time = lambda: _time() + _seconds
    time.time_ns = lambda: _time_ns() + _seconds * 10**9
