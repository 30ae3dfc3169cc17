"""Bringing a create to the node that takes it: match, ask earlier homes, send, match again.

What may move money goes to its home and nowhere else, unless the home itself refuses: it then
commits a tombstone for the request's key and gives a token for it, with which the next node
may take the request. A place that was moved lately has earlier homes. Today's home reads the
request, and says that it wants their refusals; they are asked by key and hash alone, and whoever
cannot be asked makes the request wait.
"""

import asyncio
import time
from typing import Any

from bailiwick.access.front import Front
from bailiwick.access.inbound import Inbound
from bailiwick.access.nodes.forward import Answer, HopError
from bailiwick.access.nodes.hop import misdirected, send, unreachable
from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.interlink import admission_query
from bailiwick.interlink.admission_query import (
    FULL,
    AdmissionQuery,
    AdmissionVerdict,
    ask_earlier,
    ask_for,
)
from bailiwick.interlink.usage_report import OPEN
from bailiwick.jurisdiction.assign import EarlierHome
from bailiwick.jurisdiction.home_history import MOVED, Held
from bailiwick.jurisdiction.route_plan import RoutePlan
from bailiwick.topology.snapshot import World
from bailiwick.topology.topology import Node

REPLAY_S = 15.0
"""How long an earlier home that knows the key may take: the request may be under way there."""
ASK_SILENT_S = 1.0
"""How long to wait for the word of one that did not answer lately."""
SEND_SILENT_S = 5.0
"""How long to wait for a node that did not answer lately. It may be at work all the same: whoever
is told 503 gets its answer by the same key."""
CATCH_UP_S = 1.0
"""How long a request waits for this process and a node to come to the same epoch."""
CATCH_UP_STEP_S = 0.02
MAY_ASK_LINE = f"{admission_query.CAN_ASK}: {admission_query.MAY_ASK}\r\n".encode()
HAS_ASKED_LINE = f"{admission_query.CAN_ASK}: {admission_query.HAS_ASKED}\r\n".encode()
FULL_UP = admission_query.FULL_UP.encode()
ASK_LINE = b"bailiwick-ask: " + MOVED.encode() + b"\r\n"
# Anything else, for example 401 by a node that does not know a new API key, says nothing of it.
_TOLD = frozenset({200, 400, 402, 409})


def refusal_in(answer: Answer, node: Node) -> tuple[bytes, Held] | None:
    """The token when the node refused to take the request over, and what it says, else None."""
    if answer.status != 503:
        return None
    token = answer.headers.get(b"bailiwick-refusal")
    parts = (token or b"").decode("latin-1").split(".")
    if token is None or len(parts) != 4 or parts[0] != str(node.number):
        return None
    return (token, Held(parts[2][:64], int(parts[1][:16]))) if parts[1].isdecimal() else None


