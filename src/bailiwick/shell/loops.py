"""Background loops that nothing but cancellation ends."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger()
PAUSE_MIN_S = 0.2


async def forever(name: str, step: Callable[[], Awaitable[float]]) -> None:
    """Call ``step`` again and again; it returns how many seconds to wait until the next call.

    A step that fails is logged and tried again after a pause: a database or a provider that is
    down for a while, or a defect in one step, must not end what looks after everything else.
    """
    failures = 0
    while True:
        try:
            pause = await step()
            failures = 0
        except Exception as error:
            failures += 1
            pause = min(PAUSE_MIN_S * 2 ** min(failures, 6), 5.0)
            log.warning("loop_step_failed", reason=name, error=error)
        await asyncio.sleep(pause)
