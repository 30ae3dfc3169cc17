"""A channel's judges: tests that hold it against something that nobody here wrote.

They lie in ``tests/channels/<name>`` of the source, or in ``tests`` of a channel's own project.
"""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from bailiwick.channels import registry
from bailiwick_lab.channel_suite.subject import Subject


class Judged(NamedTuple):
    """What a channel's judges say."""

    place: Path
    ok: bool
    said: str


def place(it: Subject) -> Path | None:
    """Where the judges of a channel are; None where there are none."""
    root = it.folder.parent.parent
    if it.folder.parent == registry.HERE:
        root = registry.HERE.parents[2] / "tests" / "channels"
        found = root / it.profile.name
    else:
        found = root / "tests"
    return found if any(found.glob("test_*.py")) else None


def judge(it: Subject) -> Judged | None:
    """Run them with pytest; None where there are none, or no pytest."""
    where = place(it)
    if where is None or find_spec("pytest") is None:
        return None
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(where)],
        cwd=where.parent if it.folder.parent != registry.HERE else registry.HERE.parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return Judged(where, done.returncode == 0, "\n".join([*failed, *lines[-1:]]))
