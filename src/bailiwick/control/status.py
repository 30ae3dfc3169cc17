"""How every node stands, and what the system would propose. It proposes; a person decides."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec

from bailiwick.control import database
from bailiwick.control.database import Open, Standby, StandbyView
from bailiwick.control.plans import ControlError
from bailiwick.control.site import Ready, Site
from bailiwick.store.database import Fence
from bailiwick.topology.parts import Node

SILENT_S = 10.0
"""A node that does not answer for so long is worth a proposal."""
BEHIND_BYTES = 16 << 20


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One node.

    Attributes:
        epoch: the one that its process is at; None when it does not answer.
        silent_s: how long it has not answered while we looked; 0 when it does.
        fence, open, standbys: None when its database does not answer.
        standby: how its standby sees itself, where the fleet names one.
        problems: in words.
    """

    name: str
    number: int
    state: str
    url: str
    epoch: int | None = None
    usage: dict[str, Any] | None = None
    silent_s: float = 0.0
    fence: Fence | None = None
    open: Open | None = None
    standbys: list[Standby] | None = None
    standby: StandbyView | None = None
    problems: list[str] = []


class Status(msgspec.Struct, frozen=True):
    """All of them, under the epoch in force."""

    epoch: int
    nodes: list[NodeStatus]
    proposals: list[str]


async def status(site: Site, *, patience_s: float = 0.0) -> Status:
    """Ask every node and database; silent nodes again for ``patience_s``. Raises ControlError."""
    world = site.world()
    found = await asyncio.gather(
        *(_node(site, node, world.epoch, patience_s) for node in world.topology.nodes)
    )
    return Status(world.epoch, found, [line for each in found for line in proposals(each)])


async def _node(site: Site, node: Node, epoch: int, patience_s: float) -> NodeStatus:
    problems: list[str] = []
    url = site.url(node)
    begun = time.monotonic()
    ready = await site.ready(url)
    while ready is None and time.monotonic() - begun < patience_s:
        await asyncio.sleep(0.5)
        ready = await site.ready(url)
    silent_s = 0.0 if ready is not None else round(time.monotonic() - begun, 1)
    usage = await site.read(url, "/usage") if ready is not None else None
    books = await _books(site, node, problems)
    return NodeStatus(
        name=node.name,
        number=node.number,
        state=node.state,
        url=node.url,
        epoch=None if ready is None else ready.world.epoch,
        usage=usage,
        silent_s=silent_s,
        standby=await _standby(site, node, problems),
        problems=[*_process(ready, epoch), *problems],
        **books,
    )


def _process(ready: Ready | None, epoch: int) -> list[str]:
    if ready is None:
        return ["its process does not answer"]
    late = [] if ready.world.epoch >= epoch else [f"it is at epoch {ready.world.epoch}"]
    return [*late, *ready.problems]


async def _books(site: Site, node: Node, problems: list[str]) -> dict[str, Any]:
    """Fence, open attempts and standbys of its database, as far as they can be had."""
    if node.name not in site.fleet.nodes:
        problems.append("the fleet does not name it")
        return {}
    try:
        async with site.database(node.name, site.entry(node.name).dsn) as connection:
            return {
                "fence": await database.fence_of(connection, node.number),
                "open": await database.open_attempts(connection),
                "standbys": await database.standbys(connection),
            }
    except ControlError as error:
        problems.append(str(error))
        return {}


async def _standby(site: Site, node: Node, problems: list[str]) -> StandbyView | None:
    entry = site.fleet.nodes.get(node.name)
    if entry is None or not entry.standby_dsn:
        return None
    try:
        async with site.database(f"{node.name} (standby)", entry.standby_dsn) as connection:
            return await database.standby_view(connection)
    except ControlError as error:
        problems.append(str(error))
        return None


def proposals(node: NodeStatus) -> list[str]:
    """What a person may want to do about a node. Pure."""
    name = node.name
    if node.state == "evacuated":
        if node.fence is not None and node.epoch is not None:
            return [f"{name} and its database are there again: bailiwick node return {name}"]
        return []
    if node.state == "joining":
        return [f"{name} is still joining: finish or undo that: bailiwick node join"]
    if node.fence is not None and node.fence.fenced:
        return [
            f"{name} is fenced: bailiwick node return {name}, or adopt it elsewhere, or evacuate it"
        ]
    if node.fence is None and node.epoch is None:
        return _lost(node)
    lines = []
    if node.epoch is None and node.silent_s >= SILENT_S:
        lines.append(
            f"{name} has not answered for {node.silent_s:.0f} s, but its database does: start its "
            f"process again; if its host is lost: bailiwick node fence {name}, then node adopt"
        )
    elif node.fence is None and node.epoch is not None:
        lines.append(f"the database of {name} does not answer: {_with_standby(node)}")
    if node.fence is not None and node.fence.draining and node.state == "active":
        lines.append(f"{name} drains by its database alone: node drain {name} --local --undo")
    if node.state == "draining" and node.open is not None and not node.open.total:
        lines.append(f"{name} is drained: node drain {name} --undo, or node remove {name}")
    lines += [
        f"standby {each.name} of {name} is {each.behind_bytes >> 20} MB behind"
        for each in node.standbys or []
        if each.behind_bytes is not None and each.behind_bytes > BEHIND_BYTES
    ]
    return lines


def _lost(node: NodeStatus) -> list[str]:
    if node.silent_s < SILENT_S:
        return []
    return [f"{node.name} has not answered for {node.silent_s:.0f} s: {_with_standby(node)}"]


def _with_standby(node: NodeStatus) -> str:
    name = node.name
    if node.standby is not None and node.standby.follows:
        heard = ", which still hears its primary" if node.standby.receiver == "streaming" else ""
        return (
            f"its standby is there{heard}: bailiwick node fence {name} --promote, stop the old "
            f"host, then bailiwick node adopt {name}"
        )
    if node.standby is not None:
        return f"its standby was promoted: bailiwick node fence {name} --promote, then node adopt"
    return (
        f"no standby is known: bring its database back, or stop its host and: bailiwick node "
        f"evacuate {name} --unreachable"
    )
