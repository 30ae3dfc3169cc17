"""Background loops that nothing but cancellation ends."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger()
PAUSE_MIN_S = 0.2
CANCEL_AGAIN_S = 1.0


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


async def end(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks and wait until they have ended.

    Again and again: before Python 3.12 ``asyncio.wait_for`` can swallow a cancellation that
    comes together with its result, and libraries use it.
    """
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
