"""TLS of both sides of a hop: what is shown, who is believed, and files that are renewed.

    incoming = tls.incoming("site.crt", "site.key", client_ca="clients.crt", fields=(...))
    outgoing = tls.outgoing("nodes.crt", "access.crt", "access.key", fields=(...))
    async with tls.Watch(incoming, outgoing): ...

TLS 1.2 and 1.3 with forward secrecy, HTTP/1.1 by ALPN, names checked by clients. A context made
here is handed out once and stays; each *new* connection uses the files as they were last read, so
that a renewed certificate, or an authority that is no longer trusted, needs no restart.
Connections that are open go on. A connection that fails for a certificate is counted in
``REFUSED`` and told in one log line, never a stack trace.
"""

import asyncio
import contextlib
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from bailiwick.runtime import telemetry
from bailiwick.runtime.settings import SettingsError

REFUSED: Final[Counter[str]] = Counter()
"""Handshakes of this process that failed, by reason."""
HANDSHAKE_S: Final = 10.0
SHUTDOWN_S: Final = 5.0

_CHECK_S = 5.0
_WARN_S = 14 * 86_400
_SAY_EVERY_S = 5.0
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; those of 1.3 are all sound
_ALPN = ["http/1.1"]
_KEY = b"PRIVATE KEY-----"
_WRONG: Final = {  # OpenSSL's X509_V_ERR_*
    2: "unknown_authority", 18: "unknown_authority", 19: "unknown_authority",
    20: "unknown_authority", 21: "unknown_authority", 9: "not_yet_valid", 10: "expired",
    26: "wrong_purpose", 62: "wrong_name", 64: "wrong_name",
}  # fmt: skip
_NOT_TLS = frozenset({"HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "WRONG_VERSION_NUMBER"})
_NO_COMMON = frozenset({"UNSUPPORTED_PROTOCOL", "NO_SHARED_CIPHER", "NO_PROTOCOLS_AVAILABLE"})

log = telemetry.logger()
_said: dict[str, tuple[float, int]] = {}
_expires: dict[str, float] = {}


# --- what went wrong


def why(error: ssl.SSLError) -> tuple[str, str]:
    """A metric's word for a TLS error, and words for people (never content)."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _WRONG.get(error.verify_code, "certificate"), error.verify_message
    reason = getattr(error, "reason", None) or type(error).__name__
    words = reason.lower().replace("_", " ")
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return "no_certificate", "it showed no certificate"
    if "ALERT" in reason:
        return "refused_by_peer", f"the other side refused us: {words}"
    if reason in _NOT_TLS:
        return "not_tls", "it does not speak TLS"
    return ("version_or_cipher" if reason in _NO_COMMON else "other"), words


def note(error: ssl.SSLError, *, inbound: bool, host: str | None) -> None:
    """Count a failed handshake; log it, but of equal ones at most one in a few seconds."""
    word, words = why(error)
    REFUSED[word] += 1
    key = f"{inbound} {host} {words}"
    now = time.monotonic()
    last, left_out = _said.get(key, (-_SAY_EVERY_S, 0))
    if now - last < _SAY_EVERY_S:
        _said[key] = (last, left_out + 1)
        return
    if len(_said) > 256:
        _said.clear()
    _said[key] = (now, 0)
    log.warning(
        "tls_refused",
        mode="incoming" if inbound else "outgoing",
        host=host or "",
        reason=words,
        count=left_out + 1,
    )


class _Watched(ssl.SSLObject):
    """asyncio and uvloop drop a connection whose handshake fails without a word: say it here."""

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            note(error, inbound=self.server_side, host=self.server_hostname)
            raise


class _Live(ssl.SSLContext):
    """Stands where a context is wanted once and for all, and takes the latest each time."""

    latest: ssl.SSLContext

    def wrap_bio(self, *args: Any, **named: Any) -> ssl.SSLObject:
        return self.latest.wrap_bio(*args, **named)


# --- contexts that follow their files


class Held:
    """A context and the files it is made of.

    Attributes:
        context: give this to servers and pools; it stays the same object.
        expires: when the certificate shown ends (Unix seconds); 0 without one.
    """

    def __init__(
        self,
        files: dict[str, Path],
        build: Callable[[], ssl.SSLContext],
        alpn: Sequence[str] = _ALPN,
    ) -> None:
        self._files = files
        self._build = build
        self._alpn = list(alpn)
        self._seen = self._stamp()
        self._warned = 0.0
        self.expires = 0.0
        self.context = _Live(ssl.PROTOCOL_TLS_CLIENT)
        self._use(*self._read())

    def _stamp(self) -> list[tuple[int, int, int]]:
        stamps = []
        for path in self._files.values():
            try:
                found = path.stat()
                stamps.append((found.st_ino, found.st_size, found.st_mtime_ns))
            except OSError:
                stamps.append((0, 0, 0))
        return stamps

    def _read(self) -> tuple[ssl.SSLContext, float]:
        for field, path in self._files.items():
            try:
                data = path.read_bytes()
            except OSError as error:
                raise SettingsError(f"{field}: {path} cannot be read: {error.strerror}") from None
            if field.endswith("key") and _KEY not in data:
                raise SettingsError(f"{field}: {path} holds no PEM key; put the private key there")
            if field.endswith("ca"):
                _authorities(field, path, data)
        certificate = next((f for f in self._files if f.endswith("certificate")), None)
        until = 0.0 if certificate is None else _until(certificate, self._files[certificate])
        try:
            made = self._build()
        except (ssl.SSLError, OSError, ValueError) as error:
            raise SettingsError(_unusable(error, self._files)) from None
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        made.set_ciphers(_CIPHERS)
        if self._alpn:
            made.set_alpn_protocols(self._alpn)
        made.sslobject_class = _Watched
        return made, until

    def _use(self, made: ssl.SSLContext, until: float) -> None:
        self.context.latest = made
        self.expires = until
        if until:
            _expires[",".join(self._files)] = until

    def check(self, *, force: bool = False) -> bool:
        """Read the files again if they changed; True when new ones are in use.

        Files that cannot be used (half of a pair renewed, say) are told of and left alone until
        they change again.
        """
        self._warn()
        stamp = self._stamp()
        if stamp == self._seen and not force:
            return False
        self._seen = stamp
        try:
            made, until = self._read()
        except SettingsError as error:
            log.error("tls_files_refused", reason=str(error))
            return False
        self._use(made, until)
        log.info("tls_files_in_use", field=next(iter(self._files)))
        return True

    def _warn(self) -> None:
        left = self.expires - time.time()
        if self.expires and left < _WARN_S and time.monotonic() - self._warned > 86_400:
            self._warned = time.monotonic()
            log.warning(
                "tls_certificate_expires",
                field=next(iter(self._files)),
                reason=f"in {max(0.0, left / 86_400):.1f} days",
            )


class Incoming(Held):
    """What a server shows, and, with ``client_ca``, whose certificates clients must show."""


class Outgoing(Held):
    """Whom a client believes, and what it shows."""


def incoming(
    certificate: str, key: str, client_ca: str = "", *, fields: Sequence[str]
) -> Incoming | None:
    """The listening side; None where nothing is set. ``fields``: the settings' names, in order.

    Raises:
        SettingsError: naming field and remedy.
    """
    files = _given((certificate, key, client_ca), fields)
    if not files:
        return None
    _needs(files, fields[0], fields)
    _needs(files, fields[1], fields)

    def build() -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        made.load_cert_chain(certificate, key, password=_no_password)
        if client_ca:
            made.load_verify_locations(client_ca)
            made.verify_mode = ssl.CERT_REQUIRED
            # A resumed session would not be looked at again.
            made.options |= ssl.OP_NO_TICKET
            made.num_tickets = 0
        return made

    return Incoming(files, build)


def outgoing(
    ca: str, certificate: str, key: str, *, fields: Sequence[str], http: bool = True
) -> Outgoing | None:
    """The calling side; None where nothing is set. ``http``: that is spoken, and said by ALPN.

    Raises:
        SettingsError: naming field and remedy.
    """
    files = _given((ca, certificate, key), fields)
    if not files:
        return None
    if certificate or key:
        _needs(files, fields[1], fields[1:])
        _needs(files, fields[2], fields[1:])

    def build() -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=ca or None)
        if certificate:
            made.load_cert_chain(certificate, key, password=_no_password)
        return made

    return Outgoing(files, build, _ALPN if http else ())


def expires() -> float:
    """When the first of this process's certificates ends (Unix seconds); 0 without any."""
    return min(_expires.values(), default=0.0)


class Watch:
    """Looks after files while it is entered; ``None`` stands for TLS that is not set.

    ``more``: those that come and go meanwhile.
    """

    def __init__(
        self, *held: Held | None, more: Callable[[], Iterable[Held | None]] | None = None
    ) -> None:
        self._fixed = [each for each in held if each is not None]
        self._more = more
        self._task: asyncio.Task[None] | None = None

    @property
    def _held(self) -> list[Held]:
        more = () if self._more is None else self._more()
        return [*self._fixed, *(each for each in more if each is not None)]

    def reload(self) -> None:
        """Read all files again, whether they look changed or not (SIGHUP)."""
        for each in self._held:
            each.check(force=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_CHECK_S)
            for each in self._held:
                each.check()

    async def __aenter__(self) -> "Watch":
        if self._fixed or self._more is not None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task


# --- reading


def _given(values: Sequence[str], fields: Sequence[str]) -> dict[str, Path]:
    return {field: Path(value) for field, value in zip(fields, values, strict=False) if value}


def _needs(files: dict[str, Path], field: str, fields: Sequence[str]) -> None:
    if field not in files:
        other = next(each for each in fields if each in files)
        raise SettingsError(f"{field}: is missing; {other} needs it")


def _no_password() -> str:
    raise ValueError("the key is encrypted; give one that is not, readable by the service alone")


def _until(field: str, path: Path) -> float:
    """When the certificate in a file ends. Raises SettingsError: unreadable, or not valid now."""
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError:
        raise SettingsError(
            f"{field}: {path} holds no PEM certificate; put the chain there"
        ) from None
    begins, until = found.not_valid_before_utc, found.not_valid_after_utc
    now = time.time()
    if now >= until.timestamp():
        raise SettingsError(f"{field}: {path} expired on {until:%Y-%m-%d}; renew it")
    if now < begins.timestamp():
        raise SettingsError(
            f"{field}: {path} is not valid before {begins:%Y-%m-%d %H:%M} UTC; "
            "correct the clock or the certificate"
        )
    return until.timestamp()


def _authorities(field: str, path: Path, data: bytes) -> None:
    """Raises SettingsError: there are none in it, or none that is valid now."""
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificates(data)
    except ValueError:
        raise SettingsError(
            f"{field}: {path} holds no PEM certificate; put the authorities there"
        ) from None
    last = max(each.not_valid_after_utc for each in found)
    if time.time() >= last.timestamp():
        raise SettingsError(f"{field}: {path} expired on {last:%Y-%m-%d}; renew it")


def _unusable(error: Exception, files: dict[str, Path]) -> str:
    names = ", ".join(files)
    if isinstance(error, ssl.SSLError):
        if error.reason == "KEY_VALUES_MISMATCH":
            names = ", ".join(each for each in files if not each.endswith("ca"))
            return f"{names}: the key does not belong to the certificate; give the pair"
        if error.reason in ("NO_CERTIFICATE_OR_CRL_FOUND", "NO_START_LINE"):
            return f"{names}: a file holds no PEM text of its kind; check which is which"
        return f"{names}: cannot be used: {(error.reason or 'no PEM').lower().replace('_', ' ')}"
    return f"{names}: cannot be used: {error}"
