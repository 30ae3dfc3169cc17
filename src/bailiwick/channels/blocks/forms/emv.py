"""Codes that a payer scans, as EMV writes them (EMV QR Code Specification for Payment Systems,
Merchant-Presented Mode, sections 3 and 4; Brazil's BR Code is one). Pure."""

import re

_CHARS_MAX = 512
_CURRENCY = "53"
_CHECKED = re.compile(r"6304[0-9A-Fa-f]{4}\Z")


def crc16(text: bytes) -> int:
    """CRC-16 with the polynomial 0x1021, which begins with 0xFFFF."""
    rest = 0xFFFF
    for byte in text:
        rest ^= byte << 8
        for _ in range(8):
            rest = (rest << 1 ^ (0x1021 if rest & 0x8000 else 0)) & 0xFFFF
    return rest


def fields(text: str) -> dict[str, str] | None:
    """The values of a template by their two digits, or None where it is none."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        head, size = text[at : at + 2], text[at + 2 : at + 4]
        if not (head + size).isascii() or not (head + size).isdigit() or len(size) != 2:
            return None
        value = text[at + 4 : at + 4 + int(size)]
        if len(value) != int(size) or head in found:
            return None
        found[head] = value
        at += 4 + int(size)
    return found


def code(text: str | None, currency: str) -> str | None:
    """A code as it is, or None where it is none, or one of another currency: a scanner would
    refuse it. ``currency``: its ISO 4217 number."""
    if text is None or not 8 < len(text) <= _CHARS_MAX or not text.isprintable():
        return None
    if not text.startswith("000201") or _CHECKED.search(text) is None:
        return None
    if int(text[-4:], 16) != crc16(text[:-4].encode()):
        return None
    found = fields(text)
    return None if found is None or found.get(_CURRENCY) != currency else text
