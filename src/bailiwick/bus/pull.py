"""The broker's messages read through a durable consumer, and the client's errors as ours.

A part of `bus`; no other module imports the NATS client.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api
from nats.js import errors as js_errors

from bailiwick.bus.base import BusConflict, BusError, BusRefused, BusUnavailable, Message

_ASK_AGAIN_S = 10.0
_WRONG_SEQUENCE = frozenset({10071, 10164})
_TOO_LARGE = 10054

Connection = tuple[Client, JetStreamContext]


class Puller:
    """Fetches a durable consumer's messages; see ``Bus.pull``."""

    def __init__(
        self, connection: Callable[[], Connection], stream: str, config: api.ConsumerConfig
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._config = config
        self._client: Client | None = None
        self._asked_at = 0.0
        self._bound: JetStreamContext.PullSubscription | None = None

    async def fetch(self, most: int = 100, *, wait_s: float = 5.0) -> list[Message]:
        """At least one message, at most ``most``, or none within ``wait_s``.

        Raises BusError when the broker or the stream is away; the next call tries again.
        """
        bound = await self._bind()
        try:
            with translated(f"fetch from the stream {self._stream}"):
                try:
                    found = await bound.fetch(most, timeout=wait_s)
                except TimeoutError:
                    found = []  # no messages, or no consumer: see `_bind`
        except BusError:
            await self.close()
            raise
        return [message_of(each) for each in found]

    async def close(self) -> None:
        """Stop listening; the consumer and its position stay at the broker."""
        bound, self._bound = self._bound, None
        if bound is not None:
            with contextlib.suppress(Exception):
                await bound.unsubscribe()

    async def _bind(self) -> JetStreamContext.PullSubscription:
        client, context = self._connection()
        now = time.monotonic()
        bound = self._bound if client is self._client else None
        if bound is not None and now - self._asked_at < _ASK_AGAIN_S:
            return bound
        with translated(f"read the stream {self._stream}"):
            # Also finds or makes it again when the stream was wiped meanwhile.
            info = await context.add_consumer(self._stream, config=self._config)
            if bound is None:
                bound = await context.pull_subscribe_bind(consumer=info.name, stream=self._stream)
        self._client, self._bound, self._asked_at = client, bound, now
        return bound


class Missing(BusError):
    """There is no such stream or message."""


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """The client's errors as ours."""
    try:
        yield
    except js_errors.NotFoundError as error:
        raise Missing(f"cannot {what}: {error.description or 'not found'}") from None
    except js_errors.APIError as error:
        if error.err_code in _WRONG_SEQUENCE:
            raise BusConflict(f"cannot {what}: another message was stored first") from None
        if error.err_code == _TOO_LARGE:
            raise BusRefused(f"cannot {what}: it is larger than the stream allows") from None
        if error.code == 503:
            raise BusUnavailable(f"cannot {what}: the broker is not ready") from None
        raise BusError(f"cannot {what}: the broker refused: {error.description}") from None
    except (TimeoutError, js_errors.NoStreamResponseError, nats.errors.NoRespondersError):
        raise BusUnavailable(f"cannot {what}: the broker did not answer in time") from None
    except (nats.errors.Error, js_errors.Error, OSError, ValueError) as error:
        raise BusUnavailable(f"cannot {what}: {type(error).__name__}") from None


def message_of(msg: Msg) -> Message:
    headers = msg.headers or {}
    deliveries = pending = sequence = 0
    if msg.reply.startswith("$JS.ACK."):
        known = msg.metadata
        sequence = known.sequence.stream
        deliveries, pending = known.num_delivered, known.num_pending
    elif headers.get("Nats-Sequence", "").isdigit():
        sequence = int(headers["Nats-Sequence"])  # republished from a stream
    return Message(msg.subject, msg.data, sequence, headers, deliveries, pending, msg)
