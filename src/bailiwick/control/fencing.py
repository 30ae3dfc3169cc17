"""Fence a node's database, so that whoever believes to be the node writes nothing there.

The fence is a row that every batch holds FOR SHARE: setting it waits for the batches under way
and stops all later ones. What they permitted may be sent for `PERMIT_S` more. A primary that
cannot be reached is fenced by promoting its synchronous standby: from then on it can acknowledge
nothing, because it waits for that standby.
"""

from __future__ import annotations

import asyncio

from bailiwick.control import database, words
from bailiwick.control.database import PERMIT_S
from bailiwick.control.plans import ControlError, Plan, Preview, Say, Step
from bailiwick.control.serving import fence_words
from bailiwick.control.site import Site
from bailiwick.store.database import Fence
from bailiwick.topology.parts import Node

STOP_THE_HOST = (
    "a process of {name} that was frozen just after its permit can still send that one request "
    "when it wakes: stop its host or cut it off before you adopt or evacuate"
)


async def fence(site: Site, name: str, *, promote: bool = False) -> Plan:
    """Nothing is written at the node any more. Raises ControlError."""
    node = site.node(name)
    entry = site.entry(name)
    epoch = site.head().epoch
    if promote and not entry.standby_dsn:
        raise ControlError(f"the fleet names no standby_dsn of '{name}': there is none to promote")
    writes = [f"the database of {name}: fence.fenced_at, fence.epoch = {epoch}; no epoch"]
    final: list[str] = []
    before = [STOP_THE_HOST.format(name=name)]
    if promote:
        writes = [
            "if the primary confirms the fence: as without --promote, and nothing is promoted",
            "else its standby is promoted, and the fence is written there",
        ]
        final = [
            "the old primary is of no further use: make a new standby of the promoted server",
            "an old primary that still runs cannot acknowledge a commit: it waits for the standby",
            "if the standby was not synchronous (node status shows it), the last payments are lost",
        ]
        before.append(f"afterwards fleet.toml: dsn of {name} is the promoted server")
    preview = Preview(
        writes=writes,
        in_flight=[
            f"what was permitted is sent within {PERMIT_S:.0f} s or never",
            "its outcome is written by whoever serves the node next",
        ],
        new=[f"{name}: {words.SENT_ON}", "create without confirm: to the next open node at once"],
        final=final,
        before=before,
        takes=[f"the batches under way, then {PERMIT_S:.0f} s"],
    )
    plan = Plan("fence", name, preview, [])

    async def close(say: Say) -> str:
        found = await _closed(site, plan, node, promote, say)
        return fence_words(found)

    async def wait(say: Say) -> str:
        await asyncio.sleep(PERMIT_S)
        return "no permit is left that a running process would use"

    plan.steps.append(Step(f"Fence the database of {name}", close))
    plan.steps.append(Step("Wait until permits have run out", wait))
    return plan


async def _closed(site: Site, plan: Plan, node: Node, promote: bool, say: Say) -> Fence:
    entry, epoch = site.entry(node.name), site.head().epoch
    plan.facts["promoted"] = False
    try:
        return await close_at(site, node, entry.dsn, epoch)
    except ControlError as error:
        if not promote:
            hint = "promote its standby with --promote" if entry.standby_dsn else "see the runbook"
            raise ControlError(f"{error}. If its primary is lost: {hint}") from None
        say(f"  {error}")
    await _promoted(site, node, say)
    plan.facts["promoted"] = True
    return await close_at(site, node, entry.standby_dsn, epoch)


async def close_at(site: Site, node: Node, dsn: str, epoch: int) -> Fence:
    """Fence one database of a node. Raises ControlError."""
    async with site.database(node.name, dsn) as connection:
        await database.fence_of(connection, node.number)
        return await database.close_fence(connection, epoch)


async def _promoted(site: Site, node: Node, say: Say) -> None:
    """Make the standby the primary, unless it is one already. Raises ControlError."""
    async with site.database(node.name, site.entry(node.name).standby_dsn) as connection:
        await database.fence_of(connection, node.number)
        view = await database.standby_view(connection)
        if not view.follows:
            say("  the standby has been promoted already")
            return
        if view.receiver == "streaming":
            say("  the standby still hears its primary: that one runs, and will wait for ever")
        if view.unapplied_bytes:
            say(f"  it applies {view.unapplied_bytes} bytes first")
        await database.promote(connection)
        say("  the standby is promoted")
