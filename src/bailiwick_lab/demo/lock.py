"""One demo per folder: a lock that the kernel drops when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

_NAME = "supervisor.lock"


class DemoLock(Exception):
    """The folder is in use; the message says by whom and what to do."""

    @staticmethod
    def refusal(data: Path, pid: int) -> str:
        return (
            f"a demo runs on {data} already (process {pid}); stop it with "
            f"bailiwick demo --stop --data {data}, or use another folder with --data"
        )


@contextlib.contextmanager
def hold(data: Path) -> Iterator[None]:
    """Hold the folder while the block runs; raises DemoLock when another process does."""
    data.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(data / _NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read(descriptor)
            raise DemoLock(DemoLock.refusal(data, holder or 0)) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def running_pid(data: Path) -> int | None:
    """The process that holds the folder, None when none does."""
    try:
        descriptor = os.open(data / _NAME, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(descriptor)
    else:
        return None
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else None
