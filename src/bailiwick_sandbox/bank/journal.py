"""The bank's books on disk: one line a change, appended before the change is answered.

A line is handed to the kernel with one write and without fsync: it outlives the process however
that ends, though not the machine. Every line holds the rows as they are after the change, so that
replaying is "the last one wins".
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bailiwick_sandbox.bank.records import (
    Capture,
    Charge,
    Dispute,
    Increment,
    Payout,
    Recall,
    Refund,
    Reversal,
    Submission,
    Void,
)
from bailiwick_sandbox.families.wire import Completion

_HEADER = b'{"books":"bailiwick-sandbox","version":1}\n'


class Entry(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The rows changed together by one event."""

    charge: Charge | None = None
    capture: Capture | None = None
    void: Void | None = None
    refund: Refund | None = None
    increment: Increment | None = None
    dispute: Dispute | None = None
    submission: Submission | None = None
    payout: Payout | None = None
    recall: Recall | None = None
    reversal: Reversal | None = None
    completion: Completion | None = None


class JournalError(Exception):
    """The books on disk cannot be used; the message says why and what to do."""


class Journal:
    """An append-only file with one writer."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._encoder = msgspec.json.Encoder()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalError(f"{path}: cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._fd)
            raise JournalError(f"{path}: another sandbox is using these books; stop it") from error
        self._end = 0

    def replay(self) -> Iterator[Entry]:
        """The entries of earlier runs, oldest first; must be used up before the first append.

        A last line that is not whole was never answered, so it is cut off. Anything else that
        cannot be read raises JournalError: books with a hole are not books.
        """
        decoder = msgspec.json.Decoder(Entry)
        with self.path.open("rb") as file:
            first = file.readline()
            if first != _HEADER:
                if first and not _HEADER.startswith(first):
                    raise JournalError(f"{self.path}: these are not the books of a sandbox")
                self._cut(0)
                self._write(_HEADER)
                return
            self._end = len(first)
            for number, line in enumerate(file, start=2):
                if not line.endswith(b"\n"):
                    break
                try:
                    entry = decoder.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    raise JournalError(
                        f"{self.path}, line {number}: {error}; move the file away to start afresh"
                    ) from error
                self._end += len(line)
                yield entry
        self._cut(self._end)

    def append(self, entry: Entry) -> None:
        """Keep an entry; raises OSError with nothing kept when the disk refuses."""
        self._write(self._encoder.encode(entry) + b"\n")

    def close(self) -> None:
        """Give up the file and its lock."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write(self, line: bytes) -> None:
        written = os.write(self._fd, line)
        while written < len(line):
            # A full disk may take a part: half a line must not stay under the next one.
            try:
                more = os.write(self._fd, line[written:])
            except OSError:
                self._cut(self._end)
                raise
            written += more
        self._end += written

    def _cut(self, end: int) -> None:
        if os.fstat(self._fd).st_size != end:
            os.ftruncate(self._fd, end)
        self._end = end
