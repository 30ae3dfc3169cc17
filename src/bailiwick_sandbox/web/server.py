"""The process: a socket, uvicorn with our bounds, and a clean end."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import uvicorn

from bailiwick_sandbox.bank.books import Books
from bailiwick_sandbox.bank.journal import Journal
from bailiwick_sandbox.config import Config, ConfigError
from bailiwick_sandbox.iso8583.host import Hosts
from bailiwick_sandbox.service import Service
from bailiwick_sandbox.web.app import App
from bailiwick_sandbox.web.protocol import Protocol


class Server(uvicorn.Server):
    """A server that tells when it listens and lets go of hanging requests when it stops."""

    def __init__(
        self, config: uvicorn.Config, app: App, hosts: Hosts, listening: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._app = app
        self._hosts = hosts
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the bank's own work, listen, and say so."""
        self._app.service.start()
        await self._hosts.start()
        await super().startup(sockets)
        self._listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Free those who wait for an answer that will not come, then stop."""
        self._app.closing.set()
        self._hosts.close()
        await super().shutdown(sockets)
        await self._app.service.callbacks.close()


def listen(address: str, fd: int | None = None) -> socket.socket:
    """A listening socket: our own at HOST:PORT, or one inherited; raises ConfigError."""
    if fd is not None:
        with contextlib.suppress(OSError):
            return socket.socket(fileno=fd)
        raise ConfigError(f"--fd {fd}: not an open socket")
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65_535 or not host:
        raise ConfigError(f"--listen {address!r}: must be HOST:PORT")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, int(port)))
        sock.listen(2048)
    except OSError as error:
        sock.close()
        raise ConfigError(f"--listen {address}: {error.strerror or error}") from error
    return sock


def base_url(sock: socket.socket) -> str:
    """The address of a listening socket as a URL."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(
    config: Config,
    folder: Path,
    sock: socket.socket,
    listening: Callable[[str, dict[str, str]], None],
) -> None:
    """Serve until SIGTERM or SIGINT; ``listening`` is called with the URL once it is so, and with
    the addresses of the hosts over ISO 8583 by provider.

    ``folder`` is where a relative journal path begins. Raises ConfigError and JournalError.
    """
    url = base_url(sock)
    if not ip_address(sock.getsockname()[0]).is_loopback and not config.server.admin_key:
        raise ConfigError(
            "server.admin_key: needed to listen outside loopback, since the pages of the "
            "sandbox show its books and change its behaviour"
        )
    journal = Journal(folder / config.server.journal)
    try:
        books = Books(config, journal)
        service = Service(config, books, config.server.public_url or url)
        app, hosts = App(service), Hosts(service)
        settings: dict[str, Any] = {
            "http": Protocol,
            "ws": "none",
            "loop": "uvloop",
            "lifespan": "off",
            "log_config": None,
            "access_log": False,
            "server_header": False,
            "date_header": False,
            "proxy_headers": False,
            "timeout_keep_alive": 75,
            "timeout_graceful_shutdown": 3,
        }
        server = Server(
            uvicorn.Config(app, **settings), app, hosts, lambda: listening(url, hosts.addresses)
        )
        # uvicorn raises the signal again when it is done; by then it has been obeyed.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        server.run(sockets=[sock])
    finally:
        journal.close()
