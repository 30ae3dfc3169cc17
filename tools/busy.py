#!/usr/bin/env python3
"""Run a command while the machine is busy: as many spinning processes as it has cores.

    python tools/busy.py -- python -m pytest -n 2 --dist loadscope tests/unit
    make test-busy ARGS="tests/unit"

The spinning processes are ours alone: each watches that we live and ends by itself when we do
not, and at the end each is ended by its process id. The exit status is the command's. When a
spinning process ended before the command did, the run proves nothing, and the status is 3.
"""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time

SPIN = """
import os, sys
parent = int(sys.argv[1])
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""
NOT_BUSY = 3


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--processes", type=positive, default=os.cpu_count() or 1, help="default: one per core"
    )
    parser.add_argument("command", nargs="+", help="what to run, after --")
    options = parser.parse_args()
    # The command is stopped first, and the spinning processes in the end, whatever ends us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    spinning = []
    began = time.monotonic()
    try:
        for _ in range(options.processes):
            spinning.append(subprocess.Popen([sys.executable, "-c", SPIN, str(os.getpid())]))
        status = run(options.command)
        ended = sum(process.poll() is not None for process in spinning)
    finally:
        for process in spinning:
            process.kill()
            process.wait()
    took = time.monotonic() - began
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(
        f"busy: {options.processes} spinning processes on {os.cpu_count()} cores (load {load}); "
        f"{shlex.join(options.command)} ended with status {status} after {took:.0f} s"
    )
    if ended:
        print(f"busy: {ended} of the spinning processes ended early: this proves nothing")
        return NOT_BUSY
    return status


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def run(command):
    """The command's exit status, as a shell would tell it."""
    try:
        process = subprocess.Popen(command)
    except OSError as error:
        sys.exit(f"busy: {command[0]} cannot be started: {error.strerror}")
    try:
        while True:
            try:
                status = process.wait()
                break
            except KeyboardInterrupt:
                continue  # Ctrl-C reached the command too: it says when it is done
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
