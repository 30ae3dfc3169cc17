"""The world that this process goes by: the last good copy, looked at again every second.

Truth is the files. A world that cannot be read, has a lower epoch, or changes the topology
without raising the epoch is refused, loudly, and the one at hand stays in use: two processes
must never assign differently under one epoch.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from bailiwick.shell import telemetry
from bailiwick.world import snapshot
from bailiwick.world.snapshot import World, WorldError

log = telemetry.logger()
CHECK_SECONDS = 1.0


class CurrentWorld:
    """Holder of the world in use.

    Args:
        directory: the world's files.
        accept: a further check; returns why a world cannot be used, or None.

    Raises:
        WorldError: there is no usable world to begin with.
    """

    def __init__(
        self, directory: Path, accept: Callable[[World], str | None] = lambda world: None
    ) -> None:
        self.directory = directory
        self._accept = accept
        self._seen = self._stamp()
        world = snapshot.load(directory)
        problem = accept(world)
        if problem is not None:
            raise WorldError([problem])
        self.world = world
        self.problem: str | None = None
        self._on_change: list[Callable[[World], None]] = []
        self._lock = asyncio.Lock()

    def on_change(self, call: Callable[[World], None]) -> None:
        """Call this with every new world."""
        self._on_change.append(call)

    def _stamp(self) -> tuple[tuple[int, int, int], ...]:
        stamps = []
        for name in snapshot.FILES:
            try:
                found = (self.directory / name).stat()
                stamps.append((found.st_ino, found.st_size, found.st_mtime_ns))
            except OSError:
                stamps.append((0, 0, 0))
        return tuple(stamps)

    async def check(self, *, force: bool = False) -> bool:
        """Load the files again if they changed; True when there is a new world."""
        async with self._lock:
            stamp = self._stamp()
            if stamp == self._seen and not force:
                return False
            try:
                # A world of many merchants takes a while to read: not on the event loop.
                world = await asyncio.to_thread(snapshot.load, self.directory)
            except WorldError as error:
                self._refuse("; ".join(error.problems[:5]))
                self._seen = stamp
                return False
            self._seen = stamp
            if world.digest == self.world.digest:
                self.problem = None
                return False
            problem = self._why_not(world)
            if problem is not None:
                self._refuse(problem)
                return False
            log.info("new world in use", epoch=world.epoch)
            self.world = world
            self.problem = None
            for call in self._on_change:
                call(world)
            return True

    def _why_not(self, world: World) -> str | None:
        known = self.world
        if world.epoch < known.epoch:
            return f"topology.toml: epoch {world.epoch} is lower than {known.epoch}, in use here"
        if world.epoch == known.epoch and world.topology != known.topology:
            return (
                f"topology.toml: changed without raising the epoch; set epoch = {known.epoch + 1}"
            )
        return self._accept(world)

    def _refuse(self, problem: str) -> None:
        if problem != self.problem:
            log.error(
                "new world refused, the last one kept", epoch=self.world.epoch, reason=problem
            )
        self.problem = problem

    async def watch(self) -> None:
        """Check for ever."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            await self.check()
