"""Messages about the connection itself: sign-on, echo, sign-off, and the bank's own echo. Pure."""

from datetime import UTC, datetime

import msgspec

from bailiwick.channels.blocks.iso8583.bank import MAC_KEY
from bailiwick.channels.blocks.iso8583.codec import Message, pack, unpack
from bailiwick.channels.blocks.iso8583.dialect import Dialect
from bailiwick.channels.contract import Request

Key = tuple[str, ...]
"""What an answer is recognised by: its kind, and the fields that are as the request had them."""
_NETWORK = "08"
_TRACE = (7, 11)


def key_of(dialect: Dialect, message: Message) -> Key:
    """What a message is recognised by: the same for a request, its repeats and its answer."""
    numbers = dialect.match
    if message.type.startswith(_NETWORK):
        numbers = tuple(each for each in numbers if each in _TRACE)
    values = (message.fields.get(each, "") for each in numbers)
    # Requests and their answers differ in the third digit by one, repeats in the fourth.
    return (message.type[:2], str(int(message.type[2]) // 2), *values)


def asks(message: Message) -> bool:
    """Whether it is a request or an advice, and not an answer to one."""
    return int(message.type[2]) % 2 == 0


def key(request: Request) -> bytes | None:
    """By what the answers to a request are checked."""
    found = request.headers.get(MAC_KEY)
    return None if found is None else bytes.fromhex(found)


def about(
    dialect: Dialect, hello: Request, what: str, now_ms: int, number: int
) -> tuple[Message, bytes]:
    """A message about the connection, made of the channel's sign-on; ``what``: field 70."""
    message = unpack(dialect, hello.body)
    at = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%m%d%H%M%S")
    fields = {**message.fields, 7: at, 11: f"{number:06d}", 70: what}
    made = msgspec.structs.replace(message, fields=_without_code(fields))
    return made, pack(dialect, made, _signing(dialect, hello))


def echoed(dialect: Dialect, hello: Request, message: Message) -> bytes:
    """The answer to the bank's own message about the connection."""
    fields = {**message.fields, 39: "00"}
    made = Message("0810", _without_code(fields))
    return pack(dialect, made, _signing(dialect, hello))


def _signing(dialect: Dialect, hello: Request) -> bytes | None:
    signs = dialect.mac is not None and dialect.mac.network
    return key(hello) if signs else None


def _without_code(fields: dict[int, str]) -> dict[int, str]:
    return {number: value for number, value in fields.items() if number not in (64, 128)}
