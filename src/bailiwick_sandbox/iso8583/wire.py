"""Messages of ISO 8583:1987 as this bank writes them, in one of two styles."""

from __future__ import annotations

import hmac
from typing import Any, Final, NamedTuple

import iso8583
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

MAC_BYTES: Final = 8
MESSAGE_BYTES_MAX: Final = 4_096
SIGN_ON, SIGN_OFF, ECHO = "001", "002", "301"
REFERENCE, ORIGINAL = "126", "127"

_DIGITS: Final = {3: 6, 4: 12, 7: 10, 11: 6, 12: 6, 13: 4, 22: 3, 25: 2, 49: 3, 70: 3, 90: 42}
_WORDS: Final = {37: 12, 38: 6, 39: 2, 41: 8, 42: 15}
_PRIVATE: Final = (48, 125, 126, 127)


class Unreadable(ValueError):
    """Bytes that are no message."""


class Style(NamedTuple):
    """How messages are written; ``token``: the field that names the card or account."""

    packed: bool
    text: str
    token: str
    tpdu: bytes = b""


STYLES: Final = {
    "ascii": Style(packed=False, text="ascii", token="48"),
    "packed": Style(packed=True, text="cp500", token="125", tpdu=bytes.fromhex("6000000003")),
}


def _spec(style: Style) -> dict[str, dict[str, Any]]:
    digits = "b" if style.packed else "ascii"
    lengths = "bcd" if style.packed else "ascii"

    def field(kind: str, prefix: int, most: int) -> dict[str, Any]:
        made: dict[str, Any] = {
            "data_enc": style.text if kind == "text" else digits,
            "len_enc": lengths,
            "len_type": (prefix + 1) // 2 if style.packed else prefix,
            "max_len": most,
        }
        if kind == "digits" and style.packed:
            made |= {"len_count": "nibbles", "left_pad": "0"}
        return made

    whole = {"data_enc": "b", "len_enc": "ascii", "len_type": 0, "max_len": 0}
    spec: dict[str, dict[str, Any]] = {
        "h": {**whole, "data_enc": "ascii"},
        "t": {**whole, "data_enc": digits},
        "p": dict(whole),
        "1": dict(whole),
        "32": field("digits", 2, 11),
        "64": {**whole, "max_len": MAC_BYTES},
        "128": {**whole, "max_len": MAC_BYTES},
    }
    spec |= {str(number): field("digits", 0, most) for number, most in _DIGITS.items()}
    spec |= {str(number): field("text", 0, most) for number, most in _WORDS.items()}
    return spec | {str(number): field("text", 3, 999) for number in _PRIVATE}


_SPECS: Final = {style: _spec(style) for style in STYLES.values()}


def read(style: Style, data: bytes) -> dict[str, str]:
    """The fields of a message by number, its type under ``t``; raises Unreadable."""
    try:
        fields, _ = iso8583.decode(data, _SPECS[style])
    except (ValueError, KeyError) as error:
        raise Unreadable(type(error).__name__) from None
    return {name: value.strip() for name, value in fields.items() if name not in ("p", "1", "h")}


def write(style: Style, fields: dict[str, str], key: bytes | None) -> bytes:
    """A message as bytes; with a key it has a code."""
    given = {name: _filled(name, value) for name, value in fields.items()}
    if key is None:
        return bytes(iso8583.encode(given, _SPECS[style])[0])
    given[_last(given)] = "00" * MAC_BYTES
    covered = bytes(iso8583.encode(given, _SPECS[style])[0])[:-MAC_BYTES]
    return covered + _mac(style, key, covered)


def genuine(style: Style, data: bytes, fields: dict[str, str], key: bytes) -> bool:
    """Whether a message has a code that holds."""
    if _last(fields) not in fields:
        return False
    return hmac.compare_digest(_mac(style, key, data[:-MAC_BYTES]), data[-MAC_BYTES:])


def frame(style: Style, message: bytes) -> bytes:
    """A message with its length before it."""
    content = style.tpdu + message
    size = len(content)
    written = bytes.fromhex(f"{size:04d}") if style.packed else size.to_bytes(2, "big")
    return written + content


def length(style: Style, written: bytes) -> int:
    """How many bytes follow a length; raises Unreadable."""
    if not style.packed:
        size = int.from_bytes(written, "big")
    elif written.hex().isdigit():
        size = int(written.hex())
    else:
        raise Unreadable("length")
    if size > MESSAGE_BYTES_MAX or 0 < size < len(style.tpdu):
        raise Unreadable("length")
    return size


def _filled(name: str, value: str) -> str:
    number = int(name) if name.isdigit() else 0
    if number in _DIGITS:
        return value.rjust(_DIGITS[number], "0")
    return value.ljust(_WORDS[number]) if number in _WORDS else value


def _last(fields: dict[str, str]) -> str:
    return "128" if any(name.isdigit() and 64 < int(name) < 128 for name in fields) else "64"


def _mac(style: Style, key: bytes, message: bytes) -> bytes:
    """AES-CMAC in the one style, the retail MAC (ANSI X9.19) in the other."""
    if not style.packed:
        code = CMAC(algorithms.AES(key))
        code.update(message)
        return code.finalize()[:MAC_BYTES]
    left, right = TripleDES(key[:8] * 3), TripleDES(key[8:] * 3)
    blocks = message + bytes(-len(message) % 8)
    chained = Cipher(left, modes.CBC(bytes(8))).encryptor().update(blocks)[-8:]
    back = Cipher(right, modes.ECB()).decryptor().update(chained)
    return Cipher(left, modes.ECB()).encryptor().update(back)
