"""The shape of all routes that change something: admitted, done once for a key, answered."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import falcon.asgi
import msgspec

from bailiwick.admission.load import Overloaded
from bailiwick.base.errors import ApiError
from bailiwick.idempotency.requests import Answer, IdempotentRequest, Refused
from bailiwick.interlink.refusals import NO_GATEWAY, stored
from bailiwick.runtime.telemetry import Metrics
from bailiwick.serving import inbound
from bailiwick.serving.context import NodeContext
from bailiwick.wire.answers import error_answer, json_answer
from bailiwick.wire.forms import Params

Request = falcon.asgi.Request
Response = falcon.asgi.Response
T = TypeVar("T", bound=msgspec.Struct)
METRICS = Metrics()
"""Of the node; see ``node.metrics``."""
REFUSED = METRICS.counter(
    "node_refused_total", "New payments refused by tombstone, by reason.", ["reason"]
)
Mounted = tuple[str, object, str]
"""Where a route goes: its template, who answers, and the suffix of their methods, or none."""


class Route:
    """What all routes share: admission, the usage report, refusals."""

    def __init__(self, node: NodeContext) -> None:
        self.node = node

    async def answer(
        self,
        response: Response,
        asked: IdempotentRequest,
        work: Callable[[], Awaitable[Answer]],
        shed: Callable[[str], Awaitable[Answer]] | None = None,
        *,
        seen_room: bool = False,
    ) -> None:
        """Do an idempotent request once and answer it.

        ``shed``: for new payments, what to do instead when ``Load.refusal`` says why.
        """
        load = self.node.load

        async def admitted() -> Answer:
            if shed is None:
                load.check_reserve()
            elif (reason := load.refusal(seen_room=seen_room)) is not None:
                return await shed(reason)
            with load.working(new=shed is not None):
                return await work()

        failed = False
        try:
            answer = await self.node.machine.keys.once(asked, admitted)
        except Refused as refused:
            self._refuse(response, asked, refused.reason)
            return
        except ApiError as error:
            ours = not isinstance(error, Overloaded) and error.code != NO_GATEWAY
            failed = error.status >= 500 and ours
            raise
        except Exception:
            failed = True
            raise
        finally:
            load.ended(failed)
        response.status = answer.status
        response.content_type = "application/json"
        response.data = bytes(answer.body)
        if answer.replayed:
            response.set_header("Idempotent-Replayed", "true")
        if answer.status >= 400:
            response.set_header("Stripe-Should-Retry", "false")

    def _refuse(self, response: Response, asked: IdempotentRequest, reason: str) -> None:
        """A tombstone is committed: the answer carries the proof."""
        node, said = self.node, stored(reason, self.node.world.epoch)
        REFUSED.labels(reason=said.reason).inc()
        error = ApiError.unavailable(
            f"Node '{node.name}' refused this payment ({said.reason}) and will not take "
            "this key again: it may be sent to another node.",
            code=f"node_{said.reason}",
        )
        error_answer(response, error)
        token = node.refusals.token(node.number, said, asked.named)
        response.set_header("Bailiwick-Refusal", token)

    async def read(self, request: Request, kind: type[T]) -> tuple[Params, T]:
        """The body's parameters, raw and typed."""
        return await inbound.checked(request, kind)


class Reader(Route):
    """A GET of one thing."""

    def __init__(self, node: NodeContext, read: Callable[..., Awaitable[Any]]) -> None:
        super().__init__(node)
        self._read = read

    async def on_get(self, request: Request, response: Response, **named: str) -> None:
        """Retrieve."""
        who = inbound.principal(request, self.node)
        params = inbound.query(request)
        json_answer(response, await self._read(self.node, who, *named.values(), params))
