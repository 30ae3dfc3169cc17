"""What the tests of the transport share: profiles, requests, permits."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from bailiwick.base.clock import boot_ns
from bailiwick.channels.contract import Exchange, Permit, Phase, Profile, Request
from bailiwick.channels.transports.http import HttpTransport
from bailiwick.channels.transports.secured import Secured
from bailiwick.runtime import tls
from bailiwick.wire.client import Connection
from bailiwick_lab.servers.scripted import http
from tests.waiting import PATIENCE_S

_PATIENCE_MS = int(PATIENCE_S * 1_000)
PATIENT = Profile(
    name="test",
    title="Test",
    resolve={},
    visibility_ms=0,
    connect_ms=_PATIENCE_MS,
    first_byte_ms=_PATIENCE_MS,
    total_ms=_PATIENCE_MS,
    answer_bytes_max=100_000,
)
# One time limit is short in each of these: the one that must run out.
HASTY_CONNECT = msgspec.structs.replace(PATIENT, connect_ms=200)
HASTY_ANSWER = msgspec.structs.replace(PATIENT, first_byte_ms=200)
HASTY_TOTAL = msgspec.structs.replace(PATIENT, total_ms=500)
OK = http(200, b'{"ok":true}')


def post(port: int, body: bytes = b'{"amount":1}') -> Request:
    headers = {"content-type": "application/json", "authorization": "Bearer k"}
    return Request("POST", f"http://127.0.0.1:{port}/charges", headers, body)


def get(port: int) -> Request:
    return Request("GET", f"http://127.0.0.1:{port}/operations/a%2Fb?x=%5B1%5D", {})


def trusting(ca: str, certificate: str = "", key: str = "") -> Secured:
    """Connections that believe these authorities, and show this certificate."""
    return Secured(tls.outgoing(ca, certificate, key, fields=("ca", "certificate", "key")))


def fresh() -> Permit:
    return Permit(boot_ns() + 60_000_000_000)


def expired() -> Permit:
    return Permit(boot_ns() - 1)


async def answered(transport: HttpTransport, request: Request) -> Exchange:
    done = await transport.exchange(request, PATIENT, fresh())
    assert done.phase is Phase.ANSWERED, done
    return done


class SpyTransport:
    """Stands before a connection's real transport and keeps every write."""

    def __init__(self, inner: Any, written: list[bytes], tell: Callable[[bytes], object]) -> None:
        self._inner = inner
        self._written = written
        self._tell = tell

    def write(self, data: bytes) -> None:
        self._written.append(data)
        self._tell(data)
        self._inner.write(data)

    def __getattr__(self, name: str) -> Any:
        if name in ("writelines", "write_eof", "sendfile"):
            raise AssertionError(f"{name} is a way past the check")
        return getattr(self._inner, name)

    @classmethod
    def install(
        cls, monkeypatch: pytest.MonkeyPatch, tell: Callable[[bytes], object] = len
    ) -> "Spied":
        """Put one before every connection that is made from now on."""
        spied = Spied()
        original = Connection.connection_made

        def made(self: Connection, transport: asyncio.BaseTransport) -> None:
            original(self, transport)
            self.transport = cls(transport, spied.written, tell)  # type: ignore[assignment]

        monkeypatch.setattr(Connection, "connection_made", made)
        return spied


class Spied:
    """What was handed to the transports, in order."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
