"""How a process proves itself to the broker, and where it is answered.

A `.creds` file, as `nsc` writes it, holds a user's JWT and the seed of its Ed25519 key; the
server sends a nonce that the key signs. Answers come on subjects of the user's own, so that the
server can keep each user from listening to others' (``Security.inbox``). Nothing here imports the
NATS client.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick.bus.base import BusError

MOST_SERVERS: Final = 32
INBOX: Final = "_INBOX"
_INBOX_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
_SECTION = re.compile(
    r"-+BEGIN (NATS USER JWT|USER NKEY SEED)-+\s+([A-Za-z0-9_.\-=]+)\s+-+END [A-Z ]+-+"
)


class Security(msgspec.Struct, frozen=True, kw_only=True):
    """Files that a connection needs; all optional.

    Attributes:
        credentials: a `.creds` file.
        ca: certificates (PEM) that sign the servers' ones; None: the system's.
        certificate, key: our own certificate and its key (PEM), for mutual TLS.
        inbox: what the subjects begin with on which we are answered; "": ``_INBOX_<user>``.
    """

    credentials: Path | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    inbox: str = ""

    def answered_on(self, servers: Sequence[str]) -> str:
        """What the subjects of answers begin with. The user is that of the servers' addresses, or
        of the credentials; ``_INBOX`` for a connection without one. Raises BusError."""
        if self.inbox:
            if _INBOX_NAME.fullmatch(self.inbox) is None:
                raise BusError(
                    f"nats_inbox: {self.inbox!r} is no token of a subject; letters, digits, - and _"
                )
            return self.inbox
        users = {_user(server) for server in servers}
        if self.credentials is not None:
            users = {_name(_read(self.credentials)[0])}
        if len(users) > 1:
            raise BusError("the NATS addresses name different users; name one, or set nats_inbox")
        user = users.pop()
        if user and _INBOX_NAME.fullmatch(user) is None:
            raise BusError(
                f"the NATS user {user!r} is no token of a subject: name him by letters, digits, - "
                "and _, or set nats_inbox"
            )
        return f"{INBOX}_{user}" if user else INBOX

    def tls(self) -> ssl.SSLContext | None:
        """The TLS context, or None when no file asks for one (`tls://` then uses the system's
        certificates). Raises BusError naming the file."""
        if self.ca is None and self.certificate is None:
            if self.key is not None:
                raise BusError("the broker's TLS key is given without its certificate; give both")
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            names = ", ".join(str(name) for name in (self.ca, self.certificate, self.key) if name)
            raise BusError(f"TLS files for the broker ({names}) cannot be used: {error}") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def signer(self) -> tuple[Callable[[], bytes], Callable[[str], bytes]] | None:
        """(JWT, signature of a nonce) as the client asks for them; read anew at every
        connection, so that a renewed file needs no restart. Raises BusError at once."""
        if self.credentials is None:
            return None
        path = self.credentials
        _read(path)
        return (lambda: _read(path)[0]), (lambda nonce: _signature(_read(path)[1], nonce))


def _read(path: Path) -> tuple[bytes, Ed25519PrivateKey]:
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not a text file"
        raise BusError(f"{path}: the broker's credentials cannot be read: {reason}") from None
    found = dict(_SECTION.findall(text))
    if len(found) != 2:
        raise BusError(f"{path}: is no NATS credentials file; make one with `nsc generate creds`")
    return found["NATS USER JWT"].encode(), _private_key(found["USER NKEY SEED"], path)


def _private_key(seed: str, path: Path) -> Ed25519PrivateKey:
    """The key of an NKEY seed: base32 of two bytes of prefix, 32 of seed, two of checksum."""
    try:
        raw = base64.b32decode(seed + "=" * (-len(seed) % 8))
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != 36 or binascii.crc_hqx(raw[:34], 0) != int.from_bytes(raw[34:], "little"):
        raise BusError(f"{path}: the NKEY seed is damaged; make the file anew")
    return Ed25519PrivateKey.from_private_bytes(raw[2:34])


def _signature(key: Ed25519PrivateKey, nonce: str) -> bytes:
    return base64.b64encode(key.sign(nonce.encode()))


def _name(jwt: bytes) -> str:
    """The name in a user's JWT; "" when it has none that can be read."""
    try:
        payload = jwt.split(b".")[1]
        said = json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
        name = said["name"]
    except (IndexError, ValueError, KeyError, TypeError):
        return ""
    return name if isinstance(name, str) else ""


def _user(server: str) -> str:
    """The user of an address; "" if it has none, or a token in its place."""
    parts = urlsplit(server)
    return parts.username or "" if parts.password is not None else ""


def checked_servers(servers: Sequence[str]) -> list[str]:
    """Addresses of the broker's servers. Raises BusError with the remedy."""
    if not 1 <= len(servers) <= MOST_SERVERS:
        raise BusError(f"give 1 to {MOST_SERVERS} addresses of NATS servers, not {len(servers)}")
    for server in servers:
        try:
            parts = urlsplit(server)
            good = parts.scheme in ("nats", "tls") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good:
            shown = server.rpartition("@")[2]
            raise BusError(f"{shown!r} is no NATS address; write nats://HOST:PORT or tls://...")
    return list(servers)


def shown(server: str) -> str:
    """An address without user and password, for logs and answers."""
    parts = urlsplit(server)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
