"""The HTTP server of access and node: uvicorn with httptools, uvloop and our bounds."""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

import uvicorn
import uvloop

from bailiwick.wire.limits import Limits
from bailiwick.wire.peers import Peers
from bailiwick.wire.protocol import BoundedProtocol

if TYPE_CHECKING:
    from bailiwick.runtime.tls import Incoming

_SWEEP_S = 0.25

Application = Callable[..., Awaitable[Any]]


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A listening socket; ``shared`` lets several processes listen on one port.

    Raises:
        OSError: the address is taken or not ours; the message names it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
        sock.listen(1024)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from error
    return sock


class HttpServer:
    """One listening HTTP server in the running event loop.

    ``start`` returns when it listens; ``stop`` refuses new connections, lets requests under
    way finish for ``grace_s`` seconds and closes. With ``tls`` it speaks nothing else.
    """

    def __init__(
        self,
        app: Application,
        limits: Limits | None = None,
        *,
        grace_s: float = 20,
        tls: "Incoming | None" = None,
    ) -> None:
        limits = limits or Limits()
        self._peers = Peers()
        protocol = type(
            "LimitedProtocol", (BoundedProtocol,), {"limits": limits, "peers": self._peers}
        )
        self._config = uvicorn.Config(
            app,
            interface="asgi3",
            http=protocol,
            loop="none",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
        )
        self._server = uvicorn.Server(self._config)
        self._grace_s = grace_s
        self._tls = tls
        self.port = 0

    async def start(
        self, host: str = "127.0.0.1", port: int = 0, *, sock: socket.socket | None = None
    ) -> None:
        """Listen on a socket that is bound already, else on host and port (0: any free)."""
        sock = sock or bind(host, port)
        self.port = sock.getsockname()[1]
        self._config.load()
        self._server.lifespan = self._config.lifespan_class(self._config)
        if self._tls is None:
            await self._server.startup(sockets=[sock])
        else:
            await self._server.startup(sockets=[])
            self._server.servers.append(await self._listen_tls(sock, self._tls))
        self._sweeping = asyncio.get_running_loop().create_task(self._sweep())

    async def _listen_tls(self, sock: socket.socket, tls: "Incoming") -> asyncio.Server:
        """As uvicorn listens, but with bounded times for hello and good-bye."""
        from bailiwick.runtime.tls import HANDSHAKE_S, SHUTDOWN_S

        def connected() -> asyncio.Protocol:
            return self._config.http_protocol_class(  # type: ignore[call-arg]
                config=self._config,
                server_state=self._server.server_state,
                app_state=self._server.lifespan.state,
            )

        return await asyncio.get_running_loop().create_server(
            connected,
            sock=sock,
            ssl=tls.context,
            ssl_handshake_timeout=HANDSHAKE_S,
            ssl_shutdown_timeout=SHUTDOWN_S,
        )

    @property
    def connections(self) -> int:
        """Client connections open now."""
        return len(self._server.server_state.connections)

    async def _sweep(self) -> None:
        """Close what is overdue, and keep the Date header."""
        loop = asyncio.get_running_loop()
        state = self._server.server_state
        while True:
            await self._server.on_tick(0)
            await asyncio.sleep(_SWEEP_S)
            now = loop.time()
            for connection in list(state.connections):
                if isinstance(connection, BoundedProtocol):
                    connection.check(now)

    async def stop(self) -> None:
        """Finish what is under way, then close; what takes longer than the grace is cut off."""
        loop = asyncio.get_running_loop()
        state = self._server.server_state
        for server in self._server.servers:
            server.close()
        for connection in list(state.connections):
            connection.shutdown()
        end = loop.time() + self._grace_s
        while (state.connections or state.tasks) and loop.time() < end:  # noqa: ASYNC110 - plain sets
            await asyncio.sleep(0.01)
        for task in list(state.tasks):
            task.cancel()
        for connection in list(state.connections):
            if isinstance(connection, BoundedProtocol):
                connection.transport.abort()
        self._sweeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._sweeping


async def until_signalled(*, reload: Callable[[], None] | None = None) -> None:
    """Wait for SIGTERM or SIGINT. SIGHUP calls ``reload``."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if reload is not None:
        loop.add_signal_handler(signal.SIGHUP, reload)
    await stop.wait()


def settle_memory() -> None:
    """Leave what start-up built out of garbage collection, and collect seldom.

    The hot path makes no cycles; full collections only add latency.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a process's main coroutine on uvloop."""
    uvloop.run(main)


__all__ = [
    "BoundedProtocol",
    "HttpServer",
    "Limits",
    "bind",
    "run",
    "settle_memory",
    "until_signalled",
]
