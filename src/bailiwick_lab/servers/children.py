"""Child processes: their end as an awaitable, and their life tied to ours."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys

_LAUNCHER = """
import ctypes, os, sys
number, parent = int(sys.argv[1]), int(sys.argv[2])
ctypes.CDLL(None).prctl(1, number, 0, 0, 0)  # PR_SET_PDEATHSIG
if os.getppid() != parent:
    sys.exit(1)
os.execvp(sys.argv[3], sys.argv[3:])
"""


async def exit_of(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end of `process` and return its status, negative for a signal."""
    while (status := process.poll()) is None:
        try:
            descriptor = os.pidfd_open(process.pid)
        except (AttributeError, OSError):
            # No pidfd here (not Linux, or forbidden): look now and then.
            await asyncio.sleep(0.05)
            continue
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(descriptor, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
    return status


def life_tie(number: signal.Signals) -> list[str]:
    """A command prefix: the kernel sends `number` to the command when our process dies.

    Linux only (elsewhere empty). The tie is to the *thread* that starts the command, so
    start it on the main thread.
    """
    if not sys.platform.startswith("linux"):
        return []
    setpriv = shutil.which("setpriv")
    if setpriv:
        return [setpriv, "--pdeathsig", number.name.removeprefix("SIG"), "--"]
    return [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(int(number)), str(os.getpid())]


def describe(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
