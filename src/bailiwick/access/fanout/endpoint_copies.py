"""All nodes get the same webhook endpoints: what one has newer is brought to the others.

After a change at once; and every few seconds nodes whose endpoints differ are found by a digest, so
that one that was away catches up, whichever access process made the change. Where several processes
do so at once, they bring the same.
"""

import asyncio
import os
import random
from collections.abc import Collection, Iterable

import msgspec

from bailiwick.access.front import Front
from bailiwick.access.nodes.forward import HopError
from bailiwick.access.nodes.hop import client_of
from bailiwick.base.clock import now_ms
from bailiwick.base.sealing import SEAL, answer_seal, fits, seal
from bailiwick.interlink.endpoint_copies import (
    KIND,
    PATH,
    ROWS_MAX,
    VERSIONS_MAX,
    CopiesAnswer,
    CopiesQuestion,
    EndpointRow,
    behind,
    newest,
)
from bailiwick.runtime import telemetry
from bailiwick.topology.topology import Node

EVERY_S = 3.0
"""How often nodes are compared, spread by a third to either side."""
TIMEOUT_S = 5.0
_SEAL = SEAL.encode("ascii")
_answer = msgspec.json.Decoder(CopiesAnswer)
_encode = msgspec.json.Encoder().encode

log = telemetry.logger()
_said: dict[int, int] = {}
"""By node, the status of an answer that was none of its own."""


class Copies(msgspec.Struct, frozen=True):
    """Of some endpoints, the versions that each node has.

    Attributes:
        silent: nodes that did not tell.
    """

    versions: dict[int, dict[str, int]]
    silent: list[Node]

    def holder(self, identifier: str) -> int | None:
        """A node that has the newest row; where none has any, one that told; None: none did."""
        found = newest(self.versions, [identifier])
        return found.get(identifier, next(iter(self.versions), None))


async def ask(
    front: Front,
    node: Node,
    *,
    after: str | None = None,
    ids: list[str] | None = None,
    rows: list[EndpointRow] | None = None,
) -> CopiesAnswer | None:
    """Ask one node, or have it take over rows. None: there was no answer of its own."""
    monitor = front.node_monitor
    if monitor.report(node.number) is not None and node.number not in monitor.answering():
        return None
    body = _encode(
        CopiesQuestion(
            node=node.number,
            at_ms=monitor.node_clock_ms(node.number) or now_ms(),
            asker=os.urandom(16).hex(),  # questions may overtake each other: each has one
            count=1,
            after=after,
            ids=ids,
            rows=rows,
        )
    )
    proof = seal(front.internal_secret, KIND, body)
    lines = [b"content-type: application/json\r\n", f"{SEAL}: {proof}\r\n".encode("ascii")]
    try:
        answer = await client_of(front, node).request(
            "POST", PATH.encode("ascii"), lines, body, timeout=TIMEOUT_S
        )
    except HopError:
        return None
    expected = answer_seal(front.internal_secret, KIND, proof, answer.body)
    if answer.status != 200 or not fits(expected, answer.headers.get(_SEAL)):
        if _said.get(node.number) != answer.status:  # once: it is asked again every few seconds
            log.warning("endpoints_not_told", node=node.number, status=answer.status)
        _said[node.number] = answer.status
        return None
    _said.pop(node.number, None)
    return _answer.decode(answer.body)


async def known(front: Front, identifier: str) -> Copies:
    """Which versions of one endpoint the nodes have."""
    nodes = front.world.topology.nodes
    told = await asyncio.gather(*(ask(front, node, ids=[identifier]) for node in nodes))
    pairs = list(zip(nodes, told, strict=True))
    return Copies(
        {node.number: {row.id: row.version for row in it.rows} for node, it in pairs if it},
        [node for node, it in pairs if it is None],
    )


async def spread(front: Front, source: int, ids: Iterable[str], to: Collection[int]) -> set[int]:
    """Bring what one node has of these endpoints to others; which of them did not take it."""
    by_number = front.world.topology.by_number
    wanted, late = list(ids), set[int]()
    for start in range(0, len(wanted), ROWS_MAX):
        found = await ask(front, by_number[source], ids=wanted[start : start + ROWS_MAX])
        if found is None:
            return set(to)
        numbers = sorted(set(to) - late)
        told = await asyncio.gather(
            *(ask(front, by_number[number], rows=found.rows) for number in numbers)
        )
        late |= {number for number, it in zip(numbers, told, strict=True) if it is None}
    return late


async def compare(front: Front) -> int:
    """Bring all nodes that answer to the same endpoints; how many rows were brought."""
    nodes = front.world.topology.nodes
    told = await asyncio.gather(*(ask(front, node) for node in nodes))
    there = [node for node, it in zip(nodes, told, strict=True) if it is not None]
    if len({it.digest for it in told if it is not None}) < 2:
        return 0
    found = dict(
        zip(
            (node.number for node in there),
            await asyncio.gather(*(_versions(front, node) for node in there)),
            strict=True,
        )
    )
    known_ones = {number: versions for number, versions in found.items() if versions is not None}
    ids = sorted({each for versions in known_ones.values() for each in versions})
    holders = newest(known_ones, ids)
    brought = 0
    for number, lacking in behind(known_ones, holders).items():
        for source in {holders[each] for each in lacking}:
            some = sorted(each for each in lacking if holders[each] == source)
            if not await spread(front, source, some, [number]):
                brought += len(some)
    return brought


async def _versions(front: Front, node: Node) -> dict[str, int] | None:
    """All that a node has."""
    found: dict[str, int] = {}
    after = ""
    while True:
        told = await ask(front, node, after=after)
        if told is None:
            return None
        found |= told.versions
        if len(told.versions) < VERSIONS_MAX:
            return found
        after = max(told.versions)


async def run(front: Front) -> None:
    """Compare for ever."""
    while True:
        await asyncio.sleep(EVERY_S * random.uniform(2 / 3, 4 / 3))
        try:
            brought = await compare(front)
        except Exception as error:
            log.error("endpoints_not_compared", error=error)
            continue
        if brought:
            log.info("endpoints_brought", rows=brought)
