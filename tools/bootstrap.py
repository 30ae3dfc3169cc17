#!/usr/bin/env python3
"""Make the project's virtual environment from its lock files, with the standard library only.

Debian ships Python without ensurepip and refuses `pip install` outside an environment
(PEP 668). So: an environment without pip where ensurepip is missing, filled by the system's
pip through `pip --python`. Every package is checked against the hashes of the lock.

The project itself goes in editable, without dependencies (the locks brought them) and
without build isolation (its build backend is locked too): a checkout runs what you edit,
and nothing is installed again when the source changes.

A stamp holding the hash of the locks makes a second call cost nothing. Whatever pip is
configured to use (index, proxy, certificates) applies.
"""

import argparse
import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys

MINIMUM = (3, 11)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD_LOCK = "requirements-build.lock"
LOCKS = {
    "runtime": ["requirements.lock", BUILD_LOCK],
    "dev": ["requirements-dev.lock"],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--venv", default=".venv", help="folder of the environment")
    parser.add_argument("--dev", action="store_true", help="add the tools for tests and checks")
    options = parser.parse_args()
    if sys.version_info < MINIMUM:
        have = sys.version.split()[0]
        fail(f"Python 3.11 or newer is needed, this is {have}; call make PYTHON=python3.12 ...")
    venv = os.path.join(ROOT, options.venv)
    wanted = "dev" if options.dev else "runtime"
    if up_to_date(venv, wanted):
        return
    with lock(venv + ".lock"):
        if not up_to_date(venv, wanted):
            build(venv, wanted)


def up_to_date(venv, wanted):
    """True when the environment holds what is wanted; the dev set holds the runtime's."""
    kinds = {wanted, "dev"}
    return any(read(stamp_file(venv, kind)) == fingerprint(kind) for kind in kinds) and (
        os.path.exists(os.path.join(venv, "bin", "bailiwick"))
    )


def fingerprint(kind):
    digest = hashlib.sha256()
    for name in [*LOCKS[kind], "pyproject.toml"]:
        digest.update(read(os.path.join(ROOT, name)).encode())
    digest.update(f"{sys.version_info[:2]} {ROOT}".encode())
    return digest.hexdigest()


def stamp_file(venv, kind):
    return os.path.join(venv, f"bailiwick-{kind}.stamp")


def build(venv, wanted):
    python = os.path.join(venv, "bin", "python")
    if not works(python):
        say(f"making {os.path.relpath(venv)} with Python {sys.version.split()[0]}")
        with_pip = importlib.util.find_spec("ensurepip") is not None
        command = [sys.executable, "-m", "venv", "--clear", venv]
        run(command if with_pip else [*command, "--without-pip"])
    pip = find_pip(python)
    for kind in LOCKS:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(stamp_file(venv, kind))
    say(f"installing the locked packages ({wanted})")
    requirements = [part for name in LOCKS[wanted] for part in ("-r", name)]
    run([*pip, "install", "--quiet", "--require-hashes", *requirements])
    run([*pip, "install", "--quiet", "--no-deps", "--no-build-isolation", "-e", "."])
    with open(stamp_file(venv, wanted), "w") as stream:
        stream.write(fingerprint(wanted))


def works(python):
    """True when the environment's Python runs and has our version."""
    if not os.path.exists(python):
        return False
    code = f"import sys; print(sys.version_info[:2] == {sys.version_info[:2]})"
    answer = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return answer.stdout.strip() == "True"


def find_pip(python):
    """A pip that installs into the environment: its own, else the system's."""
    if succeeds([python, "-m", "pip", "--version"]):
        return [python, "-m", "pip"]
    system = [[sys.executable, "-m", "pip"], ["pip3"], ["pip"]]
    for pip in system:
        # --python came with pip 22.3; an older one fails here and is passed over.
        if (os.path.isabs(pip[0]) or shutil.which(pip[0])) and succeeds(
            [*pip, "--python", python, "--version"]
        ):
            return [*pip, "--python", python]
    return fail("no pip 22.3 or newer found; install one, on Debian: apt-get install python3-pip")


def succeeds(command):
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def run(command):
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    if status:
        fail(f"failed with status {status}: {' '.join(command)}")


@contextlib.contextmanager
def lock(path):
    """Two calls at once take turns."""
    import fcntl

    with open(path, "w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def read(path):
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def say(text):
    print("bootstrap: " + text, file=sys.stderr, flush=True)


def fail(text):
    say(text)
    raise SystemExit(1)


if __name__ == "__main__":
    main()
