"""The broker, as the rest of the product sees it; with `bus_pull` the only importer of NATS.

    bus = Bus(["nats://127.0.0.1:4222"], "access 1")
    await bus.start()                       # returns at once and connects for ever
    await bus.ensure_stream("EVENTS", ["events.>"], max_bytes=1 << 30)
    receipt = await bus.publish("events.pi_1", data, stream="EVENTS", message_id="evt_1")
    puller = bus.pull("EVENTS", "overview")
    for message in await puller.fetch(100, wait_s=5):
        await message.ack()
    await bus.close()

The broker carries and is never the truth: every call may raise BusError, and whoever calls
must be able to go on without it. A lost connection is made again for ever; subscriptions and
consumers come back with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api
from nats.js import errors as js_errors

from bailiwick.bus.base import (
    BusConflict,
    BusError,
    BusRefused,
    BusUnavailable,
    Message,
    Receipt,
    StreamState,
)
from bailiwick.bus.pull import Connection, Missing, Puller, message_of, translated
from bailiwick.bus.security import Security, checked_servers, shown
from bailiwick.runtime import telemetry
from bailiwick.runtime.loops import end

__all__ = [
    "Bus", "BusConflict", "BusError", "BusRefused", "BusUnavailable", "Message", "Puller",
    "Receipt", "Security", "StreamState",
]  # fmt: skip

log = telemetry.logger()

REQUEST_S: Final = 3.0
CONNECT_S: Final = 3
PING_S: Final = 2  # two unanswered: the connection is dead
_CLOSE_S: Final = 3.0
_STREAM_MISSING: Final = 10059
_HEADER_ROOM: Final = 1024  # of the server's max_payload


Listener = Callable[[Message], Awaitable[None]]


class Bus:
    """One connection to the broker, kept for the life of a process.

    Args:
        servers: ``nats://`` or ``tls://`` addresses, tried in random order.
        name: who we are, in the broker's own lists.
        replicas: copies of a stream that we create; by default 3 with three servers or more.

    Attributes:
        inbox: what the subjects begin with on which the broker answers us.

    Raises:
        BusError: an address or a file of ``security`` cannot be used.
    """

    def __init__(
        self,
        servers: Sequence[str],
        name: str,
        *,
        security: Security | None = None,
        replicas: int | None = None,
    ) -> None:
        self.name = name
        self.servers = checked_servers(servers)
        self.replicas = replicas or (3 if len(self.servers) >= 3 else 1)
        self._security = security or Security()
        self._tls = self._security.tls()
        self._signer = self._security.signer()
        self.inbox = self._security.answered_on(self.servers)
        self._client: Client | None = None
        self._js: JetStreamContext | None = None
        self._lost_at = time.monotonic()
        self._told = ""
        self._keeper: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()
        self._up = asyncio.Event()
        self._listeners: list[tuple[str, Listener]] = []
        self._on_connect: list[Callable[[], None]] = []

    # --- life -------------------------------------------------------------------------------

    async def start(self, *, wait_s: float = 0.0) -> bool:
        """Begin to connect; wait at most ``wait_s`` for the first connection and return
        whether there is one."""
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep())
        if wait_s > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._up.wait(), wait_s)
        return self.connected

    async def close(self) -> None:
        """Send what waits, disconnect and end; safe to call twice."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            await end(keeper)
        await self._drop()

    @property
    def addresses(self) -> list[str]:
        """The servers' addresses without logins, to be shown."""
        return [shown(server) for server in self.servers]

    @property
    def connected(self) -> bool:
        """True while a server answers (a silent one is noticed within three pings)."""
        return self._client is not None and self._client.is_connected and self._up.is_set()

    @property
    def stale_s(self) -> float:
        """Seconds since the connection was lost, or since the start without one; 0 with one."""
        return 0.0 if self.connected else time.monotonic() - self._lost_at

    def on_connect(self, call: Callable[[], None]) -> None:
        """Call this at every connection, the first one included."""
        self._on_connect.append(call)
        if self.connected:
            call()

    async def _keep(self) -> None:
        # The client reconnects by itself, but ends for good at some refusals: then a new one.
        while True:
            self._ended.clear()
            try:
                await self._connect()
                await self._ended.wait()
            except Exception as error:
                await self._on_error(error)
            await self._drop()
            await asyncio.sleep(0.25 + random.random() / 2)

    async def _connect(self) -> None:
        client = self._client = Client()
        options: dict[str, Any] = {}
        if self._tls is not None:
            options["tls"] = self._tls
        if self._signer is not None:
            options["user_jwt_cb"], options["signature_cb"] = self._signer
        await client.connect(
            servers=self.servers,
            name=self.name,
            connect_timeout=CONNECT_S,
            max_reconnect_attempts=-1,
            # Not all processes at the same moment.
            reconnect_time_wait=0.25 + random.random() / 2,  # type: ignore[arg-type]
            ping_interval=PING_S,
            inbox_prefix=self.inbox,
            error_cb=self._on_error,
            disconnected_cb=self._on_lost,
            reconnected_cb=self._on_back,
            closed_cb=self._on_closed,
            **options,
        )
        self._js = client.jetstream(timeout=REQUEST_S)
        for subject, listener in self._listeners:
            await self._subscribe(client, subject, listener)
        await self._on_back()

    async def _drop(self) -> None:
        client, self._client, self._js = self._client, None, None
        await self._on_lost()
        if client is not None:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(client.close(), _CLOSE_S)

    async def _on_error(self, error: Exception) -> None:
        # Said once until the next connection: the client tries several times a second.
        kind = type(error).__name__
        if not self.connected and self._told != kind:
            self._told = kind
            log.warning("the broker does not answer; going on without it", reason=kind)

    async def _on_lost(self) -> None:
        if self._up.is_set():
            self._up.clear()
            self._lost_at = time.monotonic()
            if self._keeper is not None:
                log.warning("the connection to the broker is lost; going on without it")

    async def _on_back(self) -> None:
        self._up.set()
        self._told = ""
        url = self._client.connected_url if self._client is not None else None
        log.info("connected to the broker", url=shown(url.geturl()) if url else None)
        for call in self._on_connect:
            call()

    async def _on_closed(self) -> None:
        self._ended.set()

    # --- plain subjects ---------------------------------------------------------------------

    async def listen(self, subject: str, listener: Listener) -> None:
        """Call ``listener`` with every message on a subject while connected (nothing is kept
        for the time without a connection: use a stream for that)."""
        self._listeners.append((subject, listener))
        if self._client is not None and self.connected:
            await self._subscribe(self._client, subject, listener)

    async def _subscribe(self, client: Client, subject: str, listener: Listener) -> None:
        async def heard(msg: Msg) -> None:
            try:
                await listener(message_of(msg))
            except Exception as error:
                log.error("a message could not be handled", error=error)

        await client.subscribe(subject, cb=heard)

    async def send(self, subject: str, data: bytes) -> None:
        """Publish without a stream and without an answer. Raises BusUnavailable."""
        client, _ = self._connection()
        with translated("send"):
            await client.publish(subject, data)

    # --- streams ----------------------------------------------------------------------------

    async def ensure_stream(
        self,
        name: str,
        subjects: Sequence[str],
        *,
        max_bytes: int,
        max_messages: int | None = None,
        max_messages_per_subject: int | None = None,
        max_message_bytes: int | None = None,
        max_age_s: float = 0.0,
        duplicate_window_s: float = 120.0,
        republish: tuple[str, str] | None = None,
    ) -> bool:
        """Create a stream on disk unless it is there; True when it was created.

        A stream that exists is left as its owner configured it. ``republish``: the subjects
        whose messages are sent again once they are stored, and on which. Raises BusError.
        """
        if await self.state(name) is not None:
            return False
        config = api.StreamConfig(
            name=name,
            subjects=list(subjects),
            storage=api.StorageType.FILE,
            num_replicas=self.replicas,
            max_bytes=max_bytes,
            max_msgs=max_messages or -1,
            max_msgs_per_subject=max_messages_per_subject or -1,
            max_msg_size=max_message_bytes or -1,
            max_age=max_age_s,
            duplicate_window=min(duplicate_window_s, max_age_s or duplicate_window_s),
            republish=api.RePublish(*republish) if republish else None,
        )
        _, stream = self._connection()
        with translated(f"create the stream {name}"):
            await stream.add_stream(config)
        log.info("stream created at the broker", reason=name)
        return True

    async def delete_stream(self, name: str) -> None:
        """Delete a stream with all it holds; nothing happens if there is none."""
        _, stream = self._connection()
        with translated(f"delete the stream {name}"), contextlib.suppress(js_errors.NotFoundError):
            await stream.delete_stream(name)

    async def state(self, stream: str) -> StreamState | None:
        """The state of a stream, None when there is none. Raises BusError."""
        client, _ = self._connection()
        with translated(f"ask for the stream {stream}"):
            answer = await client.request(f"$JS.API.STREAM.INFO.{stream}", timeout=REQUEST_S)
            found = json.loads(answer.data)
            if found.get("error", {}).get("err_code") == _STREAM_MISSING:
                return None
            if "error" in found:
                raise js_errors.APIError.from_error(found["error"])
        at = found["state"]
        return StreamState(
            at["messages"], at["bytes"], at["first_seq"], at["last_seq"], found["created"]
        )

    async def publish(
        self,
        subject: str,
        data: bytes,
        *,
        stream: str,
        message_id: str | None = None,
        expect_last_subject_sequence: int | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = REQUEST_S,
    ) -> Receipt:
        """Store a message in a stream; returns once the broker has it on disk.

        Args:
            message_id: a second message with it within the stream's window is not stored.
            expect_last_subject_sequence: only store it if the subject's last message has this
                sequence (0: there is none).

        Raises:
            BusConflict: the subject's last message is another one; nothing was stored.
            BusUnavailable: no answer in time; it may have been stored all the same.
            BusRefused: too large for the broker or the stream; nothing was stored.
            BusError: refused for another reason; nothing was stored.
        """
        client, context = self._connection()
        if len(data) + _HEADER_ROOM > client.max_payload:
            raise BusRefused(
                f"a message of {len(data)} bytes does not fit the broker's max_payload of "
                f"{client.max_payload}; raise it in the NATS server's configuration"
            )
        lines = dict(headers or {})
        if message_id is not None:
            lines["Nats-Msg-Id"] = message_id
        if expect_last_subject_sequence is not None:
            lines["Nats-Expected-Last-Subject-Sequence"] = str(expect_last_subject_sequence)
        with translated(f"publish on {subject}"):
            ack = await context.publish(
                subject, data, timeout=timeout, stream=stream, headers=lines or None
            )
        return Receipt(ack.seq, bool(ack.duplicate))

    async def last(self, stream: str, subject: str) -> Message | None:
        """The last message on a subject of a stream, or None. Raises BusError."""
        _, context = self._connection()
        try:
            with translated(f"read the stream {stream}"):
                found = await context.get_last_msg(stream, subject)
        except Missing:
            return None
        return Message(subject, found.data or b"", found.seq or 0, found.headers or {})

    def pull(
        self,
        stream: str,
        durable: str,
        *,
        subject: str | None = None,
        ack_wait_s: float = 30.0,
        max_unacked: int = 1_000,
        max_deliveries: int | None = None,
    ) -> Puller:
        """A durable consumer; it is made at the first fetch, and again if the stream was."""
        config = api.ConsumerConfig(
            durable_name=durable,
            filter_subject=subject,
            ack_policy=api.AckPolicy.EXPLICIT,
            ack_wait=ack_wait_s,
            max_ack_pending=max_unacked,
            max_deliver=max_deliveries or -1,
        )
        return Puller(self._connection, stream, config)

    def _connection(self) -> Connection:
        client, stream = self._client, self._js
        # Not while it reconnects: what is written then would be sent late, after we gave up.
        if client is None or stream is None or not self.connected:
            raise BusUnavailable(f"no NATS server answers at {', '.join(self.addresses)}")
        return client, stream
