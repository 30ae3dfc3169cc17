"""Bringing a create to the node that takes it: match, ask earlier homes, send, match again.

What may move money goes to its home and nowhere else, unless the home itself refuses: it then
commits a tombstone for the request's key and gives a token for it, with which the next node
may take the request. A place that was moved lately has earlier homes: they are asked for the key
before today's home is, and whoever cannot be asked makes the request wait.
"""

import asyncio
import time
from typing import Any

import msgspec

from bailiwick.access.asking import ask_for
from bailiwick.access.assign import EarlierHome
from bailiwick.access.earlier import MOVED, Held
from bailiwick.access.forward import Answer, HopError
from bailiwick.access.front import Front
from bailiwick.access.hop import send, unreachable
from bailiwick.access.inbound import Inbound
from bailiwick.access.placing import Placed
from bailiwick.access.usage import OPEN
from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.world.snapshot import World
from bailiwick.world.topology import Node

ASK_S = 15.0
"""How long an earlier home may take: a request of this key may be under way there."""
ASK_SILENT_S = 1.0
"""The same for one that did not answer lately."""
CATCH_UP_S = 1.0
"""How long a request waits for this process and a node to come to the same epoch."""
CATCH_UP_STEP_S = 0.02
ASK_LINE = b"bailiwick-ask: " + MOVED.encode() + b"\r\n"
# Anything else, for example 401 by a node that does not know a new API key, says nothing of it.
_TOLD = frozenset({200, 400, 402, 409})


class _Epoch(msgspec.Struct, frozen=True):
    epoch: int = 0


class _Misdirected(msgspec.Struct, frozen=True):
    error: _Epoch = _Epoch()


_misdirected = msgspec.json.Decoder(_Misdirected)


def refusal_in(answer: Answer, node: Node) -> tuple[bytes, Held] | None:
    """The token when the node refused to take the request over, and what it says, else None."""
    if answer.status != 503:
        return None
    token = answer.headers.get(b"bailiwick-refusal")
    if token is None:
        return None
    held = held_in(token.decode("latin-1"), node)
    return None if held is None else (token, held)


def held_in(token: str, node: Node) -> Held | None:
    """What a node's token says; None when it is none of its."""
    parts = token.split(".")
    if len(parts) != 4 or parts[0] != str(node.number) or not parts[1].isdecimal():
        return None
    return Held(parts[2][:64], int(parts[1][:16]))


