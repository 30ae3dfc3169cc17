"""Adopt a fenced node elsewhere, give it up, or bring it back."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable
from pathlib import Path

from bailiwick.control import database, words
from bailiwick.control.database import PERMIT_S
from bailiwick.control.fencing import STOP_THE_HOST, close_at
from bailiwick.control.plans import ControlError, Plan, Preview, Say, Step
from bailiwick.control.serving import emptied, fence_words, publish
from bailiwick.control.site import Site, stated
from bailiwick.control.toml_edit import EditError, node_set, top_set
from bailiwick.store.database import Fence
from bailiwick.topology.parts import Node


async def adopt(
    site: Site,
    name: str,
    *,
    dsn: str,
    url: str,
    config_out: Path | None = None,
    listen: str = "",
) -> Plan:
    """The same node number on its own database, served by another host. Raises ControlError."""
    node = site.node(name)
    url = url.rstrip("/")
    change = _served_at(name, url)
    new = site.meant(change)
    entry = site.entry(name)
    if config_out is not None and not entry.config:
        raise ControlError(f"the fleet names no config of '{name}', its node.toml: add it")
    writes = [
        f"epoch {new.epoch}: node {name}: url = {url}, state = active",
        f"the database of {name}: the fence is lifted for processes of that epoch and later",
    ]
    if config_out is not None:
        writes.append(f"{config_out}: {entry.config} with dsn, url{' and listen' * bool(listen)}")
    preview = Preview(
        writes=writes,
        in_flight=["the process that you start at the new place ends them: it asks the providers"],
        new=[*words.moves(site.world(), new), f"{name}: 503 until its new process is ready"],
        final=["processes with an older world never write to this database again"],
        before=[
            STOP_THE_HOST.format(name=name),
            "the database is the promoted synchronous standby, or the old one itself",
            "then start the process: bailiwick node --config ...",
        ],
        takes=["a second, and the start of the process"],
    )
    plan = Plan("adopt", name, preview, [], confirm=name)

    async def fenced(say: Say) -> str:
        found = await _read(site, node, dsn)
        before, here = _adopted(site, name), site.node(name).url == url
        if not found.fenced and not (here and found.epoch >= before > 0):
            raise ControlError(f"this database is not fenced: bailiwick node fence {name}")
        if found.epoch < before and not here:
            raise _left_behind(name, before)
        return fence_words(found)

    async def take(say: Say) -> str:
        epoch = await site.publish(change, f"node adopt {name} at {url}")
        plan.facts["epoch"] = epoch
        return f"epoch {epoch} is in force"

    async def lift(say: Say) -> str:
        return fence_words(await _lifted(site, node, dsn))

    async def write(say: Say) -> str:
        assert config_out is not None
        _write_config(Path(entry.config), config_out, dsn, url, listen)
        return f"{config_out} is written; start: bailiwick node --config {config_out}"

    plan.steps.extend(
        [
            Step("See that the database is fenced", fenced),
            Step(f"Publish {name} at {url}", take),
            Step("Lift the fence", lift),
        ]
    )
    if config_out is not None:
        plan.steps.append(Step("Write its settings", write))
    return plan


async def evacuate(site: Site, name: str, *, unreachable: bool = False) -> Plan:
    """Serve the node's places without its database. Raises ControlError."""
    node = site.node(name)
    new = site.meant(stated(name, "evacuated"))
    old = site.world()
    preview = Preview(
        writes=[f"epoch {new.epoch}: node {name}: state = evacuated"],
        in_flight=[
            "stay there, undecided: they are never sent elsewhere",
            "reads, captures and refunds of its payments get 503 until it returns or is adopted",
        ],
        new=[*words.moves(old, new), words.policies(new)],
        final=["keys that were taken at unknown age may be charged twice: that is the policy"],
        before=[STOP_THE_HOST.format(name=name)],
        takes=["a second"],
    )
    plan = Plan("evacuate", name, preview, [], confirm=name)

    async def fenced(say: Say) -> str:
        if unreachable:
            return "its host is stopped or cut off, you say"
        found = await _read(site, node, site.entry(name).dsn)
        if not found.fenced:
            raise ControlError(f"{name} is not fenced: bailiwick node fence {name}")
        return fence_words(found)

    plan.steps.append(Step(f"See that {name} writes nothing", fenced))
    plan.steps.append(publish(site, plan, node, "evacuated"))
    return plan


