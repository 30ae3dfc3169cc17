"""How a process comes by its world: whose keys it trusts, and the epochs that the broker brings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from bailiwick.runtime.settings import File, SettingsError

if TYPE_CHECKING:
    from bailiwick.bus.client import Bus
    from bailiwick.topology.current import CurrentWorld
    from bailiwick.topology.feed import WorldFeed

WorldTrust = Annotated[
    File,
    Meta(
        description="the keys that may sign epochs, in a file that the process cannot write; none: "
        "`trust.json` in the world's folder"
    ),
]


def join(current: CurrentWorld, bus: Bus | None) -> WorldFeed | None:
    """The feed that brings a process's world over the bus, not yet started."""
    if bus is None:
        return None
    from bailiwick.topology.feed import WorldFeed

    return WorldFeed(current, bus)


async def first_epoch(
    directory: Path, bus: Bus | None, *, trust: Path | None = None, wait_s: float = 30.0
) -> None:
    """Let a host whose directory trusts keys, but holds no epoch yet, get it from the broker.

    Raises SettingsError when there still is none.
    """
    if bus is None:
        return
    from bailiwick.topology.feed import fetch_first

    problem = await fetch_first(directory, bus, trust=trust, wait_s=wait_s)
    if problem is not None:
        await bus.close()
        raise SettingsError(f"{directory}: there is no epoch here yet, and {problem}")
