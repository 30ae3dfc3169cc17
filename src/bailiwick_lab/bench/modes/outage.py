"""One node of a demo made to answer nothing for a while, and brought back.

``killed``: its process is killed; the one that the supervisor starts in its place is frozen before
it listens, so that connections are refused and nothing of it uses the machine. ``frozen``: it is
stopped as it is; connections are taken by the kernel and nothing comes back, which is worse for
callers.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Literal

import msgspec

from bailiwick_lab.bench.site import SiteError, fetch

How = Literal["killed", "frozen"]
PATIENCE_S: Final = 180.0
_STEP_S = 0.005  # a successor needs a hundred times this before it listens


class _Process(msgspec.Struct, frozen=True):
    url: str
    pid: int | None
    name: str = ""
    status_url: str = ""


class _Pids(msgspec.Struct, frozen=True):
    """``demo.json``; a process that has just ended has no pid in it."""

    nodes: list[_Process]
    access: list[_Process]


class Outage:
    """A node that is dead between ``begin`` and ``end``, which block; or within a with-block.

    Args:
        data: the demo's folder.
    """

    def __init__(self, data: Path, node: str, how: How = "killed") -> None:
        self._file = data / "demo.json"
        self._name = node
        self._how = how
        self._frozen: int | None = None

    def begin(self) -> None:
        """Make it silent. Raises SiteError."""
        pid = self._pid()
        if pid is None:
            raise SiteError(f"node {self._name} does not run; see the demo's logs")
        if self._how == "killed":
            os.kill(pid, signal.SIGKILL)
            pid = self._successor(pid)
        os.kill(pid, signal.SIGSTOP)
        self._frozen = pid

    def end(self) -> None:
        """Let it go on; return when it is ready and every access process knows. Raises SiteError;
        may be called again."""
        if self._frozen is None:
            return
        os.kill(self._frozen, signal.SIGCONT)
        self._frozen = None
        pids = self._pids()
        until = time.monotonic() + PATIENCE_S
        _until(f"{self._node(pids).url}/readyz", "", until)
        known = f'bailiwick_access_node_open{{node="{self._name}"}} 1'
        for access in pids.access:
            _until(f"{access.status_url}/metrics", known, until)

    def __enter__(self) -> None:
        self.begin()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def _successor(self, dead: int) -> int:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            pid = self._pid()
            if pid is not None and pid != dead:
                return pid
            time.sleep(_STEP_S)
        raise SiteError(f"node {self._name} was not started again: does its supervisor run?")

    def _pid(self) -> int | None:
        return self._node(self._pids()).pid

    def _node(self, pids: _Pids) -> _Process:
        for each in pids.nodes:
            if each.name == self._name:
                return each
        raise SiteError(f"{self._file}: there is no node {self._name}")

    def _pids(self) -> _Pids:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=_Pids)
        except (OSError, msgspec.DecodeError) as error:
            raise SiteError(f"{self._file} cannot be used: {error}") from error


def _until(url: str, said: str, until: float) -> None:
    """Wait until a page can be had and says something."""
    while True:
        try:
            if said in fetch(url).decode():
                return
            problem = f"{url} never said {said}"
        except SiteError as error:
            problem = str(error)
        if time.monotonic() > until:
            raise SiteError(problem)
        time.sleep(0.05)
