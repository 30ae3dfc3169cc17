"""One log of many processes: a prefix per process for people, JSON lines for programs.

Every line also goes, as it came, to `<folder>/<name>.log`.
"""

from __future__ import annotations

import re
import sys
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, TextIO

import msgspec

MOST_FILE_BYTES: Final = 10 * 1024 * 1024
_TAIL = 12
_COLOURS = (36, 32, 35, 34, 33, 96, 92, 95, 94, 93)
_ROUTINE = re.compile(r" (LOG|DETAIL|HINT|STATEMENT|CONTEXT):  ")
_SHOWN_ELSEWHERE = frozenset({"event", "level", "time", "process", "pid"})


class JobLog:
    """Gathers the lines of all processes of one supervisor."""

    def __init__(
        self,
        folder: Path,
        *,
        stream: TextIO | None = None,
        as_json: bool = False,
        colour: bool | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._stream = stream if stream is not None else sys.stdout
        self._json = as_json
        self._colour = self._stream.isatty() if colour is None else colour
        self._files: dict[str, BinaryIO] = {}
        self._tails: dict[str, deque[str]] = {}
        self._width = 8
        self._broken = False

    def line(self, name: str, text: str, *, level: str = "info") -> None:
        """One line of process `name`; the supervisor's own lines come this way too."""
        self._keep(name, text)
        fields = _fields(text)
        if fields is None and _ROUTINE.search(text):
            return  # what a database says all day is in its file
        self._show(self._format(name, text, fields, level))

    def show(self, text: str) -> None:
        """Text for people, such as a summary: not part of any file, silent as JSON."""
        if not self._json:
            self._show(text)

    def tail(self, name: str) -> str:
        """The last lines of a process."""
        return "\n".join(self._tails.get(name, ()))

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _show(self, text: str) -> None:
        if self._broken:
            return
        try:
            print(text, file=self._stream, flush=True)
        except (OSError, ValueError):
            # Nobody reads any more (the terminal is gone): the files go on.
            self._broken = True

    def _format(self, name: str, text: str, fields: dict[str, object] | None, level: str) -> str:
        now = datetime.now(UTC)
        if self._json:
            line: dict[str, object] = {"time": now.isoformat(timespec="milliseconds")}
            line |= fields if fields is not None else {"level": level, "event": text}
            line["process"] = name
            return msgspec.json.encode(line).decode()
        if fields is not None:
            level = str(fields.get("level", level))
            rest = " ".join(f"{k}={v}" for k, v in fields.items() if k not in _SHOWN_ELSEWHERE)
            text = f"{fields.get('event', '')} {rest}".strip()
        if level in ("warning", "error", "critical"):
            text = f"{level}: {text}"
        self._width = max(self._width, len(name))
        prefix = f"{now.astimezone():%H:%M:%S} {name:<{self._width}} |"
        if self._colour:
            number = _COLOURS[sum(name.encode()) % len(_COLOURS)]
            prefix = f"\x1b[{number}m{prefix}\x1b[0m"
            if level in ("error", "critical"):
                text = f"\x1b[31m{text}\x1b[0m"
        return f"{prefix} {text}"

    def _keep(self, name: str, text: str) -> None:
        self._tails.setdefault(name, deque(maxlen=_TAIL)).append(text)
        try:
            file = self._file(name)
            file.write(text.encode(errors="replace") + b"\n")
            file.flush()
        except OSError:
            pass  # a full disk must not stop the processes themselves

    def _file(self, name: str) -> BinaryIO:
        path = self._folder / f"{name.replace(' ', '-')}.log"
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = path.open("ab")
        if file.tell() > MOST_FILE_BYTES:
            file.close()
            path.replace(path.with_suffix(".log.1"))
            file = self._files[name] = path.open("ab")
        return file


def _fields(text: str) -> dict[str, object] | None:
    if not text.startswith("{"):
        return None
    try:
        return msgspec.json.decode(text, type=dict[str, object])
    except msgspec.DecodeError:
        return None
