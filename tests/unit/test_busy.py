"""`tools/busy.py`: it keeps the machine busy as long as a command runs, and no longer."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.waiting import PATIENCE_S, wait_until

TOOL = Path(__file__).parents[2] / "tools" / "busy.py"
SIBLINGS = """
import os, psutil
others = {each.pid for each in psutil.Process(os.getppid()).children()} - {os.getpid()}
print(*others, flush=True)
"""
KILLS = """
import signal
one = others.pop()
os.kill(one, signal.SIGKILL)
while psutil.Process(one).status() != psutil.STATUS_ZOMBIE:  # a busy machine takes its time
    os.sched_yield()
"""
LINGERS = "print('up', flush=True); import time; time.sleep(3600)"


def busy(code: str) -> list[str]:
    return [sys.executable, str(TOOL), "--processes", "2", "--", sys.executable, "-c", code]


def lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_they_spin_while_the_command_runs_and_its_status_is_passed_on() -> None:
    done = subprocess.run(
        busy(SIBLINGS + "raise SystemExit(7)"), capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 7, done.stderr
    pids = [int(word) for word in done.stdout.splitlines()[0].split()]
    assert len(pids) == 2
    assert not any(lives(pid) for pid in pids)
    assert "busy: 2 spinning processes on " in done.stdout
    assert "ended with status 7" in done.stdout


def test_a_machine_that_was_not_busy_proves_nothing() -> None:
    kill = SIBLINGS + KILLS
    done = subprocess.run(busy(kill), capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 3
    assert "this proves nothing" in done.stdout


def test_nothing_is_left_of_one_that_is_ended() -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with subprocess.Popen(busy(LINGERS), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
            children = [each.pid for each in psutil.Process(process.pid).children()]
            command = next(pid for pid in children if LINGERS in psutil.Process(pid).cmdline())
            assert len(children) == 3
            process.send_signal(number)
            process.wait(PATIENCE_S)
            if number == signal.SIGKILL:  # the command is its own master then
                os.kill(command, signal.SIGKILL)
            wait_until(lambda children=children: not any(lives(pid) for pid in children))
