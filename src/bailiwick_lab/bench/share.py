"""A part of one core for some processes: what a small machine of their own would give them.

A control group with a quota of processor time, of either version of the kernel's interface
(https://docs.kernel.org/scheduler/sched-bwc.html, https://docs.kernel.org/admin-guide/cgroup-v2.html).
The period is short, so that nobody stands still for longer than a few milliseconds. All run on one
core: of two, the kernel would give one the whole quota, and what runs on the other nothing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import psutil

from bailiwick_lab.bench.site import SiteError

PERIOD_US: Final = 10_000


@contextlib.contextmanager
def limited(pids: Sequence[int], share: float, mounts: str = "/proc/mounts") -> Iterator[None]:
    """Processes, with all their descendants, that together use at most this share of a core.

    Raises SiteError where control groups cannot be made.
    """
    parent, version = _controller(mounts)
    group = parent / f"bailiwick-bench-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        raise SiteError(
            f"a share of a core takes a control group of its own, as root ({error}); leave "
            "--node-share out"
        ) from None
    cores = os.sched_getaffinity(0)
    try:
        _set_quota(parent, group, version, round(share * PERIOD_US))
        for pid in pids:
            for each in (pid, *_descendants(pid)):
                _move(group, each, {max(cores)})
        yield
    finally:
        for inside in (group / "cgroup.procs").read_text().split():
            _move(parent, int(inside), cores)
        group.rmdir()


def _controller(mounts: str) -> tuple[Path, int]:
    """Where groups with a quota are made, and by which version of the interface."""
    for line in Path(mounts).read_text(encoding="utf-8").splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup" and "cpu" in options.split(","):
            return Path(place), 1
        if kind == "cgroup2":
            with contextlib.suppress(OSError):
                if "cpu" in (Path(place) / "cgroup.controllers").read_text().split():
                    return Path(place), 2
    raise SiteError("no control groups for processor time are mounted: leave --node-share out")


def _set_quota(parent: Path, group: Path, version: int, quota_us: int) -> None:
    try:
        if version == 1:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(quota_us))
        else:
            (parent / "cgroup.subtree_control").write_text("+cpu")
            (group / "cpu.max").write_text(f"{quota_us} {PERIOD_US}")
    except OSError as error:
        raise SiteError(f"{group} takes no quota: {error}") from None


def _descendants(pid: int) -> list[int]:
    try:
        return [each.pid for each in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _move(group: Path, pid: int, cores: set[int]) -> None:
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # it has ended, or a thread
        (group / "cgroup.procs").write_text(str(pid))
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores)
