"""Words that stand nowhere else, the shapes that they may take on their way, and the search.

All words of one set begin with the set's mark, so that one search for the mark finds them all.
"""

import base64
import binascii
import re
import secrets
import struct
import time
import zlib
from collections.abc import Iterator
from typing import NamedTuple

_LETTERS = "bcdfghjkmnpqrstvwxz"  # no vowels: no word of any language, and no hex digits alone
_MARK, _REST = 11, 8
_INFLATED_MAX = 16 << 20
_CONTEXT = 60
_COMPRESSED = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")
# How base64 begins where gzip or zlib data begins.
_COMPRESSED_BASE64 = re.compile(rb"(?:H4sI|eNr|eJ[wxyz]|eAE|eF)[A-Za-z0-9+/_-]{12,}={0,2}")


class Hit(NamedTuple):
    """A word that was found: of which field, in which shape, and what stands around it first."""

    field: str
    shape: str
    context: str


class Canaries:
    """One set of words, each of them for one field."""

    def __init__(self) -> None:
        self.made = time.time()
        self.mark = _word(_MARK)
        self.fields: dict[str, str] = {}
        # In India, where no other test has anybody; too few digits to be a card's.
        self.ip = f"49.36.{100 + secrets.randbelow(150)}.{100 + secrets.randbelow(150)}"
        self.latitude = f"{20 + secrets.randbelow(4)}.{_digits(5)}"
        self.longitude = f"{75 + secrets.randbelow(4)}.{_digits(5)}"
        self._needles: list[tuple[str, str, bytes]] = []
        degrees = {"latitude": self.latitude, "longitude": self.longitude}
        for field, text in {"": self.mark, "ip_address": self.ip, **degrees}.items():
            self._needles += [(field, shape, data) for shape, data in shapes(text)]
        for field, text in degrees.items():
            for order in "<>":
                self._needles.append((field, "double", struct.pack(f"{order}d", float(text))))

    def __call__(self, field: str) -> str:
        """The field's word: 19 small letters."""
        if field not in self.fields:
            self.fields[field] = self.mark + _word(_REST)
        return self.fields[field]

    @property
    def coordinates(self) -> str:
        """A point, as a request gives it."""
        return f"{self.latitude},{self.longitude}"

    def find(self, data: bytes) -> list[Hit]:
        """Where the words stand in bytes, in those compressed in them too."""
        hits = self._plain(data)
        for inner in inflated(data):
            hits += [Hit(field, f"{shape}, compressed", context)
                     for field, shape, context in self._plain(inner)]  # fmt: skip
        return hits

    def fields_in(self, data: bytes) -> set[str]:
        """Which fields' words stand in bytes."""
        return {hit.field for hit in self.find(data)}

    def _plain(self, data: bytes) -> list[Hit]:
        hits: dict[tuple[str, str], Hit] = {}
        for field, shape, needle in self._needles:
            at = data.find(needle)
            while at >= 0:
                name = field or self._field_at(data, at, shape)
                if (name, shape) not in hits:
                    context = data[max(0, at - _CONTEXT) : at + len(needle) + _CONTEXT]
                    hits[name, shape] = Hit(name, shape, context.decode("ascii", "replace"))
                at = data.find(needle, at + len(needle))
        return list(hits.values())

    def _field_at(self, data: bytes, at: int, shape: str) -> str:
        for field, word in self.fields.items():
            whole = dict(shapes(word))[shape]
            # A mark without a letter in hex looks the same in capitals.
            if data[at : at + len(whole)].lower() == whole.lower():
                return field
        return "(cut off)"


def _word(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def _digits(length: int) -> str:
    return "".join(secrets.choice("123456789") for _ in range(length))


def shapes(text: str) -> Iterator[tuple[str, bytes]]:
    """Ways in which a text may be written; each begins like those of what begins with it."""
    plain = text.encode()
    yield "plain", plain
    if text.upper() != text:
        yield "capitals", text.upper().encode()
    yield "hex", plain.hex().encode()
    yield "HEX", plain.hex().upper().encode()
    yield "percent", "".join(f"%{byte:02x}" for byte in plain).encode()
    yield "PERCENT", "".join(f"%{byte:02X}" for byte in plain).encode()
    yield "json escapes", "".join(f"\\u{byte:04x}" for byte in plain).encode()
    yield "JSON escapes", "".join(f"\\u{byte:04X}" for byte in plain).encode()
    yield "utf-16", text.encode("utf-16-le")
    yield "UTF-16", text.encode("utf-16-be")
    for before in range(3):
        yield f"base64 after {before}", _base64_within(plain, before)


def _base64_within(plain: bytes, before: int) -> bytes:
    """What base64 makes of a text that stands ``before`` (modulo 3) bytes after a beginning,
    without the characters that its neighbours have a part in."""
    encoded = base64.b64encode(b"\0" * before + plain)
    known = (before + len(plain)) * 8 // 6
    return encoded[-(-before * 8 // 6) : known]


def inflated(data: bytes) -> Iterator[bytes]:
    """What gzip and zlib streams in bytes hold, those in base64 included."""
    for found in _COMPRESSED.finditer(data):
        yield from _inflate(memoryview(data)[found.start() :])
    for found in _COMPRESSED_BASE64.finditer(data):
        text = found[0].rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
        try:
            decoded = base64.b64decode(text[: len(text) // 4 * 4] + _rest(text))
        except binascii.Error:
            continue
        yield from _inflate(memoryview(decoded))


def _rest(text: bytes) -> bytes:
    """The last group, filled up; one character alone says nothing."""
    left = len(text) % 4
    return text[len(text) - left :] + b"=" * (4 - left) if left > 1 else b""


def _inflate(data: memoryview) -> Iterator[bytes]:
    # In pieces: what is cut off, or followed by something else, is read as far as it goes.
    stream = zlib.decompressobj(wbits=47)
    found = bytearray()
    try:
        for at in range(0, len(data), 4096):
            found += stream.decompress(data[at : at + 4096], _INFLATED_MAX - len(found))
            if stream.eof or len(found) >= _INFLATED_MAX:
                break
    except zlib.error:
        pass
    if found:
        yield bytes(found)
