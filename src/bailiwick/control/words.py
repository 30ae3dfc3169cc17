"""Parts of previews that several operations share. Pure."""

from __future__ import annotations

from typing import Final

from bailiwick.control.changes import NOBODY, homes_moved
from bailiwick.topology.snapshot import World

_NAMED: Final = 6
SENT_ON: Final = (
    "confirmed payments: 503, retry the same key, until you adopt, evacuate or return it"
)


def moves(old: World, new: World) -> list[str]:
    """Where new payments go: how many places move from which home to which."""
    lines = []
    for (was, now), places in sorted(homes_moved(old.topology, new.topology).items()):
        shown = ", ".join(places[:_NAMED])
        more = ", ..." if len(places) > _NAMED else ""
        if now == NOBODY:
            told = f"{was} -> nobody: {len(places)} places are refused (503)"
        elif was == NOBODY:
            told = f"{now}: {len(places)} places are served again"
        else:
            told = f"{was} -> {now}: {len(places)} places"
        lines.append(f"{told} ({shown}{more})")
    return lines or ["no place changes its home"]


def asked_first(new: World) -> str:
    """What repeated keys of moved places meet."""
    return (
        f"a key of a moved place is asked at its earlier home first, for "
        f"{new.topology.key_retention_hours} hours (decision record 11)"
    )


def policies(world: World) -> str:
    """What becomes of repeated keys once a node's database is gone."""
    refuse = sum(each.after_fence == "refuse" for each in world.merchants.all)
    accept = len(world.merchants.all) - refuse
    return (
        f"keys of unknown age are refused for {refuse} merchants (409) and taken for {accept} "
        "(after_fence); create without confirm is always taken"
    )
