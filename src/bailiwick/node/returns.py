"""Where payers come back who had to go elsewhere, if a provider's charge goes on only by what they
bring along (``Takes.return_step``): the node takes that, and sends them on to the client's own
address.

Whoever has the address may call it: what is brought is not believed, but sent to the provider, who
knows what it has given to the payer. It is committed before it is sent, as every step is; and a
payer who comes back twice with the same brings nothing new.
"""

import asyncio
from typing import Any
from urllib.parse import parse_qsl

import structlog

from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import Outcome, Result, Takes
from bailiwick.node.operations import refuse_if_superseded
from bailiwick.node.service import Node
from bailiwick.orders import attempt_store, steps
from bailiwick.orders.attempts import Attempt
from bailiwick.orders.executor import Permitted
from bailiwick.orders.machine import Machine
from bailiwick.runtime.database_errors import DATABASE_ERRORS
from bailiwick.serving.route import Request, Response

ROUTE = "/v1/returns/{attempt}"
PARAM_CHARS_MAX = 6_000
WAIT_S = 10.0
"""How long the payer waits for the provider's answer before going on; the step goes on without."""
HEADERS = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
log = structlog.get_logger()


class Returns:
    """/v1/returns/{attempt}: payers come here."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._going_on: set[asyncio.Task[Any]] = set()

    async def on_get(self, request: Request, response: Response, attempt: str) -> None:
        """Take what the payer brings, and send the payer on."""
        refuse_if_superseded(self.node)
        machine = self.node.machine
        found = await attempt_store.find(machine.store, attempt)
        back = None if found is None else machine.kinds.handler(found).back
        if found is None or back is None:
            raise ApiError.missing("attempt", attempt)
        next_ = await taken(machine, found, request.scope["query_string"])
        if next_ is not None:
            await self._waited(machine, next_)
        order = await machine.kinds.of(found.subject).find(machine.store, found.subject)
        onward = back(order)
        for name, value in HEADERS.items():
            response.set_header(name, value)
        if onward is None:
            response.content_type, response.text = "text/plain", "You can close this page."
            return
        response.status = 303
        response.set_header("location", onward)

    async def _waited(self, machine: Machine, next_: Permitted) -> None:
        """Send the step, and wait a while for its end."""
        task = asyncio.ensure_future(_sent(machine, next_))
        self._going_on.add(task)
        task.add_done_callback(self._going_on.discard)
        await asyncio.wait({task}, timeout=WAIT_S)


async def _sent(machine: Machine, next_: Permitted) -> None:
    try:
        await machine.executor.drive(next_)
    except (*DATABASE_ERRORS, ApiError) as error:  # the resolver ends it
        log.warning("return_unsettled", attempt=next_.attempt.id, error=type(error).__name__)


async def taken(machine: Machine, attempt: Attempt, query: bytes) -> Permitted | None:
    """Commit the step that is due by what the payer brings; None where none is.

    Raises:
        ApiError: 503, it could not be written; the payer may come again.
    """
    profile = machine.gateways.profile_of(attempt.gateway)
    takes = None if profile is None else profile.takes(steps.current(attempt))
    # Who comes back was sent by the provider's answer: so there is one, and it was that it waits.
    if takes is None or takes.return_step is None or attempt.state != "pending":
        return None
    brought = brought_by(takes, query)
    if not brought:
        return None
    said = Result(Outcome.PENDING, attempt.provider_ref, step=takes.return_step, kept=brought)
    settled = await machine.executor.record_outcome(attempt, said)
    return settled.next


def brought_by(takes: Takes, query: bytes) -> dict[str, str]:
    """What of an address's parameters the step has to know; each once, and nothing strange."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(query.decode("latin-1"), max_num_fields=64):
        fits = 0 < len(value) <= PARAM_CHARS_MAX and value.isprintable()
        if name in takes.return_params and fits:
            found.setdefault(name, value)
    return found