class Delivery:
    """One request on its way.

    Args:
        one_shot: money may move, so only refusals make it leave its home.
        reading: nothing is written, so it may always be sent again.
        params: what the body says, of a create request.
    """

    def __init__(
        self,
        front: Front,
        inbound: Inbound,
        placed: Placed,
        target: bytes,
        body: bytes,
        *,
        one_shot: bool,
        reading: bool = False,
        params: dict[str, Any] | None = None,
    ) -> None:
        self._params = params if one_shot and not reading else None
        self._front = front
        self._inbound = inbound
        self._placed = placed
        self._target = target
        self._body = body
        self._one_shot = one_shot
        self._reading = reading
        self._catching_up_until: float | None = None

    async def run(self) -> Answer:
        """The answer of the node that took it, or that knows its key.

        Raises:
            ApiError: 503, nobody took it or a node is unavailable; 409 by the merchant's policy.
        """
        placed = self._placed
        asks = self._one_shot and not self._reading
        for _ in range(4 * len(placed.world.topology.nodes) + int(CATCH_UP_S / CATCH_UP_STEP_S)):
            home = placed.to_ask(now_ms()) if asks and placed.world.earlier else None
            if home is not None:
                answer = await self._ask(home)
            elif placed.assignment.node is None:
                raise nobody(placed)
            else:
                answer = await self._take(self._candidate())
            if answer is not None:
                return answer
        raise between_epochs(placed.world.epoch)

    def _candidate(self) -> Node:
        """Whom to send it to; without confirm that is whoever is believed to be open."""
        placed, board = self._placed, self._front.board
        topology = placed.world.topology
        number = placed.assignment.node
        assert number is not None
        if not self._one_shot and board.verdict(number) != OPEN:
            placed.by_usage(board.verdicts())
            number = placed.assignment.node or number
        return topology.by_number[number]

    async def _take(self, node: Node) -> Answer | None:
        """Send it to the node that is to take it; None: place it again."""
        placed, front = self._placed, self._front
        if node.number in placed.held:  # it has refused on behalf of an epoch not known here
            await self._catch_up(placed.held[node.number].epoch)
            return None
        if await self._turned_away(node):
            return None
        try:
            answer = await self._send(node, placed.lines())
        except HopError as error:
            if not self._one_shot and error.phase == "unsent" and not error.busy:
                placed.by_usage(front.board.verdicts())
                if placed.assignment.node not in (None, node.number):
                    return None
            keyed = self._inbound.idempotency_key is not None
            raise unreachable(node, error, "GET" if self._reading else "POST", keyed) from None
        if await self._placed_again(node, answer):
            return None
        if not self._reading:
            front.metrics.assigned[node.name] += 1
        return answer

    async def _turned_away(self, node: Node) -> bool:
        """Whether a node that sheds load refuses this key, asked together with others.

        Raises:
            ApiError: 503, it has no room, and nobody else may take the request.
        """
        turnstile = self._front.turnstile(node) if self._params is not None else None
        if turnstile is None or self._params is None:
            return False
        placed = self._placed
        elsewhere = any(each.verdict == "not_reached" for each in placed.assignment.considered)
        who = self._inbound.principal
        ask = ask_for(who, placed.key, self._params, elsewhere=elsewhere)
        if ask is None:
            return False
        told = await turnstile.ask(placed.world.epoch, ask)
        held = held_in(told.token, node) if told.word == "refused" else None
        if told.word == "full":
            raise ApiError.unavailable(
                f"Node {node.name} is overloaded. Nothing was done: retry with the same "
                "Idempotency-Key.",
                code="overloaded",
            )
        if held is None:
            return False
        self._front.metrics.refusals[node.name, held.reason] += 1
        placed.refused(node.number, told.token.encode("latin-1"), held)
        return True

    async def _ask(self, home: EarlierHome) -> Answer | None:
        """Ask an earlier home for the key: its answer if it knows it, None once it refused."""
        placed, board = self._placed, self._front.board
        topology = placed.world.topology
        node = topology.by_number[home.node]
        silent = board.verdict(node.number).startswith(("stale", "unreach"))
        timeout = ASK_SILENT_S if silent else ASK_S
        try:
            answer = await self._send(node, [*placed.lines(), ASK_LINE], timeout)
        except HopError as error:
            return await self._replayed_at_home(home, error.reason)
        if await self._placed_again(node, answer):
            return None
        if answer.status in _TOLD:
            return answer
        return await self._replayed_at_home(home, f"it answered {answer.status}")

    async def _replayed_at_home(self, silent: EarlierHome, why: str) -> Answer:
        """What today's home has taken already it replays, whoever else is silent."""
        placed = self._placed
        number = placed.assignment.node
        if number is not None and number not in placed.held:
            node = placed.world.topology.by_number[number]
            try:
                answer = await self._send(node, placed.lines())
            except HopError:
                pass
            else:
                if answer.status in _TOLD:
                    return answer
        raise ApiError.unavailable(
            f"Node {silent.name} took this place's payments until epoch {silent.epoch}, and must "
            f"say first whether it has taken this key. It is unavailable: {why}. Nothing was done "
            "here: retry with the same Idempotency-Key.",
            code="earlier_home_unavailable",
        )

    async def _send(self, node: Node, lines: list[bytes], timeout: float | None = None) -> Answer:
        return await send(
            self._front, node, self._inbound, "POST", self._target, self._body, lines, timeout
        )

    async def _placed_again(self, node: Node, answer: Answer) -> bool:
        """Whether an answer only says where else the request belongs."""
        refusal = refusal_in(answer, node)
        if refusal is not None:
            token, held = refusal
            self._front.metrics.refusals[node.name, held.reason] += 1
            self._placed.refused(node.number, token, held)
            if not held.lets_on(self._placed.world.epoch):
                await self._catch_up(held.epoch)
            return True
        if answer.status == 421:
            await self._catch_up(_epoch_in(answer))
            return True
        return False

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
        serve_here(self._placed, self._front.region)


def _epoch_in(answer: Answer) -> int:
    try:
        return _misdirected.decode(answer.body).error.epoch
    except msgspec.DecodeError:
        return 0


def serve_here(placed: Placed, region: str | None) -> None:
    """Places with strict residency are served by access processes of their region only.

    Raises ApiError (421).
    """
    assignment = placed.assignment
    if region is None or assignment.residency != "strict":
        return
    if any(c.name == region and c.verdict != "not_allowed" for c in assignment.considered):
        return
    home = placed.world.topology.by_number[assignment.home]
    raise ApiError(
        421,
        "invalid_request_error",
        f"Payments of {assignment.rule} are taken in their own region only. Send this request "
        f"to {home.url}.",
        code="wrong_region",
        param="location",
        extra={"url": home.url},
    )


def between_epochs(ours: int, theirs: int = 0) -> ApiError:
    """The answer while this process and a node go by different epochs."""
    where = f"This process is at epoch {ours}, a node at {theirs}. " if theirs else ""
    return ApiError.unavailable(
        f"The topology is just changing. {where}Nothing was done: retry with the same "
        "Idempotency-Key.",
        code="epochs_differ",
    )


def nobody(placed: Placed) -> ApiError:
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