class Delivery:
    """One request on its way.

    Args:
        one_shot: money may move, so only refusals make it leave its home.
        stays: so does nothing else, though no money moves.
        reading: nothing is written, so it may always be sent again.
        method: of the request to the node.
        params: what the body says, of a create request.
    """

    def __init__(
        self,
        front: Front,
        inbound: Inbound,
        placed: RoutePlan,
        target: bytes,
        body: bytes,
        *,
        one_shot: bool,
        stays: bool = False,
        reading: bool = False,
        method: str = "POST",
        params: dict[str, Any] | None = None,
    ) -> None:
        self._params = params if one_shot and not reading else None
        self._front = front
        self._inbound = inbound
        self._placed = placed
        self._target = target
        self._body = body
        self._one_shot = one_shot
        self._stays = stays or one_shot
        self._reading = reading
        self._method = method
        self._catching_up_until: float | None = None
        self._read_at_home = False

    async def run(self) -> Answer:
        """The answer of the node that took it, or that knows its key.

        Raises:
            ApiError: 503, nobody took it or a node is unavailable; 409 by the merchant's policy.
        """
        placed = self._placed
        asks = self._one_shot and not self._reading
        for _ in range(4 * len(placed.world.topology.nodes) + int(CATCH_UP_S / CATCH_UP_STEP_S)):
            home = placed.to_ask(now_ms()) if asks and placed.world.earlier else None
            number = placed.assignment.node
            # What is wrong with a request, or taken already, today's home says: a key is not
            # used up elsewhere for that.
            read = self._read_at_home or number is None or number in placed.held
            if home is not None and read:
                answer = await self._ask(home)
            elif number is None:
                raise nobody(placed)
            else:
                answer = await self._take(self._candidate(), first=home is not None)
            if answer is not None:
                return answer
        raise between_epochs(placed.world.epoch)

    def _candidate(self) -> Node:
        """Whom to send it to; without confirm that is whoever is believed to be open."""
        placed, node_monitor = self._placed, self._front.node_monitor
        topology = placed.world.topology
        number = placed.assignment.node
        assert number is not None
        if not self._stays and node_monitor.verdict(number) != OPEN:
            placed.by_usage(node_monitor.verdicts())
            number = placed.assignment.node or number
        return topology.by_number[number]

    async def _take(self, node: Node, *, first: bool = False) -> Answer | None:
        """Send it to the node that is to take it; None: place it again.

        ``first``: it is known to want more; what matters is whether it refuses or replays it.
        """
        placed, front = self._placed, self._front
        if node.number in placed.held:  # it has refused on behalf of an epoch not known here
            await self._catch_up(placed.held[node.number].epoch)
            return None
        try:
            answer = await self._offered(node)
        except HopError as error:
            if first:  # an earlier home may know the key, and be there
                self._read_at_home = True
                return None
            if not self._stays and error.phase == "unsent" and not error.busy:
                placed.by_usage(front.node_monitor.verdicts())
                if placed.assignment.node not in (None, node.number):
                    return None
            keyed = self._inbound.idempotency_key is not None
            raise unreachable(node, error, "GET" if self._reading else "POST", keyed) from None
        if answer is None or await self._placed_again(node, answer):
            return None
        if not self._reading:
            front.metrics.assigned[node.name] += 1
        return answer

    async def _offered(self, node: Node) -> Answer | None:
        """A node's answer; None: it has no room, and refused the key, asked about it alone.

        Raises:
            HopError: no complete answer. ApiError: as ``_turned_away``.
        """
        lines, node_monitor = self._placed.lines(), self._front.node_monitor
        if self._params is None:  # not of those that a node refuses for its load
            return await self._counted(node, lines)
        if not node_monitor.shedding(node.number) or node_monitor.has_room(node.number):
            answer = await self._counted(node, [*lines, MAY_ASK_LINE])
            if answer.status != 503 or FULL_UP not in answer.headers:
                return answer
        if await self._turned_away(node):
            return None
        return await self._counted(node, [*lines, HAS_ASKED_LINE])

    async def _counted(self, node: Node, lines: list[bytes]) -> Answer:
        node_monitor = self._front.node_monitor
        timeout = SEND_SILENT_S if node_monitor.silent(node.number) else None
        node_monitor.sent(node.number)
        try:
            return await self._send(node, lines, timeout)
        finally:
            node_monitor.answered(node.number)

    async def _turned_away(self, node: Node) -> bool:
        """Whether a node without room refuses this key, asked about together with others.

        Raises:
            ApiError: 503, it has no room, and nobody else may take the request.
        """
        assert self._params is not None
        placed = self._placed
        who, elsewhere = self._inbound.principal, placed.assignment.goes_on
        ask = ask_for(who, placed.key, self._params, elsewhere=elsewhere)
        if ask is None:
            return False
        told = await self._front.admission_batcher(node).ask(placed.world.epoch, ask)
        if told.word == "full":
            raise ApiError.unavailable(
                f"Node {node.name} is overloaded. Nothing was done: retry with the same "
                "Idempotency-Key.",
                code="overloaded",
            )
        return await self._refused_by_word(node, ask, told)

    async def _ask(self, home: EarlierHome) -> Answer | None:
        """Ask an earlier home for the key: its answer if it knows it, None once it refused.

        Raises:
            ApiError: 503, it cannot be asked; 400, the key was used there for another request.
        """
        node = self._placed.world.topology.by_number[home.node]
        ask = ask_earlier(self._inbound.principal, self._placed.key, self._params or {})
        told = await self._told(node, ask)
        if await self._refused_by_word(node, ask, told):
            return None
        if told.word == "behind":
            await self._catch_up(told.epoch)
            return None
        if told.word == "mismatch":
            raise ApiError.mismatch()
        if told.word != "known":
            raise unanswered(home, "it does not say")
        return await self._replayed(node, home)

    async def _told(self, node: Node, ask: AdmissionQuery) -> AdmissionVerdict:
        """An earlier home's word on the key."""
        front, placed = self._front, self._placed
        telling = front.admission_batcher(node).ask(placed.world.epoch, ask)
        silent = front.node_monitor.silent(node.number)
        try:
            return await (asyncio.wait_for(telling, ASK_SILENT_S) if silent else telling)
        except TimeoutError:
            return FULL

    async def _replayed(self, node: Node, home: EarlierHome) -> Answer | None:
        """The answer of an earlier home that has taken this very request; None: place it again."""
        try:
            answer = await self._send(node, [*self._placed.lines(), ASK_LINE], REPLAY_S)
        except HopError as error:
            raise unanswered(home, error.reason) from None
        if await self._placed_again(node, answer):
            return None
        if answer.status in _TOLD:
            return answer
        raise unanswered(home, f"it answered {answer.status}")

    async def _send(self, node: Node, lines: list[bytes], timeout: float | None = None) -> Answer:
        inbound, body = self._inbound, self._body
        return await send(
            self._front, node, inbound, self._method, self._target, body, lines, timeout
        )

    async def _placed_again(self, node: Node, answer: Answer) -> bool:
        """Whether an answer only says where else the request belongs."""
        refusal = refusal_in(answer, node)
        if refusal is not None:
            await self._refused(node, *refusal)
            return True
        elsewhere = misdirected(answer)
        if elsewhere is None:
            return False
        if elsewhere.wants_earlier and not self._read_at_home:
            self._read_at_home = True
        else:
            await self._catch_up(elsewhere.epoch)
        return True

    async def _refused_by_word(
        self, node: Node, ask: AdmissionQuery, told: AdmissionVerdict
    ) -> bool:
        """Whether a node has refused the key when it was asked about it; its word is a token."""
        if told.word != "refused":
            return False
        held = Held(told.reason, told.epoch)
        token = admission_query.token(self._front.internal_secret, node.number, held, ask)
        await self._refused(node, token.encode("latin-1"), held)
        return True

    async def _refused(self, node: Node, token: bytes, held: Held) -> None:
        self._front.metrics.refusals[node.name, held.reason] += 1
        self._placed.refused(node.number, token, held)
        if not held.lets_on(self._placed.world.epoch):
            await self._catch_up(held.epoch)

    async def _catch_up(self, epoch: int) -> None:
        """Wait a little until a node's epoch is known here, or ours there; then place again.

        Raises:
            ApiError: 503, it took too long.
        """
        front, placed = self._front, self._placed
        now = time.monotonic()
        until = self._catching_up_until = self._catching_up_until or now + CATCH_UP_S
        front.suspect_world()
        while front.world is placed.world:
            if time.monotonic() > until:
                raise between_epochs(placed.world.epoch, epoch)
            await asyncio.sleep(CATCH_UP_STEP_S)
            if epoch <= placed.world.epoch:  # the node is behind: it may know now
                return
        self._renew(front.world)

    def _renew(self, world: World) -> None:
        self._placed.renewed(world)
        if self._front.region is not None:
            self._front.region.require(self._placed.assignment, world.topology)


