"""Drain a node, take it back, and remove it: nothing is lost on the way."""

from __future__ import annotations

from bailiwick.control import database, words
from bailiwick.control.database import Open
from bailiwick.control.plans import ControlError, Plan, Preview, Say, Step
from bailiwick.control.site import Site, stated, until
from bailiwick.control.toml_edit import node_removed
from bailiwick.store.database import Fence
from bailiwick.topology.parts import Node, State


async def drain(site: Site, name: str, *, wait_s: float = 60.0) -> Plan:
    """New payments go elsewhere, by a new epoch; what is under way ends. Raises ControlError."""
    node = site.node(name)
    if node.state not in ("active", "draining"):
        raise ControlError(f"node '{name}' is {node.state}: there is nothing to drain")
    new = site.meant(stated(name, "draining"))
    preview = Preview(
        writes=[f"epoch {new.epoch}: node {name}: state = draining"],
        in_flight=[
            "go on here and end here; later operations on them (capture, refund) too",
            f"this command waits up to {wait_s:.0f} s for them",
        ],
        new=[*words.moves(site.world(), new), words.asked_first(new)],
        takes=["new payments: a second after the epoch; then as long as providers take"],
    )
    plan = Plan("drain", name, preview, [])
    plan.steps.append(publish(site, plan, node, "draining"))
    plan.steps.append(emptied(site, plan, node, wait_s))
    return plan


async def undrain(site: Site, name: str) -> Plan:
    """The node takes its places again."""
    node = site.node(name)
    if node.state not in ("active", "draining"):
        raise ControlError(f"node '{name}' is {node.state}; bring it back with: node return")
    new = site.meant(stated(name, "active"))
    preview = Preview(
        writes=[f"epoch {new.epoch}: node {name}: state = active", "its database: draining ends"],
        in_flight=["go on where they are"],
        new=[*words.moves(site.world(), new), words.asked_first(new)],
        takes=["a second after the epoch"],
    )
    plan = Plan("undrain", name, preview, [_here(site, node, False)])
    plan.steps.append(publish(site, plan, node, "active"))
    return plan


async def drain_local(site: Site, name: str, *, draining: bool = True) -> Plan:
    """Have the node refuse new payments by tombstone, without a new epoch."""
    node = site.node(name)
    word = "set" if draining else "ended"
    preview = Preview(
        writes=[f"the database of {name}: draining is {word}; no epoch"],
        in_flight=["go on here and end here"],
        new=[
            "are refused here by tombstone and taken by the next allowed node, at once; places "
            "that have no other get 503" if draining else "are taken here again"
        ],
        final=["a key that was refused by tombstone is never taken here"] if draining else [],
        takes=["up to a second"],
    )  # fmt: skip
    return Plan("drain_local", name, preview, [_here(site, node, draining)])


async def remove(site: Site, name: str) -> Plan:
    """A drained node leaves the topology. Raises ControlError while anything is open there."""
    node = site.node(name)
    if node.state not in ("draining", "evacuated"):
        raise ControlError(f"node '{name}' is {node.state}: drain it first")
    new = site.meant(lambda text: node_removed(text, name))
    stranded = [rule.places for rule in new.topology.rules if not rule.takers]
    if stranded:
        raise ControlError(f"nobody would serve {', '.join(stranded[0])}: give them a node first")
    old = site.world()
    known = [each for each in old.earlier if each.topology.by_number.get(node.number) is not None
             and each.topology.by_number[node.number].state == "active"]  # fmt: skip
    before = ["keep its database: it holds the books of all that was paid there"]
    if known:
        before.append(
            f"keys claimed there may still be repeated: until {old.topology.key_retention_hours} "
            f"hours after epoch {known[0].epoch} ended, {words.policies(old)}"
        )
    preview = Preview(
        writes=[f"epoch {new.epoch}: without node {name}"],
        in_flight=["there are none: that is checked first"],
        new=words.moves(old, new),
        final=[
            "payments made there can no longer be reached through access: 404, whatever is asked",
            "with its database it can come back: publish it as draining, then node return",
        ],
        before=before,
        takes=["a second"],
    )
    plan = Plan("remove", name, preview, [], confirm=name)
    plan.steps.append(Step("Look for what is open", lambda say: _nothing_open(site, node)))

    async def leave(say: Say) -> str:
        change = site.world().topology.node_named(name) is not None
        epoch = site.head().epoch
        if change:
            epoch = await site.publish(lambda text: node_removed(text, name), f"node remove {name}")
        plan.facts["epoch"] = epoch
        return f"epoch {epoch} is in force; stop the process of {name}"

    plan.steps.append(Step("Publish the topology without it", leave))
    return plan


