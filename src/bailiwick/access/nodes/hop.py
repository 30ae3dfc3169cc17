"""One hop from access to a node for a client's request, and its answer passed on."""

import time
from urllib.parse import quote

import falcon.asgi
import msgspec

from bailiwick.access.front import Front
from bailiwick.access.inbound import Inbound
from bailiwick.access.nodes.forward import Answer, HopError, NodeClient
from bailiwick.base.errors import ApiError
from bailiwick.interlink.regional import PATH, WRONG_REGION, word_of, wrong_region
from bailiwick.jurisdiction.home_history import ASK_FIRST
from bailiwick.topology.topology import Node

_PASSED = {
    name.encode("ascii"): name
    for name in (
        "content-disposition",
        "content-type",
        "idempotent-replayed",
        "original-request",
        "retry-after",
        "server-timing",
        "stripe-should-retry",
        "stripe-version",
        "x-content-type-options",
    )
}


class Misdirected(msgspec.Struct, frozen=True):
    """What a 421 of a node says: why, and the epoch that it goes by."""

    code: str = ""
    epoch: int = 0

    @property
    def wants_earlier(self) -> bool:
        """Whether the node is the home, and only wants the refusals of earlier ones."""
        return self.code == ASK_FIRST

    @property
    def stays(self) -> bool:
        """Whether what was asked for is not given to this process's region."""
        return self.code == WRONG_REGION


class _Fault(msgspec.Struct, frozen=True):
    error: Misdirected = Misdirected()


_fault = msgspec.json.Decoder(_Fault)


def misdirected(answer: Answer) -> Misdirected | None:
    """What a node says that does not take a request because it belongs elsewhere, or None."""
    if answer.status != 421:
        return None
    try:
        return _fault.decode(answer.body).error
    except msgspec.DecodeError:
        return Misdirected()


def give(response: falcon.asgi.Response, answer: Answer) -> None:
    """Pass a node's answer on to the client, with the headers that are for clients."""
    headers = answer.headers
    if answer.status >= 500 and not headers.get(b"content-type", b"").startswith(
        b"application/json"
    ):
        raise ApiError.defect()
    response.status = answer.status
    response.data = answer.body
    for raw, name in _PASSED.items():
        value = headers.get(raw)
        if value is not None:
            response.set_header(name, value.decode("latin-1"))


def unreachable(node: Node, error: HopError, method: str, keyed: bool) -> ApiError:
    """The answer when a node gave none.

    A request without Idempotency-Key that may have been carried out must not be sent again by
    an SDK on its own.
    """
    if error.busy:
        return ApiError.unavailable(
            f"Node {node.name} has too many requests waiting. Nothing was done: retry.",
            code="overloaded",
        )
    known = method == "GET" or keyed or error.phase == "unsent"
    fault = ApiError.unavailable(
        f"Node {node.name} is unavailable: {error.reason}. "
        + (
            "Retry with the same Idempotency-Key: it is not carried out twice."
            if known
            else "The request may have been carried out. It had no Idempotency-Key: look for its "
            "result before you send it again."
        ),
        code="node_unavailable",
    )
    fault.retry = known
    return fault


def client_of(front: Front, node: Node) -> NodeClient:
    """The connections to a node. Raises HopError when a new world has just dropped it."""
    client = front.clients.get(node.number)
    if client is None:
        raise HopError("unsent", "it is no longer in the topology")
    return client


async def send(
    front: Front,
    node: Node,
    inbound: Inbound,
    method: str,
    target: bytes,
    body: bytes,
    extra: list[bytes],
    timeout: float | None = None,
    answer_bytes: int = 0,
) -> Answer:
    """One hop: counted, timed, its usage report taken in.

    ``extra`` lines follow those of the request; the epoch by which it was placed is among them.

    Raises:
        HopError: no complete answer.
    """
    lines = inbound.lines + extra
    started = time.perf_counter()
    try:
        answer = await client_of(front, node).request(
            method, target, lines, body, timeout=timeout, answer_bytes=answer_bytes
        )
    except HopError as error:
        front.metrics.failures[node.name, "busy" if error.busy else error.phase] += 1
        if not error.busy and error.phase == "unsent":
            front.node_monitor.failed(node.number, error.reason)
        raise
    front.metrics.hop(node.name, time.perf_counter() - started)
    front.node_monitor.observe(node.number, answer.headers.get(b"bailiwick-usage"))
    elsewhere = misdirected(answer)
    if elsewhere is not None and not (elsewhere.wants_earlier or elsewhere.stays):
        front.suspect_world()
    return answer


async def send_home(
    front: Front,
    node: Node,
    inbound: Inbound,
    method: str,
    target: bytes,
    body: bytes = b"",
    answer_bytes: int = 0,
) -> Answer:
    """A request about something that lives on ``node``. Raises ApiError (503)."""
    lines = [front.epoch_line]
    try:
        return await send(
            front, node, inbound, method, target, body, lines, answer_bytes=answer_bytes
        )
    except HopError as error:
        raise unreachable(node, error, method, inbound.idempotency_key is not None) from None


async def require_region(front: Front, node: Node, inbound: Inbound, identifier: str) -> None:
    """Ask the node of another region whether one of its objects may be handled in this one.

    Raises:
        ApiError: 421 with the address to use; 503, the node does not say.
    """
    region = front.region
    if region is None or not region.is_elsewhere(node):
        return
    stays = region.recall(identifier)
    if stays is None:
        target = f"{PATH}{quote(identifier, safe='')}".encode("ascii")
        # Who asks, but not what they send, nor their key.
        bare = Inbound(
            inbound.principal,
            inbound.request_id,
            [each for each in inbound.lines if not each.startswith(b"idempotency-key:")],
            None,
        )
        lines = [front.epoch_line, front.region_line]
        try:
            answer = await send(front, node, bare, "GET", target, b"", lines)
        except HopError as error:
            raise unreachable(node, error, "GET", True) from None
        if answer.status == 404:
            return  # not there: the request itself says so
        if answer.status != 200:
            raise ApiError.unavailable(
                f"Node {node.name} does not say whether this may be handled here. Retry.",
                code="node_unavailable",
            )
        stays = word_of.decode(answer.body).stays
        region.remember(identifier, stays)
    if stays:
        raise wrong_region("Payments of this place are handled", node.url)
