"""How tests wait: for the thing itself, with a bound that only ends a hang.

A busy machine may be slow by any factor, so no test says how long something takes. What must
happen is waited for up to ``PATIENCE_S``. What must not happen is shown by the order of facts:
something later has happened, and it is still not there. A time limit of the product that must
run out is set small, or `Clock` moves its loop's clock on; one that must not is set to
``PATIENCE_S``.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

PATIENCE_S: Final = 120.0
"""The longest wait for what must happen: a hundred times what it takes on a machine at rest."""
_FIRST_PAUSE_S = 0.001
_MOST_PAUSE_S = 0.05


async def until(
    holds: Callable[[], Awaitable[object] | object], *, within_s: float = PATIENCE_S
) -> None:
    """Wait for a condition, which may be a coroutine function."""
    end = time.monotonic() + within_s
    pause = _FIRST_PAUSE_S
    while True:
        found = holds()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return
        assert time.monotonic() < end, f"not within {within_s:g} s"
        await asyncio.sleep(pause)
        pause = min(2 * pause, _MOST_PAUSE_S)


def wait_until(holds: Callable[[], object], *, within_s: float = PATIENCE_S) -> None:
    """The same where there is no event loop."""
    end = time.monotonic() + within_s
    pause = _FIRST_PAUSE_S
    while not holds():
        assert time.monotonic() < end, f"not within {within_s:g} s"
        time.sleep(pause)
        pause = min(2 * pause, _MOST_PAUSE_S)


class Clock:
    """The running loop's clock (asyncio's own loop, not uvloop's), which a test moves on.

    Timers that are due by the new time have run when `forward` returns, and what they woke has
    had its turns.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._real = self._loop.time
        self._ahead = 0.0
        self._loop.time = self._time  # type: ignore[method-assign]

    def _time(self) -> float:
        return self._real() + self._ahead

    async def forward(self, seconds: float) -> None:
        self._ahead += seconds
        for _ in range(20):
            await asyncio.sleep(0)
