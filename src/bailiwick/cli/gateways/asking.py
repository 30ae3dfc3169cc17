"""One order to a node's process, and its answer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from bailiwick.access.nodes.forward import HopError
from bailiwick.base import sealing
from bailiwick.base.clock import now_ms
from bailiwick.control import fleet
from bailiwick.control.plans import ControlError
from bailiwick.control.site import Site, until
from bailiwick.interlink import gateway_commands
from bailiwick.interlink.gateway_commands import GatewayQuestion, hidden
from bailiwick.runtime import tls
from bailiwick.runtime.settings import SettingsError
from bailiwick.topology.parts import Node

ANSWER_S = 60.0
_ON_A_VERSION = ("change", "enable", "disable", "drain", "credentials")


async def told(
    fleet_file: Path | None,
    data: Path | None,
    name: str,
    order: dict[str, Any],
    wait_s: float | None = None,
) -> dict[str, Any]:
    """What a node answers to an order; ``wait_s``: then ask until nothing is open at the gateway,
    or the time is over.

    Raises:
        ControlError: it was refused, or nobody answers.
    """
    if fleet_file is not None and data is not None:
        raise ControlError("give --fleet or --data, not both")
    if fleet_file is not None:
        known = fleet.load(fleet_file)
    else:
        known = fleet.of_demo((data or Path("demo-data")).absolute())
    try:
        outgoing = tls.outgoing(*known.node_tls, fields=("node_ca", "node_certificate", "node_key"))
    except SettingsError as error:
        raise ControlError(str(error)) from None
    site = Site(known, None, outgoing)
    node = site.node(name)
    if order["verb"] in _ON_A_VERSION:
        seen = await _asked(site, node, {"verb": "show", "gateway": order["gateway"]})
        order = {**order, "version": seen["version"]}
    found = await _asked(site, node, order)
    return found if wait_s is None else await _drained(site, node, found, wait_s)


async def _drained(site: Site, node: Node, found: dict[str, Any], wait_s: float) -> dict[str, Any]:
    latest = found

    async def look() -> dict[str, Any] | None:
        nonlocal latest
        latest = await _asked(site, node, {"verb": "show", "gateway": found["name"]})
        return latest if latest["drained"] else None

    try:
        return await until(look, "nothing is to be open there", wait_s, lambda line: None)
    except ControlError:
        return latest


async def _asked(site: Site, node: Node, order: dict[str, Any]) -> dict[str, Any]:
    secret = site.fleet.internal_secret
    order = dict(order)
    values = order.pop("values", {})
    asked = GatewayQuestion(
        node=node.number, at_ms=now_ms(), asker=os.urandom(16).hex(), count=1, **order
    )
    if values:
        carried = hidden(secret, asked, asked.gateway, values)
        asked = msgspec.structs.replace(asked, secrets=carried)
    body = msgspec.json.encode(asked)
    proof = sealing.seal(secret, gateway_commands.KIND, body)
    lines = [
        b"content-type: application/json\r\n",
        f"{sealing.SEAL}: {proof}\r\n".encode("ascii"),
    ]
    url = site.url(node)
    try:
        answer = await site.ask(url, "POST", gateway_commands.PATH, lines, body, timeout=ANSWER_S)
    except HopError as error:
        raise ControlError(
            f"no answer of {node.name}: {error.reason}. Whether it was done, tells: bailiwick node "
            "gateways show"
        ) from None
    if answer.status != 200:
        raise ControlError(_refusal(node.name, answer.status, answer.body))
    expected = sealing.answer_seal(secret, gateway_commands.KIND, proof, answer.body)
    if not sealing.fits(expected, answer.headers.get(sealing.SEAL.encode("ascii"))):
        raise ControlError(
            f"what answered at {url} does not know the internal secret, or is another release: see "
            "what is there, or upgrade it"
        )
    found: dict[str, Any] = msgspec.json.decode(answer.body)
    return found


def _refusal(name: str, status: int, body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body)["error"]["message"])
    except (msgspec.DecodeError, LookupError, TypeError):
        return f"{name} answered {status}"
