"""What processes cost: CPU time and memory, from the kernel's own counters."""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil


class Program(msgspec.Struct, frozen=True):
    """A process to watch. ``tree``: with its children, as PostgreSQL has one per connection."""

    role: str
    pid: int
    tree: bool = False


class Spent(msgspec.Struct, frozen=True):
    """CPU seconds so far, for each role and for the whole machine."""

    roles: dict[str, float]
    machine: float


class WatchError(Exception):
    """A process cannot be read; it has ended or is another user's."""


def spent(programs: list[Program]) -> Spent:
    """CPU time used until now. Raises WatchError."""
    roles: dict[str, float] = {}
    for program in programs:
        roles[program.role] = roles.get(program.role, 0.0) + _cpu(program)
    times = psutil.cpu_times()
    machine = times.user + times.system + getattr(times, "irq", 0) + getattr(times, "softirq", 0)
    return Spent(roles, machine)


def _cpu(program: Program) -> float:
    try:
        process = psutil.Process(program.pid)
        total = _own_cpu(process)
        if not program.tree:
            return total
        # Children that have ended (autovacuum workers) are counted in their parent.
        times = process.cpu_times()
        total += times.children_user + times.children_system
        for child in process.children(recursive=True):
            try:
                total += _own_cpu(child)
            except psutil.NoSuchProcess:
                continue
    except psutil.Error as error:
        raise WatchError(f"{program.role} (process {program.pid}): {error}") from error
    return total


def _own_cpu(process: psutil.Process) -> float:
    """CPU seconds of one process with all its threads. Raises psutil.NoSuchProcess."""
    if sys.platform == "linux":
        # Its clock by number, as clock_getcpuclockid(3) makes it: nanoseconds, where /proc has
        # hundredths of a second, which is more than an idle process uses.
        try:
            return time.clock_gettime(~process.pid << 3 | 2)
        except OSError:
            raise psutil.NoSuchProcess(process.pid) from None
    times = process.cpu_times()
    return times.user + times.system


def between(before: Spent, after: Spent) -> Spent:
    """What was used from one moment to another."""
    return Spent(
        {role: after.roles[role] - before.roles.get(role, 0.0) for role in after.roles},
        after.machine - before.machine,
    )


def memory_mb(programs: list[Program]) -> dict[str, float]:
    """Memory of each process in MB (10^6): resident set; for a tree the proportional set, which
    counts shared buffers once. Several processes of a role: the largest. Raises WatchError."""
    found: dict[str, float] = {}
    for program in programs:
        try:
            process = psutil.Process(program.pid)
            size = _tree_bytes(process) if program.tree else process.memory_info().rss
        except psutil.Error as error:
            raise WatchError(f"{program.role} (process {program.pid}): {error}") from error
        found[program.role] = max(found.get(program.role, 0.0), round(size / 1e6, 1))
    return found


def _tree_bytes(process: psutil.Process) -> int:
    total = 0
    for each in [process, *process.children(recursive=True)]:
        try:
            total += each.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
        except (psutil.AccessDenied, AttributeError):
            total += each.memory_info().rss
    return total


def machine() -> dict[str, Any]:
    """What was measured on."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average": [round(value, 2) for value in psutil.getloadavg()],
    }


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
