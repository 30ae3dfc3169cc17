"""Joining in a demo: the name of a region is enough; the rest follows from the demo itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from bailiwick.control.fleet import demo_state
from bailiwick.control.joining import Joining
from bailiwick.control.plans import ControlError, Say
from bailiwick.control.toml_edit import node_added
from bailiwick_lab.demo import world as demo_world
from bailiwick_lab.demo.nodes import JoinRequest
from bailiwick_lab.demo.world import WorldProblem
from bailiwick_lab.servers.ports import free_port

_DATABASE_S: Final = 180.0


def of_demo(data: Path, name: str) -> Joining:
    """A join of one of the demo's regions that has no node yet. Raises ControlError."""
    try:
        region = demo_world.region_named(name)
    except WorldProblem as error:
        raise ControlError(str(error)) from None
    known = _entry(data, name)
    taken = [int(each["url"].rpartition(":")[2]) for each in demo_state(data)["nodes"]]
    url = known["url"] if known else demo_world.local_url(free_port(taken))

    def homes(places: Sequence[str]) -> bool:
        return all(place in region.places for place in places)

    def change(text: str) -> str:
        node = {"number": region.number, "name": name, "url": url, "title": region.title}
        return text if f'name = "{name}"' in text else node_added(text, node, homes)

    def dsn() -> str:
        entry = _entry(data, name)
        return str((entry or {}).get("dsn") or "")

    async def prepare(say: Say) -> str:
        request = data / "requests" / f"{name}.json"
        refusal = request.with_suffix(".error")
        if not dsn():
            refusal.unlink(missing_ok=True)
            asked = JoinRequest(name, int(url.rpartition(":")[2]))
            demo_world.write(request, msgspec.json.encode(asked).decode())
            say("  the demo makes its database")
        deadline = time.monotonic() + _DATABASE_S
        while not dsn():
            if refusal.exists():
                raise ControlError(refusal.read_text(encoding="utf-8").strip())
            if time.monotonic() > deadline:
                raise ControlError(f"the demo made no database of {name} in {_DATABASE_S:.0f} s")
            await asyncio.sleep(0.05)
        return url

    config = str(data / "nodes" / name / "node.toml")
    return Joining(name, region.number, url, change, dsn, prepare, config)


def _entry(data: Path, name: str) -> dict[str, Any] | None:
    found: list[dict[str, Any]] = demo_state(data)["nodes"]
    return next((each for each in found if each["name"] == name), None)
