"""Messages in a stream of bytes: a length before each. Pure."""

from bailiwick.channels.blocks.iso8583.dialect import Framing


class BadStream(ValueError):
    """What stands where a length should be is none: nothing after it can be told apart."""


def framed(framing: Framing, message: bytes) -> bytes:
    """A message as it goes on the wire.

    Raises:
        ValueError: it is too long.
    """
    content = bytes.fromhex(framing.tpdu) + message
    if len(content) > framing.bytes_max:
        raise ValueError(f"a message of {len(content)} bytes is too long")
    return _length(framing, len(content)) + content


def _length(framing: Framing, content: int) -> bytes:
    number = content + (framing.size if framing.inclusive else 0)
    if framing.coding == "binary":
        return number.to_bytes(framing.size, "big")
    if framing.coding == "bcd":
        return bytes.fromhex(f"{number:0{2 * framing.size}d}")
    return f"{number:0{framing.size}d}".encode("ascii")


class Frames:
    """Takes what arrives on one connection, and gives whole messages."""

    def __init__(self, framing: Framing) -> None:
        self._framing = framing
        self._skipped = len(framing.tpdu) // 2
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are whole with these bytes, in order.

        Raises:
            BadStream: a length that is none, or more than the most.
        """
        self._buffer += data
        found = []
        size = self._framing.size
        while len(self._buffer) >= size:
            end = size + self._content(bytes(self._buffer[:size]))
            if len(self._buffer) < end:
                break
            found.append(bytes(self._buffer[size + self._skipped : end]))
            del self._buffer[:end]
        return found

    def _content(self, written: bytes) -> int:
        """How many bytes follow a length."""
        framing = self._framing
        if framing.coding == "binary":
            number = int.from_bytes(written, "big")
        else:
            digits = written.hex() if framing.coding == "bcd" else written.decode("latin-1")
            if not (digits.isascii() and digits.isdigit()):
                raise BadStream("a length that is no number")
            number = int(digits)
        number -= framing.size if framing.inclusive else 0
        # A length of nothing is what many banks keep a line alive by.
        if number < 0 or number > framing.bytes_max or 0 < number < self._skipped:
            raise BadStream("a length that no message has")
        return number
