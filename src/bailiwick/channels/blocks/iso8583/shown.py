"""Messages as plain data that may be kept. Pure."""

from base64 import b64encode
from collections.abc import Iterable

from bailiwick.channels.blocks import redact
from bailiwick.channels.blocks.iso8583.codec import Unreadable, unpack
from bailiwick.channels.blocks.iso8583.dialect import Dialect
from bailiwick.channels.contract import Exchange, Request


def legible(dialect: Dialect, data: bytes, secrets: Iterable[str] = ()) -> dict[str, object]:
    """A message with its fields by number, without secrets and card numbers, and its bytes where
    there are none of those in them."""
    known = tuple(secrets)
    try:
        message = unpack(dialect, data)
    except Unreadable:
        return {"unreadable": len(data)}
    fields = {
        str(number): redact.redact(value, known) for number, value in sorted(message.fields.items())
    }
    told: dict[str, object] = {"type": message.type, "fields": fields}
    if fields == {str(number): value for number, value in message.fields.items()}:
        told["base64"] = b64encode(data).decode()
    return told


def transcript(
    dialect: Dialect,
    request: Request,
    exchange: Exchange,
    secrets: Iterable[str] = (),
    secret_headers: Iterable[str] = (),
) -> dict[str, object]:
    """One exchange as plain data that may be kept: everything in it is redacted."""
    known = tuple(secrets)
    reply = exchange.reply
    return {
        "request": {
            "url": redact.redact(request.url, known),
            "headers": redact.headers(request.headers, known, secret_headers),
            "message": legible(dialect, request.body, known),
        },
        "phase": exchange.phase.value,
        "error": exchange.error,
        "reply": None if reply is None else {"message": legible(dialect, reply.body, known)},
    }
