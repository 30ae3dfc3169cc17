"""The two clocks in use, and what each is for."""

import time


def now_ms() -> int:
    """Wall clock, milliseconds since the Unix epoch (UTC): for records and ids only."""
    return time.time_ns() // 1_000_000


def boot_ns() -> int:
    """Nanoseconds since boot, suspension included.

    Permits to send are measured with it: unlike the monotonic clock it goes on while the
    machine is suspended, so a node that slept cannot take an old permit for a fresh one.
    """
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
