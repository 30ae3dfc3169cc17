"""The signed epochs in a world directory: ``epochs/<12 digits>.json`` and ``trust.json``.

Who may write the directory may not say whose signature counts: for a process that keeps its epochs
there, the trusted keys are a file elsewhere, which it cannot write.

An epoch's file is made once, whole, and never changed. What is torn, unsigned or of another
chain is left alone and reported, never used. Files only; see ``chain`` for what they mean.
"""

import contextlib
import os
import re
from pathlib import Path
from typing import Final

import msgspec

from bailiwick.topology import chain, snapshot
from bailiwick.topology.chain import ChainError, Link, Trust
from bailiwick.topology.snapshot import World, WorldError

FOLDER: Final = "epochs"
TRUST: Final = "trust.json"
_NAME = re.compile(r"(\d{12})\.json")
_REPLAYED: Final = 32  # epochs looked at again at a start
_REPLAYED_BYTES: Final = 128 << 20


class Found(msgspec.Struct, frozen=True):
    """The epoch to use, if any, and why others were passed over."""

    link: Link | None
    problems: tuple[str, ...] = ()


class Epochs:
    """The signed epochs in one world directory.

    Args:
        trust: the file of trusted keys; None: ``trust.json`` in the directory. With a file the
            directory is signed, whatever is in it, and a ``trust.json`` there means nothing.
    """

    def __init__(self, directory: Path, trust: Path | None = None) -> None:
        self.folder = directory / FOLDER
        self._anchored = trust is not None
        self._trust = trust or directory / TRUST

    @property
    def signed(self) -> bool:
        """Whether the directory holds a chain, or is to hold one."""
        return self._anchored or self._trust.exists() or bool(self.numbers())

    def trust(self) -> Trust:
        """The keys that may sign. Raises ChainError."""
        try:
            with self._trust.open("rb") as file:
                return chain.parse_trust(file.read(chain.MOST_TRUST_BYTES + 1))
        except OSError as error:
            shown = self._trust if self._anchored else TRUST
            raise ChainError(
                f"{shown}: cannot be read ({error.strerror}); copy it from where the world is "
                "published"
            ) from None

    def stamp(self) -> tuple[int, ...]:
        """Differs when an epoch was added or removed, or the trusted keys changed."""
        stamps: list[int] = []
        for path in (self.folder, self._trust):
            try:
                found = path.stat()
                stamps += [found.st_ino, found.st_size, found.st_mtime_ns]
            except OSError:
                stamps += [0, 0, 0]
        return tuple(stamps)

    def numbers(self) -> list[int]:
        """Epochs that have a file, whatever is in it, in order."""
        try:
            names = os.listdir(self.folder)
        except OSError:
            return []
        return sorted(int(match[1]) for name in names if (match := _NAME.fullmatch(name)))

    def path(self, number: int) -> Path:
        return self.folder / f"{number:012d}.json"

    def read(self, number: int, trust: Trust) -> Link:
        """One epoch. Raises ChainError naming the file."""
        path = self.path(number)
        try:
            with path.open("rb") as file:
                link = chain.unseal(file.read(chain.MOST_BYTES + 1), trust)
        except OSError as error:
            raise ChainError(f"{FOLDER}/{path.name}: cannot be read: {error.strerror}") from None
        except ChainError as error:
            raise type(error)(f"{FOLDER}/{path.name}: {error}") from None
        if link.epoch != number:
            raise ChainError(f"{FOLDER}/{path.name}: holds epoch {link.epoch}; remove the file")
        return link

    def head(self) -> Found:
        """The highest epoch of the chain. Raises ChainError when nothing can be trusted."""
        numbers = self.numbers()
        start, size = len(numbers), 0
        while start > 0 and len(numbers) - start < _REPLAYED and size < _REPLAYED_BYTES:
            start -= 1
            with contextlib.suppress(OSError):
                size += self.path(numbers[start]).stat().st_size
        return self._follow(None, numbers[start:])

    def newer(self, known: Link) -> Found:
        """The highest epoch that descends from a known one; that one if there is none."""
        return self._follow(known, [number for number in self.numbers() if number > known.epoch])

    def _follow(self, known: Link | None, numbers: list[int]) -> Found:
        """Go from epoch to epoch in order, as a process would that sees them being published."""
        trust = self.trust()
        problems: list[str] = []
        for number in numbers:
            try:
                link = self.read(number, trust)
            except ChainError as error:
                problems.append(str(error))
                continue
            judgement = chain.judge(known, link)
            if judgement == "new":
                known = link
            elif known is not None:
                reason = chain.why_not(judgement, known, link)
                problems.append(f"{FOLDER}/{self.path(number).name}: {reason}")
        return Found(known, tuple(problems))

    def store(self, link: Link) -> None:
        """Keep an epoch on disk; several processes may do so at once.

        Raises:
            ChainError: another epoch of that number is there, or the disk does not take it.
        """
        path = self.path(link.epoch)
        partial = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        try:
            self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            _write_synced(partial, link.raw)
            try:
                os.link(partial, path)
            except FileExistsError:
                self._settle(link, path, partial)
            _sync_folder(self.folder)
        except OSError as error:
            raise ChainError(
                f"epoch {link.epoch} cannot be kept in {self.folder}: {error.strerror}; without "
                "a copy on disk it is not used"
            ) from None
        finally:
            with contextlib.suppress(OSError):
                partial.unlink()

    def keep(self, link: Link) -> None:
        """Write an epoch in use again if its file is gone. Raises ChainError as ``store``."""
        with contextlib.suppress(OSError):
            if self.path(link.epoch).read_bytes() == link.raw:
                return
        self.store(link)

    def _settle(self, link: Link, path: Path, partial: Path) -> None:
        """A file of that number is there: ours, another chain's, or rubbish to put aside."""
        try:
            other = self.read(link.epoch, self.trust())
        except chain.NotOurs:
            raise
        except ChainError:
            path.replace(path.with_name(f"{path.name}.bad"))
            os.link(partial, path)
            return
        if other.hash != link.hash:
            raise ChainError(chain.why_not("fork", other, link))


def world_in_force(directory: Path, trust: Path | None = None) -> World:
    """The world of a directory: its highest signed epoch, or its plain files if it has none.

    ``trust``: as for ``Epochs``.

    Raises WorldError.
    """
    epochs = Epochs(directory, trust)
    if not epochs.signed:
        return snapshot.load(directory)
    try:
        found = epochs.head()
    except ChainError as error:
        raise WorldError([str(error)]) from None
    if found.link is None:
        raise WorldError([*found.problems, f"no signed epoch in {epochs.folder}; install one"])
    return snapshot.of_link(found.link)


def _write_synced(path: Path, raw: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
