"""The world that this process goes by: the last good copy, looked at again every second.

Truth is the files: signed epochs, or, in a directory without them, the plain files. An epoch
that cannot be read, does not descend from the one in use, or cannot be kept on disk is
refused, loudly, and the one at hand stays in use: two processes must never assign differently
under one epoch.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from bailiwick.runtime import telemetry
from bailiwick.topology import chain, snapshot
from bailiwick.topology.chain import ChainError, Judgement, Link, NotOurs
from bailiwick.topology.epochs import Epochs
from bailiwick.topology.snapshot import World, WorldError

log = telemetry.logger()
CHECK_SECONDS = 0.5

Opinion = Judgement | Literal["foreign", "garbage"]


class Feed(Protocol):
    """What brings new epochs from elsewhere, and knows whether ours is the newest."""

    @property
    def connected(self) -> bool: ...
    @property
    def stale_s(self) -> float: ...


class Freshness(msgspec.Struct, frozen=True):
    """How sure a process is of its world.

    Attributes:
        connected: whether a broker pushes new epochs; None when there is to be none.
        stale_s: seconds since the world was known to be the newest, or, without a broker,
            since its files were looked at; 0.0 while it is known from moment to moment.
        refused: how many worlds were refused, by kind of reason.
    """

    epoch: int
    connected: bool | None
    stale_s: float
    problem: str | None
    refused: dict[str, int]

    def shown(self) -> dict[str, object]:
        """For /readyz."""
        return {
            "epoch": self.epoch,
            "connected": self.connected,
            "stale_s": round(self.stale_s, 1),
            "problem": self.problem,
        }


class CurrentWorld:
    """Holder of the world in use.

    Args:
        directory: the world's files.
        accept: a further check; returns why a world cannot be used, or None.
        trust: the file of the keys that may sign; None: the one in ``directory``.

    Attributes:
        link: the signed epoch in use; None when the files are plain.
        feed: set by who brings epochs from elsewhere.
        problem: why the newest world on offer is not in use, or None.
        refused: how many were refused, by kind of reason.

    Raises:
        WorldError: there is no usable world to begin with.
    """

    def __init__(
        self,
        directory: Path,
        accept: Callable[[World], str | None] = lambda world: None,
        *,
        trust: Path | None = None,
    ) -> None:
        self.directory = directory
        self.epochs = Epochs(directory, trust)
        self.link: Link | None = None
        self.feed: Feed | None = None
        self.refused: Counter[str] = Counter()
        self._accept = accept
        self._problems: dict[str, str] = {}
        self._on_change: list[Callable[[World], None]] = []
        self._lock = asyncio.Lock()
        self._seen = self._stamp()
        self._again = True
        self._checked_at = time.monotonic()
        self.world = self._first()

    @property
    def problem(self) -> str | None:
        return next(iter(self._problems.values()), None)

    def freshness(self) -> Freshness:
        """How sure we are of the world, at this moment."""
        if self.feed is not None:
            connected, stale_s = self.feed.connected, self.feed.stale_s
        else:
            unchecked = time.monotonic() - self._checked_at
            connected, stale_s = None, unchecked if unchecked > 2 * CHECK_SECONDS else 0.0
        return Freshness(self.world.epoch, connected, stale_s, self.problem, dict(self.refused))

    def on_change(self, call: Callable[[World], None]) -> None:
        """Call this with every new world."""
        self._on_change.append(call)

    def _first(self) -> World:
        if not self.epochs.signed:
            world = snapshot.load(self.directory)
        else:
            try:
                found = self.epochs.head()
            except ChainError as error:
                raise WorldError([str(error)]) from None
            if found.link is None:
                raise WorldError(
                    [*found.problems, f"no signed epoch in {self.epochs.folder}; install one"]
                )
            world, self.link = snapshot.of_link(found.link), found.link
            for problem in found.problems:
                self._refuse("file", "disk", problem)
        unusable = self._accept(world)
        if unusable is not None:
            raise WorldError([unusable])
        return world

    def _stamp(self) -> tuple[int, ...]:
        stamps = list(self.epochs.stamp())
        for name in snapshot.FILES:
            try:
                found = (self.directory / name).stat()
                stamps += [found.st_ino, found.st_size, found.st_mtime_ns]
            except OSError:
                stamps += [0, 0, 0]
        return tuple(stamps)

    async def check(self, *, force: bool = False) -> bool:
        """Load the files again if they changed; True when there is a new world."""
        async with self._lock:
            self._checked_at = time.monotonic()
            stamp = self._stamp()
            changed = stamp != self._seen
            if not (changed or self._again or force):
                return False
            # Once more next time: file times are coarse, and a change may follow a look closely.
            self._seen, self._again = stamp, changed
            if self.link is not None or self.epochs.signed:
                return await self._check_signed()
            return await self._check_plain()

    async def watch(self) -> None:
        """Check for ever."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            await self.check()

    # --- plain files --------------------------------------------------------------------------

    async def _check_plain(self) -> bool:
        try:
            # A world of many merchants takes a while to read: not on the event loop.
            world = await asyncio.to_thread(snapshot.load, self.directory)
        except WorldError as error:
            self._refuse("file", "unusable", "; ".join(error.problems[:5]))
            return False
        if world.digest == self.world.digest:
            self._problems.pop("file", None)
            return False
        problem = self._why_not(world)
        if problem is not None:
            self._refuse("file", "unusable", problem)
            return False
        self._use(world, None)
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

    # --- the signed chain -----------------------------------------------------------------------

    async def offer(self, raw: bytes) -> str | None:
        """Use an envelope that came from elsewhere, once it is kept on disk.

        Returns why it was refused; None when it is in use now, or was already.
        """
        async with self._lock:
            if not self.epochs.signed:
                return self._refuse(
                    "offer", "foreign", "the world here is plain files; add trust.json to sign it"
                )
            try:
                # Large epochs take a while: not on the event loop.
                link = await asyncio.to_thread(self._unsealed, raw)
            except ChainError as error:
                kind = "foreign" if isinstance(error, NotOurs) else "garbage"
                return self._refuse("offer", kind, f"an epoch on offer {error}")
            judgement = chain.judge(self.link, link)
            if judgement == "same":
                self._problems.pop("offer", None)
                return None
            if judgement != "new" and self.link is not None:
                return self._refuse("offer", judgement, chain.why_not(judgement, self.link, link))
            return await self._take(link, "offer")

    def _unsealed(self, raw: bytes) -> Link:
        return chain.unseal(raw, self.epochs.trust())

    def opinion(self, raw: bytes) -> Opinion:
        """What an envelope is to the one in use; nothing changes.

        ``foreign``: this host cannot judge it; ``garbage``: it is no good envelope.
        """
        try:
            return chain.judge(self.link, self._unsealed(raw))
        except NotOurs:
            return "foreign"
        except ChainError:
            return "garbage"

    async def _check_signed(self) -> bool:
        known = self.link
        try:
            if known is None:
                found = await asyncio.to_thread(self.epochs.head)
            else:
                self.epochs.keep(known)
                found = await asyncio.to_thread(self.epochs.newer, known)
        except ChainError as error:
            self._refuse("file", "disk", str(error))
            return False
        for problem in found.problems:
            self._refuse("file", "disk", problem)
        if not found.problems:
            self._problems.pop("file", None)
        if found.link is None or found.link is known:
            return False
        return await self._take(found.link, "file") is None

    async def _take(self, link: Link, source: str) -> str | None:
        """Use a link that is new to us; returns why not, or None."""
        try:
            world = await asyncio.to_thread(snapshot.of_link, link)
            problem = self._why_not(world) if self.link is None else self._accept(world)
            if problem is not None:
                return self._refuse(source, "unusable", problem)
            await asyncio.to_thread(self.epochs.store, link)
        except WorldError as error:
            return self._refuse(source, "unusable", "; ".join(error.problems[:5]))
        except ChainError as error:
            return self._refuse(source, "disk", str(error))
        self._use(world, link)
        return None

    # --- both -----------------------------------------------------------------------------------

    def _use(self, world: World, link: Link | None) -> None:
        log.info("new world in use", epoch=world.epoch)
        self.world, self.link = world, link
        self._problems.clear()
        for call in self._on_change:
            call(world)

    def _refuse(self, source: str, kind: str, problem: str) -> str:
        self.refused[kind] += 1
        if problem != self._problems.get(source):
            epoch = self.link.epoch if self.link is not None else None
            log.error("new world refused, the last one kept", epoch=epoch, reason=problem)
        # A broker that is behind is brought up to date: nothing that a person must see to.
        if kind != "older":
            self._problems[source] = problem
        return problem
