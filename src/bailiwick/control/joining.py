"""Join: a node with an empty database proves itself, then takes its places. Nobody restarts."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from bailiwick.access.nodes.forward import HopError
from bailiwick.base import canary, sealing
from bailiwick.base.canary import CanaryAsk, CanaryTold
from bailiwick.base.clock import now_ms
from bailiwick.control import database, words
from bailiwick.control.changes import changes
from bailiwick.control.plans import ControlError, Plan, Preview, Say, Step
from bailiwick.control.serving import publish
from bailiwick.control.site import Site, until
from bailiwick.control.toml_edit import node_set
from bailiwick.store.migrate import MigrationError, migrate
from bailiwick.topology.parts import Node

CANARY_S = 30.0
CHANGES_MAX = 20


class Joining(msgspec.Struct, frozen=True):
    """What a join needs to know of the new node.

    Attributes:
        change: makes the topology in force into one with the node and its rules.
        prepare: makes its database, where that is ours to do; called first.
        dsn: asked for after that.
        config: for people: what its process is started with.
    """

    name: str
    number: int
    url: str
    change: Callable[[str], str]
    dsn: Callable[[], str]
    prepare: Callable[[Say], Awaitable[str]] | None = None
    config: str = "node.toml"


async def join(site: Site, new: Joining, *, wait_s: float = 300.0, prove: bool = True) -> Plan:
    """A new node takes its places once it has proven itself. Raises ControlError."""
    name = new.name
    known = site.world().topology.node_named(name)
    if known is not None and known.state != "joining":
        raise ControlError(f"node '{name}' is {known.state} already")

    def joining(text: str) -> str:
        return node_set(new.change(text), name, state="joining")

    coming = site.meant(joining)
    node = coming.topology.node_named(name)
    if node is None or (node.number, node.url) != (new.number, new.url.rstrip("/")):
        raise ControlError(
            f"the topology must have node '{name}' with number {new.number} and url {new.url}, as "
            "its node.toml"
        )
    taken = site.meant(lambda text: node_set(new.change(text), name, state="active"))
    epoch = coming.epoch
    preview = Preview(
        writes=[
            f"the database of {name}: schema and number {new.number}, which it keeps for ever",
            f"epoch {epoch}: node {name} at {new.url}, state = joining: it takes nothing yet",
            f"a payment of {'10.00' if prove else 'none'} in test mode at {name}, and its refund",
            f"the database of {name}: the merchants' webhook endpoints, copied from another node",
            f"epoch {epoch + 1}: node {name}: state = active",
            *changes(site.world(), taken)[:CHANGES_MAX],
        ],
        in_flight=["stay where they are"],
        new=[*words.moves(site.world(), taken), words.asked_first(taken)],
        final=[f"number {new.number} belongs to this database for ever"],
        before=[f"start its process when asked to: bailiwick node --config {new.config}"],
        takes=["about ten seconds from the start of its process"],
    )
    plan = Plan("join", name, preview, [])
    plan.steps.extend(_steps(site, plan, new, joining, wait_s, prove))
    return plan


def _steps(
    site: Site, plan: Plan, new: Joining, joining: Callable[[str], str], wait_s: float, prove: bool
) -> list[Step]:
    name = new.name

    async def claim(say: Say) -> str:
        if new.prepare is not None:
            await new.prepare(say)
        async with site.database(name, new.dsn()) as connection:
            return await _claimed(connection, new)

    async def announce(say: Say) -> str:
        known = site.world().topology.node_named(name)
        epoch = site.head().epoch
        if known is None:
            epoch = await site.publish(joining, f"node join {name}")
        plan.facts["announced"] = epoch
        return f"epoch {epoch} is in force"

    async def wait(say: Say) -> str:
        say(f"  start its process, if it does not run: bailiwick node --config {new.config}")
        node = site.node(name)
        await site.at_epoch(node, site.head().epoch, wait_s, say)
        return await _connected(site, node, wait_s, say)

    async def prove_it(say: Say) -> str:
        told = await sing(site, site.node(name))
        plan.facts["canary"] = msgspec.to_builtins(told)
        return (
            f"{told.payment} succeeded at {told.gateway} and was refunded, {told.milliseconds} ms"
        )

    async def copy(say: Say) -> str:
        return await _endpoints(site, site.node(name), new.dsn())

    async def taken(say: Say) -> str:
        node = site.node(name)
        await site.at_epoch(node, site.head().epoch, wait_s, say)
        # Those made over an access process that did not know of the node yet.
        return await _endpoints(site, node, new.dsn())

    steps = [
        Step(f"Claim the database of {name}", claim),
        Step(f"Announce {name}", announce),
        Step(f"Wait for the process of {name}", wait),
    ]
    if prove:
        steps.append(Step("Send a canary payment", prove_it))
    return [
        *steps,
        Step("Copy webhook endpoints", copy),
        publish(site, plan, Node(new.number, name, new.url, name), "active"),
        Step("See that it serves", taken),
    ]


async def _claimed(connection: asyncpg.Connection, new: Joining) -> str:
    """Schema and number in an empty database. Raises ControlError."""
    try:
        await migrate(connection, new.number)
    except MigrationError as error:
        raise ControlError(str(error)) from None
    fence = await database.fence_of(connection, new.number)
    if not await database.is_new(connection):
        raise ControlError(
            f"the database of {new.name} has payments: to bring a node back use: node return"
        )
    if fence.fenced:
        raise ControlError(f"the database of {new.name} is fenced: node return")
    return "it is empty and belongs to the node"


async def _connected(site: Site, node: Node, wait_s: float, say: Say) -> str:
    """Wait until all its gateways are connected. Raises ControlError."""
    url = site.url(node)
    closed: list[str] = ["not known"]

    async def look() -> int | None:
        nonlocal closed
        found = await site.read(url, "/usage/gateways")
        gateways: list[dict[str, Any]] = [] if found is None else found["gateways"]
        closed = [f"{each['name']} is {each['usage']}" for each in gateways
                  if each["usage"] != "open"]  # fmt: skip
        return len(gateways) if found is not None and not closed else None

    what = f"all gateways of {node.name} are to be open"
    count = await until(look, what, min(wait_s, 60.0), say, lambda: f"{'; '.join(closed)}.")
    return f"it is ready, and its {count} gateways are open"


async def sing(site: Site, node: Node, merchant: str = "") -> CanaryTold:
    """Have a node make its canary payment. Raises ControlError when it did not go well."""
    ask = CanaryAsk(node.number, now_ms(), os.urandom(16).hex(), merchant)
    body = msgspec.json.encode(ask)
    secret = site.fleet.internal_secret
    proof = sealing.seal(secret, canary.KIND, body)
    lines = [
        b"content-type: application/json\r\n",
        f"{sealing.SEAL}: {proof}\r\n".encode("ascii"),
    ]
    try:
        answer = await site.ask(site.url(node), "POST", canary.PATH, lines, body, timeout=CANARY_S)
    except HopError as error:
        raise ControlError(f"the canary got no answer of {node.name}: {error.reason}") from None
    if answer.status != 200:
        said = answer.body[:300].decode(errors="replace")
        raise ControlError(f"{node.name} refused the canary ({answer.status}): {said}")
    expected = sealing.answer_seal(secret, canary.KIND, proof, answer.body)
    if not sealing.fits(expected, answer.headers.get(sealing.SEAL.encode("ascii"))):
        raise ControlError(
            f"what answered the canary at {site.url(node)} does not know the internal secret, or "
            "is another release: see what is there, or upgrade it"
        )
    told = msgspec.json.decode(answer.body, type=CanaryTold)
    if not told.ok:
        raise ControlError(f"the canary of {node.name} did not survive: {told.detail}")
    return told


async def _endpoints(site: Site, node: Node, dsn: str) -> str:
    """Copy what each node has all of from the first other node whose database answers."""
    others = [each for each in site.world().topology.nodes
              if each.number != node.number and each.name in site.fleet.nodes]  # fmt: skip
    for other in others:
        try:
            async with (
                site.database(other.name, site.entry(other.name).dsn) as source,
                site.database(node.name, dsn) as target,
            ):
                copied = await database.copy_everywhere(source, target)
        except ControlError as error:
            problem = str(error)
            continue
        return f"{copied} webhook endpoints and configurations came from {other.name}"
    if not others:
        return "there is no other node"
    raise ControlError(f"no other node's webhook endpoints can be read: {problem}")


def of_config(config: Path, topology: Path) -> Joining:
    """A join by the new node's own settings and a topology that has it. Raises ControlError."""
    from bailiwick.node.config import NodeSettings
    from bailiwick.runtime.settings import SettingsError, read

    try:
        settings = read(config, NodeSettings)
        text = topology.read_text(encoding="utf-8")
    except SettingsError as error:
        raise ControlError("\n".join(error.problems)) from None
    except OSError as error:
        raise ControlError(f"{topology}: cannot be read: {error.strerror}") from None
    if not settings.url:
        raise ControlError(f"{config}: url is missing; write the node's address as in the topology")
    return Joining(
        settings.name,
        settings.number,
        settings.url.rstrip("/"),
        lambda _: text,
        lambda: settings.dsn,
        config=str(config),
    )