async def come_back(site: Site, name: str, *, wait_s: float = 120.0) -> Plan:
    """A fenced or evacuated node whose database is there serves again. Raises ControlError."""
    node = site.node(name)
    if node.state == "joining":
        raise ControlError(f"node '{name}' is joining: bailiwick node join")
    new = site.meant(stated(name, "active"))
    through = site.meant(stated(name, "draining"))
    preview = Preview(
        writes=[
            f"the database of {name}: fenced, if it is not; {PERMIT_S:.0f} s for permits",
            f"epoch {through.epoch}: node {name}: state = draining",
            "the database: the fence is lifted for processes of that epoch and later",
            f"epoch {new.epoch + (node.state != 'draining')}: node {name}: state = active",
        ],
        in_flight=["what was open is ended first: providers are asked"],
        new=[*words.moves(site.world(), new), words.asked_first(new)],
        before=[
            "this is the node's own database, or its promoted synchronous standby",
            "its process runs, or is started now",
        ],
        takes=[f"{PERMIT_S:.0f} s, and as long as providers take, up to {wait_s:.0f} s"],
    )
    plan = Plan("return", name, preview, [])

    async def close(say: Say) -> str:
        found = await _read(site, node, site.entry(name).dsn)
        if found.epoch < (adopted := _adopted(site, name)):
            raise _left_behind(name, adopted)
        if not found.fenced and node.state == "active":
            raise ControlError(f"{name} is active and not fenced: it serves")
        if not found.fenced and node.state not in ("active", "draining"):
            # It was given up without being reached: nobody may write until the epoch is known.
            found = await close_at(site, node, site.entry(name).dsn, site.head().epoch)
            await _pause(say)
        return fence_words(found)

    async def lift(say: Say) -> str:
        return fence_words(await _lifted(site, node, site.entry(name).dsn))

    plan.steps.extend(
        [
            Step(f"Look at the database of {name}", close),
            publish(site, plan, node, "draining"),
            Step("Lift the fence", lift),
            Step(f"Wait for the process of {name}", lambda say: _served(site, node, wait_s, say)),
            emptied(site, plan, node, wait_s),
            publish(site, plan, node, "active"),
        ]
    )
    return plan


# --- what they share --------------------------------------------------------------------------


def _served_at(name: str, url: str) -> Callable[[str], str]:
    return lambda text: node_set(text, name, url=url, state="active")


async def _read(site: Site, node: Node, dsn: str) -> Fence:
    async with site.database(node.name, dsn) as connection:
        if (await database.standby_view(connection)).follows:
            raise ControlError(f"this is a standby: bailiwick node fence {node.name} --promote")
        return await database.fence_of(connection, node.number)


async def _lifted(site: Site, node: Node, dsn: str) -> Fence:
    epoch = site.head().epoch
    async with site.database(node.name, dsn) as connection:
        found = await database.fence_of(connection, node.number)
        if found.fenced or found.epoch < epoch:
            found = await database.open_fence(connection, epoch)
        return found


def _adopted(site: Site, name: str) -> int:
    """The epoch in which a node was last adopted; its database's fence asks for that at least."""
    return site.noted(f"node adopt {name} ")


def _left_behind(name: str, epoch: int) -> ControlError:
    """The refusal of what an adoption has left behind: the books go on elsewhere."""
    return ControlError(
        f"{name} was adopted in epoch {epoch} with another database, and this one was left behind: "
        "never run a node on it. (Or that adoption was cut off: repeat it)"
    )


async def _pause(say: Say) -> None:
    say(f"  {PERMIT_S:.0f} s for permits")
    await asyncio.sleep(PERMIT_S)


async def _served(site: Site, node: Node, wait_s: float, say: Say) -> str:
    await site.at_epoch(site.node(node.name), site.head().epoch, wait_s, say)
    return "it is ready"


def _write_config(old: Path, out: Path, dsn: str, url: str, listen: str) -> None:
    """The node's settings with what is new. Raises ControlError."""
    try:
        text = old.read_text(encoding="utf-8")
        before = tomllib.loads(text)
        fields = {"dsn": dsn, "url": url}
        if listen:
            fields["listen"] = listen
        if before.get("public_url") and before.get("url") == before["public_url"]:
            fields["public_url"] = url
        made = top_set(text, **fields)
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = out.with_name(out.name + ".new")
        partial.touch(mode=0o600)
        partial.write_text(made, encoding="utf-8")
        partial.replace(out)
    except (EditError, tomllib.TOMLDecodeError) as error:
        raise ControlError(f"{old}: {error}") from None
    except OSError as error:
        raise ControlError(f"{error.filename}: {error.strerror}") from None
