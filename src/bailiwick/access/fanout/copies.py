"""All nodes get the same rows of what lives at each: what one has newer is brought to the others.

After a change at once; and every few seconds nodes whose rows differ are found by a digest, so
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
from bailiwick.interlink.copies import (
    KIND,
    PATH,
    ROWS_MAX,
    VERSIONS_MAX,
    CopiesAnswer,
    CopiesQuestion,
    Row,
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
    """Of some rows, the versions that each node has.

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
    of: str = "",
    after: str | None = None,
    ids: list[str] | None = None,
    rows: list[Row] | None = None,
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
            of=of,
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
            log.warning("copies_not_told", node=node.number, status=answer.status)
        _said[node.number] = answer.status
        return None
    _said.pop(node.number, None)
    return _answer.decode(answer.body)


async def known(front: Front, table: str, identifier: str) -> Copies:
    """Which versions of one row the nodes have."""
    nodes = front.world.topology.nodes
    told = await asyncio.gather(*(ask(front, node, of=table, ids=[identifier]) for node in nodes))
    pairs = list(zip(nodes, told, strict=True))
    return Copies(
        {node.number: {row.id: row.version for row in it.rows} for node, it in pairs if it},
        [node for node, it in pairs if it is None],
    )


async def spread(
    front: Front, table: str, source: int, ids: Iterable[str], to: Collection[int]
) -> set[int]:
    """Bring what one node has of these rows to others; which of them did not take it."""
    by_number = front.world.topology.by_number
    wanted, late = list(ids), set[int]()
    for start in range(0, len(wanted), ROWS_MAX):
        some = wanted[start : start + ROWS_MAX]
        found = await ask(front, by_number[source], of=table, ids=some)
        if found is None:
            return set(to)
        numbers = sorted(set(to) - late)
        told = await asyncio.gather(
            *(ask(front, by_number[number], of=table, rows=found.rows) for number in numbers)
        )
        late |= {number for number, it in zip(numbers, told, strict=True) if it is None}
    return late


async def compare(front: Front) -> int:
    """Bring all nodes that answer to the same rows; how many were brought."""
    nodes = front.world.topology.nodes
    told = await asyncio.gather(*(ask(front, node) for node in nodes))
    digests = {node: it.digests for node, it in zip(nodes, told, strict=True) if it is not None}
    brought = 0
    for table in sorted({each for found in digests.values() for each in found}):
        having = [node for node, found in digests.items() if table in found]
        if len({digests[node][table] for node in having}) > 1:
            brought += await _compare(front, table, having)
    return brought


async def _compare(front: Front, table: str, nodes: list[Node]) -> int:
    """The same for one table, of these nodes."""
    told = await asyncio.gather(*(_versions(front, table, node) for node in nodes))
    found = {
        node.number: versions
        for node, versions in zip(nodes, told, strict=True)
        if versions is not None
    }
    holders = newest(found, sorted({each for versions in found.values() for each in versions}))
    brought = 0
    for number, lacking in behind(found, holders).items():
        for source in {holders[each] for each in lacking}:
            some = sorted(each for each in lacking if holders[each] == source)
            if not await spread(front, table, source, some, [number]):
                brought += len(some)
    return brought


async def _versions(front: Front, table: str, node: Node) -> dict[str, int] | None:
    """All that a node has."""
    found: dict[str, int] = {}
    after = ""
    while True:
        told = await ask(front, node, of=table, after=after)
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
            log.error("copies_not_compared", error=error)
            continue
        if brought:
            log.info("copies_brought", rows=brought)
