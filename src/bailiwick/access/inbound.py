"""What access reads of a request's headers: who asks, and which lines go on to the node."""

import binascii
import os
import re
from typing import NoReturn

import falcon.asgi

from bailiwick.base.errors import ApiError
from bailiwick.shell.http import new_request_id
from bailiwick.world.merchants import Merchants, Principal

# Everything else, X-Forwarded-For and our own Bailiwick-* names included, stays behind.
_FORWARDED = frozenset(
    (
        b"authorization",
        b"bailiwick-timing",
        b"content-type",
        b"idempotency-key",
        b"stripe-version",
        b"traceparent",
    )
)
_HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"request-id",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_KEY_CHARS_MAX = 255


class Inbound:
    """One authenticated request.

    Attributes:
        lines: header lines for the node, each ending in CRLF.
    """

    __slots__ = ("idempotency_key", "lines", "principal", "request_id")

    def __init__(
        self,
        principal: Principal,
        request_id: str,
        lines: list[bytes],
        idempotency_key: bytes | None,
    ) -> None:
        self.principal = principal
        self.request_id = request_id
        self.lines = lines
        self.idempotency_key = idempotency_key


def receive(
    request: falcon.asgi.Request, response: falcon.asgi.Response, merchants: Merchants
) -> Inbound:
    """Authenticate a request and prepare its header lines.

    Raises:
        ApiError: 401 for no or a wrong key; 400 for headers given twice or too long.
    """
    request_id = new_request_id()
    response.set_header("request-id", request_id)
    found: dict[bytes, bytes] = {}
    for name, value in request.scope["headers"]:
        if name in _FORWARDED:
            if name in found:
                _twice(name)
            found[name] = value
    principal = authenticate(found.get(b"authorization"), merchants)
    key = found.get(b"idempotency-key")
    if key is not None and not 0 < len(key) <= _KEY_CHARS_MAX:
        raise ApiError.invalid(
            f"Idempotency-Key must have 1 to {_KEY_CHARS_MAX} characters.",
            code="idempotency_key_invalid",
        )
    trace = found.get(b"traceparent")
    if trace is None or _TRACEPARENT.fullmatch(trace) is None:
        found[b"traceparent"] = new_traceparent()
    lines = [b"%b: %b\r\n" % pair for pair in found.items()]
    lines.append(b"request-id: %b\r\n" % request_id.encode("ascii"))
    return Inbound(principal, request_id, lines, key)


def _twice(name: bytes) -> NoReturn:
    raise ApiError.invalid(f"The header {name.decode('ascii')} was given twice.", code=None)


def authenticate(header: bytes | None, merchants: Merchants) -> Principal:
    """The principal of an Authorization header: Bearer, or Basic with the key as user name."""
    if header is None:
        raise _unauthorized(
            "You did not provide an API key. Send it as 'Authorization: Bearer YOUR_KEY'."
        )
    scheme, _, value = header.partition(b" ")
    value = value.strip()
    if scheme != b"Bearer":
        scheme = scheme.lower()
        if scheme == b"basic":
            try:
                value = binascii.a2b_base64(value, strict_mode=True).partition(b":")[0]
            except binascii.Error:
                raise _unauthorized("The Authorization header is not valid Basic.") from None
        elif scheme != b"bearer":
            raise _unauthorized("Use 'Authorization: Bearer YOUR_KEY', or Basic.")
    principal = merchants.by_key(value.decode("latin-1"))
    if principal is None:
        raise _unauthorized("Invalid API Key provided.")
    return principal


def _unauthorized(message: str) -> ApiError:
    error = ApiError.unauthorized(message)
    error.headers["www-authenticate"] = 'Bearer realm="bailiwick"'
    return error


def new_traceparent() -> bytes:
    """A fresh W3C trace context, not sampled."""
    bits = os.urandom(24).hex()
    return f"00-{bits[:32]}-{bits[32:]}-00".encode("ascii")


def callback_lines(request: falcon.asgi.Request, request_id: str) -> list[bytes]:
    """Header lines of a provider's callback: all of them, as signatures may need any, but for
    those of the connection and our own."""
    lines = [
        b"%b: %b\r\n" % (name, value)
        for name, value in request.scope["headers"]
        if name not in _HOP_BY_HOP and not name.startswith(b"bailiwick-")
    ]
    lines.append(b"request-id: %b\r\n" % request_id.encode("ascii"))
    return lines
