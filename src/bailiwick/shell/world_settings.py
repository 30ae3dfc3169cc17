"""The settings of where a process keeps its world, alike for access and nodes."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from bailiwick.shell.settings import File

WorldTrust = Annotated[
    File,
    Meta(
        description="the keys that may sign epochs, in a file that the process cannot write; none: "
        "`trust.json` in the world's folder"
    ),
]
