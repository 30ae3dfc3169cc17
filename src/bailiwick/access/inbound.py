"""What access reads of a request's head: who asks, how fast, and which lines go on to the node."""

import os
import re
import time
from typing import NoReturn

import falcon.asgi

from bailiwick.access import browser
from bailiwick.access.front import Front
from bailiwick.access.rates import Counted
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import new_request_id
from bailiwick.base.keys import check_key
from bailiwick.interlink import head
from bailiwick.interlink.authenticate import authenticate
from bailiwick.topology.merchants import Principal

_ELSEWHERE = {name.lower().encode("ascii"): name for name in head.OTHERS}
# Everything else, X-Forwarded-For and our own Bailiwick-* names included, stays behind.
_READ = frozenset(
    (
        b"authorization",
        b"bailiwick-timing",
        b"content-type",
        b"idempotency-key",
        b"stripe-account",
        b"stripe-context",
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


class Inbound:
    """One authenticated request.

    Attributes:
        lines: header lines for the node, each ending in CRLF.
        idempotency_key: each byte as one character, see ``base.keys.check_key``; None: it has none.
    """

    __slots__ = ("idempotency_key", "lines", "principal", "request_id")

    def __init__(
        self,
        principal: Principal,
        request_id: str,
        lines: list[bytes],
        idempotency_key: str | None,
    ) -> None:
        self.principal = principal
        self.request_id = request_id
        self.lines = lines
        self.idempotency_key = idempotency_key


def receive(
    front: Front,
    request: falcon.asgi.Request,
    response: falcon.asgi.Response,
    *,
    public: bool = False,
) -> Inbound:
    """Authenticate a request, prepare its header lines and count it for its rate.

    ``public``: a publishable key will do, and a browser may read what is answered to it.

    Raises:
        ApiError: 401 for no or a wrong key; 403 for a publishable one elsewhere, and for a
            restricted one without the permission; 400 for headers given twice, for what is no
            idempotency key, for another account than the key's, for a version that is not
            rendered, and for parameters of a POST in its address, where nobody would read them;
            429 above the rate.
    """
    request_id = new_request_id()
    response.set_header("request-id", request_id)
    found: dict[bytes, bytes] = {}
    for name, value in request.scope["headers"]:
        if name in _READ:
            if name in found:
                _twice(name)
            found[name] = value
    presented = found.get(b"authorization")
    try:
        principal = authenticate(
            None if presented is None else presented.decode("latin-1"),
            front.world.merchants,
            public=public,
        )
    except ApiError:
        if public:
            browser.share(response)
        raise
    if public and principal.kind != "secret":
        browser.share(response)
    if principal.grants is not None:
        query = request.scope["query_string"]
        front.permissions.require(principal, request.uri_template or "", request.method, query)
    for raw, other in _ELSEWHERE.items():
        if raw in found:
            raise head.refuse_other_account(other)
    asked = found.get(b"stripe-version")
    if asked is not None:
        version = head.version_of(principal, asked.decode("latin-1"))
        response.set_header("stripe-version", version)
    raw_key = found.get(b"idempotency-key")
    key = None
    if raw_key is not None:
        key = raw_key.decode("latin-1")
        check_key(key)
    trace = found.get(b"traceparent")
    if trace is None or _TRACEPARENT.fullmatch(trace) is None:
        found[b"traceparent"] = new_traceparent()
    lines = [b"%b: %b\r\n" % pair for pair in found.items()]
    lines.append(b"request-id: %b\r\n" % request_id.encode("ascii"))
    client = request.scope.get("client")
    counted = front.rates.count(principal, client[0] if client else "", time.monotonic())
    if counted.policy:
        response.set_header("ratelimit-policy", counted.policy)
        response.set_header("ratelimit", counted.left)
    if counted.name:
        raise _too_fast(counted)
    if request.method == "POST" and request.scope["query_string"]:
        raise _in_the_address(request.scope["query_string"])
    return Inbound(principal, request_id, lines, key)


def _twice(name: bytes) -> NoReturn:
    raise ApiError.invalid(f"The header {name.decode('ascii')} was given twice.", code=None)


def _in_the_address(query: bytes) -> ApiError:
    name = query.decode("latin-1").partition("&")[0].partition("=")[0][:100]
    return ApiError.invalid(
        f"Received a parameter in the address: {name}. Those of a POST go into its body.",
        param=name,
        code="parameter_unknown",
    )


_TOO_MANY = {"merchant": "of this merchant", "key": "with this API key", "payer": "from this payer"}


def _too_fast(counted: Counted) -> ApiError:
    error = ApiError.invalid(
        f"Too many requests {_TOO_MANY[counted.name]}. Slow down and retry.",
        code="rate_limit",
        status=429,
    )
    error.retry = True
    error.headers["retry-after"] = str(counted.wait_s)
    if counted.policy:
        error.headers["ratelimit-policy"] = counted.policy
        error.headers["ratelimit"] = counted.left
    return error


def new_traceparent() -> bytes:
    """A fresh W3C trace context, not sampled."""
    bits = os.urandom(24).hex()
    return f"00-{bits[:32]}-{bits[32:]}-00".encode("ascii")


def target_of(request: falcon.asgi.Request) -> bytes:
    """Path and query as the client sent them."""
    scope = request.scope
    path: bytes = scope["raw_path"]
    query: bytes = scope["query_string"]
    return path + b"?" + query if query else path


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
