"""What every fault of the drill has: it is made, proven by a probe, held, ended and proven ended.

A new one is a class with a name, a line about it, and these steps. Whether money stayed exact
is not its business: the checker says so after every run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import ClassVar, Final

from bailiwick.access.nodes.forward import NodeClient
from bailiwick.wire.client import Answer
from bailiwick_lab.drill.hosts.cluster import Cluster
from bailiwick_lab.drill.hosts.network import Unproven
from bailiwick_lab.drill.hosts.units import Pair, Unit

PROOF_S: Final = 60.0
"""How long a fault, or its end, may take to show."""
Check = Callable[[], Awaitable[bool]]


class Scenario:
    """One fault at one victim node (where it is about a node).

    ``kinds``: what the load's payments are, in turn. ``hold_least_s``: no run holds the fault
    for a shorter time. ``only``: the kind of network it needs, empty for any.
    ``places``: further nodes and countries that are paid in. ``gap_most_s``: a run in which the
    victim's places had no success for longer did not hold.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]] = ("sale",)
    hold_least_s: ClassVar[float] = 0.0
    only: ClassVar[str] = ""
    places: ClassVar[dict[str, str]] = {}
    gap_most_s: ClassVar[float | None] = None

    def __init__(self, cluster: Cluster, victim: str, seed: int = 0) -> None:
        """``seed``: of what a scenario draws by chance."""
        self.cluster = cluster
        self.victim = victim
        self.proofs: list[str] = []

    @property
    def node(self) -> Unit:
        """The victim's node process."""
        return self.cluster.nodes[self.victim]

    @property
    def database(self) -> Pair:
        """The victim's database."""
        return self.cluster.databases[self.victim]

    async def inject(self) -> None:
        """Make the fault."""
        raise NotImplementedError

    async def prove(self) -> None:
        """Show that it is there. Raises Unproven."""
        raise NotImplementedError

    async def heal(self) -> None:
        """End it."""
        raise NotImplementedError

    async def prove_healed(self) -> None:
        """Show that it is over; that every process answers is asked besides. Raises Unproven."""

    async def restore(self) -> None:
        """After the check: put back what the next scenario expects."""

    async def shown(self, fact: str, check: Check) -> None:
        """Ask until the fact is so, and note it. Raises Unproven when it never is."""
        asked = time.monotonic()
        while not await check():
            if time.monotonic() > asked + PROOF_S:
                raise Unproven(f"{self.name}: not seen within {PROOF_S:.0f} s: {fact}")
            await asyncio.sleep(0.05)
        self.proofs.append(f"{fact} ({time.monotonic() - asked:.2f} s)")


async def ask(
    unit: Unit, method: str, path: str, body: str = "", *, kind: str = "", key: str = ""
) -> Answer:
    """One request to a program of the drill, straight to its own port. Raises HopError."""
    client = NodeClient(unit.url)
    try:
        lines = [f"content-type: {kind}\r\n".encode()] if kind else []
        lines += [f"authorization: Bearer {key}\r\n".encode()] if key else []
        return await client.request(method, path.encode(), lines, body.encode(), timeout=5)
    finally:
        client.close()


def refuted(check: Callable[..., Awaitable[bool]], *about: object) -> Check:
    """The opposite of a check."""

    async def opposite() -> bool:
        return not await check(*about)

    return opposite
