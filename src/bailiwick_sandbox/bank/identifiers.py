"""Every kind of provider numbers its transactions in its own way, none of them like ours."""

from __future__ import annotations

import os
import time

from bailiwick_sandbox.config import Kind

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_BASE36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Numbering:
    """Gives out the ids of one provider; ``issued`` is how many the books already hold."""

    def __init__(self, kind: Kind, issued: int = 0) -> None:
        self.kind = kind
        self.issued = issued

    def next(self, now_ms: int) -> str:
        """A fresh id: unique because the count is in it, or by chance in 80 random bits."""
        self.issued += 1
        if self.kind == "large_domestic_bank":
            # Like a retrieval reference number: last digit of the year, day of the year, hour,
            # and a trace number (wider than its six digits, since this bank is fast).
            day = time.gmtime(now_ms // 1000)
            stamp = f"{day.tm_year % 10}{day.tm_yday:03d}{day.tm_hour:02d}"
            return f"{stamp}{self.issued:09d}"
        if self.kind == "small_domestic_bank":
            return f"TXN{self.issued:010d}{_luhn(self.issued)}"
        if self.kind == "foreign_bank":
            day = time.gmtime(now_ms // 1000)
            return f"FT{day.tm_year % 100:02d}{day.tm_yday:03d}{_base(self.issued, _BASE36, 7)}"
        random = int.from_bytes(os.urandom(10), "big")
        ulid = _base(now_ms, _CROCKFORD, 10) + _base(random, _CROCKFORD, 16)
        return ulid if self.kind == "domestic_platform" else f"GW-{ulid}"


def _base(number: int, alphabet: str, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, len(alphabet))
        digits.append(alphabet[digit])
    return "".join(reversed(digits))


def _luhn(number: int) -> int:
    total = 0
    for place, digit in enumerate(reversed(str(number))):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return -total % 10
