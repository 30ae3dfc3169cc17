"""Network namespaces of our own: Linux only, root only.

They have no name: each lives as long as a descriptor of ours, or a process in it. When the
drill ends, however it ends, the kernel removes its hosts, their interfaces and the bridge.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence

CLONE_NEWNET = 0x40000000  # linux/sched.h


class NotAllowed(Exception):
    """Namespaces cannot be made here; the message says why."""


def _call(name: str, *arguments: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


class Namespace:
    """One network namespace. Enter it on the main thread, and never across an await."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def make(cls) -> Namespace:
        """A new, empty namespace. Raises NotAllowed."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call("unshare", CLONE_NEWNET)
            made = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            _call("setns", before, CLONE_NEWNET)
        except OSError as error:
            raise NotAllowed(f"a network namespace cannot be made ({error.strerror})") from None
        finally:
            os.close(before)
        return cls(made)

    @property
    def path(self) -> str:
        """Names it to other processes of this machine: `nsenter --net=PATH` enters it."""
        return f"/proc/{os.getpid()}/fd/{self._descriptor}"

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Sockets made and processes started in this block belong to the namespace."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call("setns", self._descriptor, CLONE_NEWNET)
            try:
                yield
            finally:
                _call("setns", before, CLONE_NEWNET)
        finally:
            os.close(before)

    def stay(self) -> None:
        """Make it this thread's own from now on."""
        _call("setns", self._descriptor, CLONE_NEWNET)

    def ip(self, commands: Sequence[str]) -> None:
        """Run commands of `ip` in it, all or none being sent. Raises NotAllowed."""
        with self.entered():
            done = subprocess.run(
                ["ip", "-batch", "-"],
                input="".join(f"{line}\n" for line in commands),
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise NotAllowed(f"ip refused ({said[0] if said else done.returncode})")

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)


def why_not() -> str | None:
    """Why hosts in namespaces cannot be made here; None when they can."""
    if not os.path.exists("/proc/thread-self/ns/net"):
        return "this system has no network namespaces"
    if shutil.which("ip") is None:
        return "the command 'ip' is missing (apt-get install iproute2)"
    try:
        probe = Namespace.make()
    except NotAllowed as refused:
        return f"{refused}: root is needed"
    try:
        probe.ip(["link set lo up", "link add veth0 type veth peer name veth1",
                  "link add bridge0 type bridge"])  # fmt: skip
    except NotAllowed as refused:
        return str(refused)
    finally:
        probe.close()
    return None
