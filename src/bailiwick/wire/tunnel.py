"""Through a forward proxy to a server that speaks TLS: HTTP's CONNECT (RFC 9110 section 9.3.6).

The proxy passes bytes on and can read none of them: whom we speak with is proved by TLS, behind it.
"""

import asyncio
import base64
import re
import socket

import msgspec

from bailiwick.wire.client import WireError

HEAD_BYTES_MAX = 16_384
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]")


class Proxy(msgspec.Struct, frozen=True):
    """A proxy, and by what it knows us: ``user:password``, or nothing."""

    host: str
    port: int
    credentials: str = ""

    def __repr__(self) -> str:
        return f"Proxy({self.host}:{self.port})"


async def opened(
    loop: asyncio.AbstractEventLoop, proxy: Proxy, host: str, port: int
) -> socket.socket:
    """A socket whose other end is that host's. The caller bounds the time.

    Raises:
        WireError: ``proxy``, it cannot be reached; ``proxy_refused``, it will not.
    """
    try:
        sock = await _connected(loop, proxy)
    except OSError as error:
        raise WireError(False, "proxy", str(error.strerror or type(error).__name__)) from None
    try:
        await loop.sock_sendall(sock, _request(proxy, host, port))
        await _agreed(loop, sock)
    except OSError as error:
        sock.close()
        raise WireError(False, "proxy", str(error.strerror or type(error).__name__)) from None
    except BaseException:
        sock.close()
        raise
    return sock


async def _connected(loop: asyncio.AbstractEventLoop, proxy: Proxy) -> socket.socket:
    failed: OSError | None = None
    places = await loop.getaddrinfo(proxy.host, proxy.port, type=socket.SOCK_STREAM)
    for family, kind, protocol, _, address in places:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            failed = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failed or OSError("it has no address")


def _request(proxy: Proxy, host: str, port: int) -> bytes:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {where} HTTP/1.1", f"host: {where}"]
    if proxy.credentials:
        shown = base64.b64encode(proxy.credentials.encode()).decode()
        lines.append(f"proxy-authorization: Basic {shown}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


async def _agreed(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    """Read the proxy's answer, and nothing that is not its own: the server waits for us."""
    head = b""
    while b"\r\n\r\n" not in head:
        more = await loop.sock_recv(sock, HEAD_BYTES_MAX)
        head += more
        if not more or len(head) > HEAD_BYTES_MAX:
            raise WireError(False, "proxy_refused", "its answer ends early, or never")
    status = _STATUS.match(head)
    if status is None:
        raise WireError(False, "proxy_refused", "it does not speak HTTP")
    if not status[1].startswith(b"2"):
        raise WireError(False, "proxy_refused", f"it answered {status[1].decode()}")
    if not head.endswith(b"\r\n\r\n"):
        raise WireError(False, "proxy_refused", "more came than its answer")
