"""Answers that the server gives by itself, before any application is asked."""

from typing import Any

import msgspec

from bailiwick.base.ids import new_request_id
from bailiwick.wire.heads import unrecognized

_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}
_FURTHER = {415: "accept-encoding: identity\r\n", 503: "retry-after: 1\r\n"}


def refusal(status: int, message: str) -> bytes:
    """A complete HTTP answer with a Stripe-shaped error, after which the connection ends."""
    retry = status in (408, 503)
    kind = "api_error" if status == 503 else "invalid_request_error"
    body = msgspec.json.encode({"error": {"type": kind, "message": message}})
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\n"
        "content-type: application/json\r\n"
        f"content-length: {len(body)}\r\n"
        f"request-id: {new_request_id()}\r\n"
        f"stripe-should-retry: {'true' if retry else 'false'}\r\n"
        + _FURTHER.get(status, "")
        + "connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


class Unrecognized:
    """Answers one request whose target no route can have. Not falcon's to decide: it takes
    ``//x`` for ``/x``."""

    def __init__(self, method: bytes, target: bytes) -> None:
        self._error = unrecognized(method.decode("ascii"), target.decode("ascii"))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = msgspec.json.encode(self._error.body())
        headers = (
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode("ascii")),
            (b"request-id", new_request_id().encode("ascii")),
            (b"stripe-should-retry", b"false"),
        )
        await send({"type": "http.response.start", "status": 404, "headers": headers})
        await send({"type": "http.response.body", "body": body})
