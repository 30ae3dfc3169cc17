"""The folder of one drill, and the removal of those that dead drills left."""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Final

import psutil

from bailiwick_lab.servers import engines
from bailiwick_lab.servers.binaries import EngineError
from bailiwick_lab.servers.cluster_files import first_number, is_postmaster

_PREFIX: Final = "bailiwick-drill"
_NAME: Final = re.compile(rf"{_PREFIX}-(\d+)-(\d+)-[a-z0-9_]+")
_KEPT: Final = "kept"


def make() -> Path:
    """A new folder, named by this process and when it began: a number alone comes again."""
    began = round(psutil.Process().create_time())
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}-{os.getpid()}-{began}-"))
    # The databases' user has to come through it; what is private in it is so by itself.
    folder.chmod(0o755)
    return folder


def keep(folder: Path) -> None:
    """Leave it for people to look at, whatever becomes of this process."""
    (folder / _KEPT).touch()


def remove(folder: Path) -> None:
    """Delete a drill's folder, and what its databases have elsewhere. A database that is still
    stopping is ended. Raises EngineError for one that does not end."""
    for place in sorted(folder.glob("databases/*/*")):
        data = place / "home" / "data" if (place / "home").exists() else place / "data"
        _end_server(data)
        engines.remove(place)
    shutil.rmtree(folder, ignore_errors=True)


def _end_server(data: Path) -> None:
    pid = first_number(data / "postmaster.pid")
    if pid is None or not is_postmaster(pid, data):
        return
    server = psutil.Process(pid)
    try:
        server.send_signal(signal.SIGQUIT)
        server.wait(timeout=5)
    except psutil.NoSuchProcess:
        pass
    except psutil.TimeoutExpired:
        raise EngineError(f"process {pid} still runs a server on {data}") from None


def sweep() -> list[Path]:
    """Remove the folders of drills that were killed; those kept on purpose stay."""
    removed = []
    for folder in sorted(Path(tempfile.gettempdir()).glob(f"{_PREFIX}-*")):
        match = _NAME.fullmatch(folder.name)
        if match is None or folder.is_symlink() or folder.stat().st_uid != os.geteuid():
            continue
        if (folder / _KEPT).exists() or _lives(int(match[1]), int(match[2])):
            continue
        try:
            remove(folder)
        except EngineError:
            continue  # the next drill finds it
        removed.append(folder)
    return removed


def _lives(pid: int, began: int) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() - began) <= 1.0
    except psutil.Error:
        return False
