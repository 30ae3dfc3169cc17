"""The host: whoever connects signs on, and asks; answers go out as faults have it."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from typing import TYPE_CHECKING, Final

from bailiwick_sandbox.bank.ledger import Ledger
from bailiwick_sandbox.config import ConfigError, ProviderConfig
from bailiwick_sandbox.faults import LIES, Fault
from bailiwick_sandbox.iso8583 import issuer, wire

if TYPE_CHECKING:
    from bailiwick_sandbox.service import Service

_log = logging.getLogger("bailiwick_sandbox")
_RST: Final = struct.pack("ii", 1, 0)
_SILENT: Final = frozenset({"charge_then_hang", "eventual_read"})


class Hosts:
    """One listening socket for each provider that has such a host."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.StreamWriter] = set()
        self.addresses: dict[str, str] = {}

    async def start(self) -> None:
        """Listen; raises ConfigError."""
        for provider in self._service.config.providers:
            if provider.iso8583 is not None:
                await self._listen(provider, provider.iso8583.listen)

    async def _listen(self, provider: ProviderConfig, listen: str) -> None:
        assert provider.iso8583 is not None
        place, _, port = listen.rpartition(":")
        ledger = self._service.books.ledgers[provider.name]
        desk = Host(self._service, ledger, provider, self._open)
        try:
            server = await asyncio.start_server(desk.serve, place.strip("[]"), int(port))
        except OSError as error:
            raise ConfigError(f"iso8583.listen {listen}: {error.strerror or error}") from error
        self._servers.append(server)
        host, number = server.sockets[0].getsockname()[:2]
        self.addresses[provider.name] = f"[{host}]:{number}" if ":" in host else f"{host}:{number}"

    def close(self) -> None:
        """Listen no more, and end all connections."""
        for server in self._servers:
            server.close()
        for writer in self._open:
            writer.transport.abort()


class Host:
    """One provider's host; ``connections``: those that are open."""

    def __init__(
        self,
        service: Service,
        ledger: Ledger,
        provider: ProviderConfig,
        connections: set[asyncio.StreamWriter],
    ) -> None:
        assert provider.iso8583 is not None
        self._connections = connections
        self._service = service
        self._ledger = ledger
        self._style = wire.STYLES[provider.iso8583.style]
        self._key = bytes.fromhex(provider.iso8583.mac_key) or None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it ends; each message is answered when its own time has come."""
        signed_on = False
        self._connections.add(writer)
        tasks: set[asyncio.Task[None]] = set()
        try:
            while True:
                size = wire.length(self._style, await reader.readexactly(2))
                if not size:
                    continue
                data = (await reader.readexactly(size))[len(self._style.tpdu) :]
                asked = wire.read(self._style, data)
                if asked["t"].startswith("08"):
                    signed_on = self._network(writer, asked, signed_on)
                elif signed_on:
                    task = asyncio.create_task(self._guarded(writer, asked, data))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                else:
                    break
        except (wire.Unreadable, asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self._connections.discard(writer)
            writer.close()

    def _network(self, writer: asyncio.StreamWriter, asked: issuer.Fields, was: bool) -> bool:
        """Answer a sign-on, an echo or a sign-off; whether the connection is signed on now."""
        if int(asked["t"][2]) % 2:
            return was
        revoked = self._service.faults.revoked(self._ledger.name)
        what = asked.get("70", "")
        told = issuer.Told("05" if revoked else issuer.APPROVED, {"70": what})
        self._send(writer, issuer.answer(asked, told), None)
        return not revoked and what != wire.SIGN_OFF and (was or what == wire.SIGN_ON)

    async def _guarded(
        self, writer: asyncio.StreamWriter, asked: issuer.Fields, data: bytes
    ) -> None:
        try:
            await self._take(writer, asked, data)
        except Exception:
            _log.exception("message failed")

    async def _take(self, writer: asyncio.StreamWriter, asked: issuer.Fields, data: bytes) -> None:
        service, ledger = self._service, self._ledger
        operation = issuer.operation_of(asked)
        if operation is None:
            return
        if self._key is not None and not wire.genuine(self._style, data, asked, self._key):
            self._answer(writer, asked, issuer.Told(issuer.SECURITY))
            return
        counts = service.calls[ledger.name]
        counts[operation] = counts.get(operation, 0) + 1
        fault, latency_ms = service.faults.pick(ledger.name, operation)
        if fault is None and operation == "charge":
            fault = issuer.own_fault(service, ledger, self._style, asked)
        if fault is not None and fault.kind == "latency":
            latency_ms += fault.delay_ms
            fault = None
        wait_ms = latency_ms + service.delay.sample_ms()
        if wait_ms:
            await asyncio.sleep(wait_ms / 1000)
        if fault is not None:
            service.faults.note(fault.kind)
            if await self._without_processing(writer, asked, fault):
                return
        told = issuer.carry_out(service, ledger, self._style, operation, asked, fault)
        if fault is None:
            self._answer(writer, asked, told)
        else:
            self._after_processing(writer, asked, told, fault)

    async def _without_processing(
        self, writer: asyncio.StreamWriter, asked: issuer.Fields, fault: Fault
    ) -> bool:
        kind = fault.kind
        if kind == "reset_before":
            _reset(writer)
        elif kind == "error_500_before":
            self._answer(writer, asked, issuer.Told(issuer.BROKEN))
        elif kind == "rate_limited":
            self._answer(writer, asked, issuer.Told(issuer.DOWN))
        elif kind == "credentials_revoked":
            writer.close()
        elif kind != "hang_before":
            if kind == "late":
                await asyncio.sleep(fault.delay_ms / 1000)
            return False
        return True

    def _after_processing(
        self, writer: asyncio.StreamWriter, asked: issuer.Fields, told: issuer.Told, fault: Fault
    ) -> None:
        kind, style = fault.kind, self._style
        lie = kind if kind in LIES else ""
        if kind in _SILENT:
            return
        if kind == "charge_then_500":
            self._answer(writer, asked, issuer.Told(issuer.BROKEN))
        elif kind == "reset_after":
            _reset(writer)
        elif kind == "garbage":
            writer.write(wire.frame(style, style.tpdu + b"<html>no message</html>"))
        elif kind == "truncated":
            whole = wire.frame(style, self._written(issuer.answer(asked, told)))
            writer.write(whole[: len(whole) // 2])
            writer.close()
        elif kind == "huge":
            writer.write(b"\x99\x99" + b"9" * 9_999)
        else:
            self._answer(writer, asked, told, lie)

    def _answer(
        self,
        writer: asyncio.StreamWriter,
        asked: issuer.Fields,
        told: issuer.Told,
        lie: str = "",
    ) -> None:
        self._send(writer, issuer.answer(asked, told, lie), self._key)

    def _written(self, fields: issuer.Fields) -> bytes:
        return wire.write(self._style, fields, self._key)

    def _send(self, writer: asyncio.StreamWriter, fields: issuer.Fields, key: bytes | None) -> None:
        if not writer.is_closing():
            writer.write(wire.frame(self._style, wire.write(self._style, fields, key)))


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection so that the peer sees RST and not a close."""
    peer = writer.get_extra_info("socket")
    if peer is not None and not writer.is_closing():
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
    writer.transport.abort()
