"""Messages to bytes and back, as a dialect has them. Pure; the fields are ``pyiso8583``'s work."""

import functools
import re
from typing import Any

import iso8583
import msgspec

from bailiwick.channels.blocks.iso8583 import mac as macs
from bailiwick.channels.blocks.iso8583.dialect import Dialect
from bailiwick.channels.blocks.iso8583.tables import Format, format_of, standard

_NUMBER = re.compile(r"[0-9]*")
_SIGNED = re.compile(r"[CD][0-9]*")
_TEXT = re.compile(r"[ -~]*")
_HEX = re.compile(r"(?:[0-9A-F]{2})*")
_SHAPES = {"n": _NUMBER, "x+n": _SIGNED, "b": _HEX}


class Unreadable(ValueError):
    """Bytes that are no message of this dialect."""


class Message(msgspec.Struct, frozen=True):
    """A message: its type, and its fields by number. Bits are hexadecimal digits; a fixed text has
    no spaces at its end."""

    type: str
    fields: dict[int, str]

    def answers(self, request: "Message") -> bool:
        """Whether its type is that of an answer to a request's, or to a repeat of it."""
        return self.type[:3] == f"{request.type[:2]}{int(request.type[2]) + 1}"


def pack(dialect: Dialect, message: Message, key: bytes | None = None) -> bytes:
    """A message as bytes; ``key``: it gets a code by that, in its last field.

    Raises:
        ValueError: a field that is not in the table, or a value that does not fit; the text names
            the field.
    """
    fields = dict(message.fields)
    if key is not None:
        fields[mac_field(message)] = "00" * macs.BYTES
    formats = formats_of(dialect)
    values: dict[str, str] = {"t": message.type}
    for number, value in fields.items():
        values[str(number)] = _written(number, formats.get(number), value)
    try:
        packed = bytes(iso8583.encode(values, _spec(dialect))[0])
    except iso8583.EncodeError as error:
        raise ValueError(str(error)) from None
    if key is None or dialect.mac is None:
        return packed
    covered = packed[: -_mac_bytes(dialect)]
    code = macs.mac_of(dialect.mac, key, covered)
    return covered + _bits(dialect, code)


def unpack(dialect: Dialect, data: bytes) -> Message:
    """A message from bytes.

    Raises:
        Unreadable: they are none.
    """
    try:
        values, _ = iso8583.decode(data, _spec(dialect))
        formats = formats_of(dialect)
        fields = {
            int(name): _read(int(name), formats[int(name)], value)
            for name, value in values.items()
            if name.isdigit() and name != "1"
        }
        found = Message(values["t"], fields)
    except Exception as error:  # what is not our own is of any kind
        raise Unreadable(type(error).__name__) from None
    if len(found.type) != 4 or not (found.type.isascii() and found.type.isdigit()):
        raise Unreadable("type")
    return found


def authentic(dialect: Dialect, data: bytes, key: bytes) -> bool:
    """Whether a message that can be read has a code that fits."""
    if dialect.mac is None:
        return False
    message = unpack(dialect, data)
    given = message.fields.get(mac_field(message))
    if given is None:
        return False
    covered = data[: -_mac_bytes(dialect)]
    return macs.fits(dialect.mac, key, covered, bytes.fromhex(given))


def mac_field(message: Message) -> int:
    """The field for the code: the last one that the message can have."""
    others = (number for number in message.fields if number != 128)
    return 128 if max(others, default=0) > 64 else 64


@functools.lru_cache(maxsize=64)
def formats_of(dialect: Dialect) -> dict[int, Format]:
    """The formats of a dialect's fields, by number."""
    own = {number: format_of(words) for number, words in dialect.fields.items()}
    return standard() | own


def _written(number: int, form: Format | None, value: str) -> str:
    """A value as the codec wants it: filled up where the field is fixed."""
    if form is None:
        raise ValueError(f"field {number} is not in the dialect's table")
    if form.fixed and form.kind == "n":
        value = value.rjust(form.most, "0")
    elif form.fixed and form.kind != "b":
        value = value.ljust(form.most)
    _check(number, form, value)
    return value


def _read(number: int, form: Format, value: str) -> str:
    _check(number, form, value)
    return value.rstrip(" ") if form.fixed and form.kind not in ("n", "b") else value


def _check(number: int, form: Format, value: str) -> None:
    size = len(value) // 2 if form.kind == "b" else len(value)
    right = size == form.most if form.fixed else size <= form.most
    if not right or _SHAPES.get(form.kind, _TEXT).fullmatch(value) is None:
        raise ValueError(f"field {number} cannot be {form.kind} of {form.most}")


def _mac_bytes(dialect: Dialect) -> int:
    return macs.BYTES if dialect.binary == "raw" else 2 * macs.BYTES


def _bits(dialect: Dialect, content: bytes) -> bytes:
    return content if dialect.binary == "raw" else content.hex().upper().encode(dialect.text)


@functools.lru_cache(maxsize=64)
def _spec(dialect: Dialect) -> dict[str, dict[str, Any]]:
    """A dialect in the words of ``pyiso8583``."""
    bitmap = "b" if dialect.bitmap == "raw" else dialect.text
    kind = "b" if dialect.digits == "bcd" else dialect.digits
    fixed = {"len_enc": "ascii", "len_type": 0, "max_len": 0}
    spec: dict[str, dict[str, Any]] = {
        "h": {"data_enc": "ascii", **fixed},
        "t": {"data_enc": kind, **fixed},
        "p": {"data_enc": bitmap, **fixed},
        "1": {"data_enc": bitmap, **fixed},
    }
    for number, form in formats_of(dialect).items():
        spec[str(number)] = _field(dialect, form)
    return spec


def _field(dialect: Dialect, form: Format) -> dict[str, Any]:
    # Two digits of a length are one byte where a byte holds two, or a number.
    packed = dialect.lengths in ("bcd", "binary")
    made: dict[str, Any] = {
        "data_enc": dialect.text,
        "len_enc": "b" if dialect.lengths == "binary" else dialect.lengths,
        "len_type": (form.prefix + 1) // 2 if packed else form.prefix,
        "max_len": form.most,
    }
    if form.kind == "b":
        if dialect.binary == "raw":
            made["data_enc"] = "b"
        else:
            made["max_len"] = 2 * form.most
    elif form.kind == "n":
        bcd = dialect.digits == "bcd"
        made["data_enc"] = "b" if bcd else dialect.digits
        if bcd:
            # Half a byte is left over where digits are odd in number: a 0 stands before them.
            made |= {"len_count": "nibbles", "left_pad": "0"}
    return made