def unanswered(home: EarlierHome, why: str) -> ApiError:
    """The answer while an earlier home does not say whether it has taken a key."""
    return ApiError.unavailable(
        f"Node {home.name} took this place's payments until epoch {home.epoch}, and must "
        f"say first whether it has taken this key. It is unavailable: {why}. Nothing was done "
        "here: retry with the same Idempotency-Key.",
        code="earlier_home_unavailable",
    )


def between_epochs(ours: int, theirs: int = 0) -> ApiError:
    """The answer while this process and a node go by different epochs."""
    where = f"This process is at epoch {ours}, a node at {theirs}. " if theirs else ""
    return ApiError.unavailable(
        f"The topology is just changing. {where}Nothing was done: retry with the same "
        "Idempotency-Key.",
        code="epochs_differ",
    )


def nobody(placed: RoutePlan) -> ApiError:
    """The answer when no node takes a request."""
    why = "; ".join(
        f"{c.name}: {c.reason}" for c in placed.assignment.considered if c.verdict != "not_allowed"
    )
    if placed.unsupported():
        return ApiError.invalid(
            f"No gateway takes this payment method, currency and amount in {placed.assignment.rule}"
            ": change one of them. POST /v1/explain says why for each gateway.",
            param="payment_method_types",
            code="payment_method_unsupported",
        )
    refused = bool(placed.held)
    remedy = (
        "Nothing was charged, and this key will not be taken any more: try again with a new "
        "Idempotency-Key."
        if refused
        else "Retry with the same Idempotency-Key."
    )
    error = ApiError.unavailable(
        f"No node takes payments of {placed.assignment.rule} now ({why}). {remedy}",
        code="no_node",
    )
    error.retry = not refused
    return error
