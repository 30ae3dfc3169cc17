"""A balance over all nodes: what each has booked, added up by currency."""

import asyncio
from collections import Counter
from collections.abc import Iterable

import falcon.asgi
import msgspec

from bailiwick.access.fanout.lists import TIMEOUT_S
from bailiwick.access.front import Front
from bailiwick.access.inbound import Inbound, target_of
from bailiwick.access.nodes.forward import Answer, HopError
from bailiwick.access.nodes.hop import give, send
from bailiwick.base.errors import ApiError
from bailiwick.base.objects import Object
from bailiwick.topology.topology import Node
from bailiwick.wire.answers import json_answer


class Money(msgspec.Struct, frozen=True):
    """An amount of one currency, by the type of payment method that brought it."""

    amount: int
    currency: str
    source_types: dict[str, int]


class Balance(msgspec.Struct, frozen=True):
    """One node's part."""

    object: str
    available: list[Money]
    livemode: bool
    pending: list[Money]


_balance = msgspec.json.Decoder(Balance).decode


def summed(parts: Iterable[Money]) -> list[Money]:
    """Amounts added up by currency, in the order of their names."""
    found: dict[str, Counter[str]] = {}
    for part in parts:
        found.setdefault(part.currency, Counter()).update(part.source_types)
    return [Money(sum(of.values()), currency, dict(of)) for currency, of in sorted(found.items())]


async def add_up(
    front: Front, inbound: Inbound, request: falcon.asgi.Request, response: falcon.asgi.Response
) -> None:
    """GET of a balance: of all nodes, or not at all.

    Raises:
        ApiError: 503 naming the nodes that did not answer: a sum with a hole would be a wrong one.
    """
    nodes = sorted(front.world.topology.nodes, key=lambda node: node.number)
    target = target_of(request)
    told = await asyncio.gather(*(_ask(front, inbound, node, target) for node in nodes))
    silent = [
        node.name
        for node, answer in zip(nodes, told, strict=True)
        if answer is None or answer.status >= 500
    ]
    if silent:
        raise ApiError.unavailable(
            f"Unavailable: {', '.join(silent)}. A balance is of all nodes: retry.",
            code="node_unavailable",
        )
    answers = [answer for answer in told if answer is not None]
    refusal = next((answer for answer in answers if answer.status != 200), None)
    if refusal is not None:
        give(response, refusal)
        return
    parts = [_balance(answer.body) for answer in answers]
    shown: Object = {
        "object": "balance",
        "available": summed(each for part in parts for each in part.available),
        "livemode": parts[0].livemode,
        "pending": summed(each for part in parts for each in part.pending),
    }
    json_answer(response, shown)


async def _ask(front: Front, inbound: Inbound, node: Node, target: bytes) -> Answer | None:
    """A node's answer; None: it gave none."""
    report = front.node_monitor.report(node.number)
    if report is not None and node.number not in front.node_monitor.answering():
        return None  # known to be silent: nobody waits for it
    try:
        lines = [front.epoch_line]
        return await send(front, node, inbound, "GET", target, b"", lines, timeout=TIMEOUT_S)
    except HopError:
        return None