# --- steps ------------------------------------------------------------------------------------


def publish(site: Site, plan: Plan, node: Node, state: State) -> Step:
    """The step that gives a node a state by a new epoch."""

    async def run(say: Say) -> str:
        note = f"node {plan.operation} {node.name}"
        epoch = await site.publish(stated(node.name, state), note)
        plan.facts["epoch"] = epoch
        return f"epoch {epoch} is in force"

    return Step(f"Publish {node.name} as {state}", run)


def emptied(site: Site, plan: Plan, node: Node, wait_s: float) -> Step:
    """The step that waits until no attempt is under way, and says what remains."""

    async def run(say: Say) -> str:
        # Until its process knows the epoch it takes what it took before.
        await site.at_epoch(site.node(node.name), site.head().epoch, wait_s, say, ready=False)
        count = await drained(site, node, wait_s, say)
        left = await _left(site, node)
        plan.facts.update(open=count.total, remaining=left)
        return "; ".join(["no attempt is under way", *left])

    return Step(f"Wait for what is under way at {node.name}", run)


async def drained(site: Site, node: Node, wait_s: float, say: Say) -> Open:
    """Wait until no attempt is under way; pending ones may wait for people. Raises ControlError."""
    seen = Open()
    async with site.database(node.name, site.entry(node.name).dsn) as connection:
        await database.fence_of(connection, node.number)

        async def look() -> Open | None:
            nonlocal seen
            seen = await database.open_attempts(connection)
            return None if seen.under_way else seen

        return await until(
            look, "attempts are under way", wait_s, say, lambda: f"Now: {seen.words()}"
        )


async def _left(site: Site, node: Node) -> list[str]:
    async with site.database(node.name, site.entry(node.name).dsn) as connection:
        found = await database.remaining(connection)
    return ["what remains was not counted: that takes too long"] if found is None else found.words()


async def _nothing_open(site: Site, node: Node) -> str:
    """Raises ControlError where something still has to come to an end there."""
    async with site.database(node.name, site.entry(node.name).dsn) as connection:
        await database.fence_of(connection, node.number)
        count = await database.open_attempts(connection)
        if count.total:
            raise ControlError(f"attempts are open at {node.name}: {count.words()}")
        left = await database.remaining(connection)
    if left is None:
        raise ControlError(f"counting what is open at {node.name} takes too long; repeat")
    if left.action or left.capture or left.refunds or left.deliveries:
        raise ControlError(f"{node.name} still has open ends: {'; '.join(left.words())}")
    return "; ".join(["nothing is open", *left.words()])


def _here(site: Site, node: Node, draining: bool) -> Step:
    async def run(say: Say) -> str:
        async with site.database(node.name, site.entry(node.name).dsn) as connection:
            known = await database.fence_of(connection, node.number)
            if known.draining is not draining:
                known = await database.drain_here(connection, draining)
        return fence_words(known)

    return Step(f"Tell the database of {node.name}", run)


def fence_words(fence: Fence) -> str:
    """A fence row for people."""
    state = "fenced" if fence.fenced else "not fenced"
    draining = ", draining" if fence.draining else ""
    return f"{state}{draining}, for processes of epoch {fence.epoch} and later"
