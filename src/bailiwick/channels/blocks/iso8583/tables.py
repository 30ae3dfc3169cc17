"""The fields of ISO 8583:1987 and how long they are. Pure data.

A format is ``n`` (digits), ``a``, ``an``, ``ans`` (text), ``x+n`` (C or D, then digits), ``z``
(tracks) or ``b`` (bits, counted in bytes here). ``..`` before a length: it is the most, and two
digits that tell the length stand before the field; ``...``: three do.
"""

import msgspec

_STANDARD = """
2 n ..19, 3 n 6, 4 n 12, 5 n 12, 6 n 12, 7 n 10, 8 n 8, 9 n 8, 10 n 8, 11 n 6, 12 n 6, 13 n 4,
14 n 4, 15 n 4, 16 n 4, 17 n 4, 18 n 4, 19 n 3, 20 n 3, 21 n 3, 22 n 3, 23 n 3, 24 n 3, 25 n 2,
26 n 2, 27 n 1, 28 x+n 9, 29 x+n 9, 30 x+n 9, 31 x+n 9, 32 n ..11, 33 n ..11, 34 ans ..28,
35 z ..37, 36 n ...104, 37 an 12, 38 an 6, 39 an 2, 40 an 3, 41 ans 8, 42 ans 15, 43 ans 40,
44 an ..25, 45 an ..76, 46 an ...999, 47 an ...999, 48 ans ...999, 49 n 3, 50 n 3, 51 n 3, 52 b 8,
53 n 16, 54 an ...120, 55 ans ...999, 56 ans ...999, 57 ans ...999, 58 ans ...999, 59 ans ...999,
60 ans ...999, 61 ans ...999, 62 ans ...999, 63 ans ...999, 64 b 8, 66 n 1, 67 n 2, 68 n 3, 69 n 3,
70 n 3, 71 n 4, 72 n 4, 73 n 6, 74 n 10, 75 n 10, 76 n 10, 77 n 10, 78 n 10, 79 n 10, 80 n 10,
81 n 10, 82 n 12, 83 n 12, 84 n 12, 85 n 12, 86 n 16, 87 n 16, 88 n 16, 89 n 16, 90 n 42, 91 an 1,
92 an 2, 93 an 5, 94 an 7, 95 an 42, 96 b 8, 97 x+n 17, 98 ans 25, 99 n ..11, 100 n ..11,
101 ans ..17, 102 ans ..28, 103 ans ..28, 104 ans ...100, 128 b 8
"""
_PRIVATE = "ans ...999"  # 105 to 127 are reserved for national and private use


class Format(msgspec.Struct, frozen=True):
    """How a field may look.

    Attributes:
        kind: see the module.
        most: characters, digits or bytes; exactly so many where it is ``fixed``.
        prefix: digits of the length before it; 0 where it is fixed.
    """

    kind: str
    most: int
    prefix: int

    @property
    def fixed(self) -> bool:
        """Whether it always has the same length."""
        return self.prefix == 0


def format_of(text: str) -> Format:
    """A format from words as in ``n ..19``.

    Raises:
        ValueError: it is none.
    """
    kind, length = text.split()
    if kind not in ("n", "a", "an", "ans", "x+n", "z", "b"):
        raise ValueError(f"{kind!r} is no format of a field")
    figures = length.lstrip(".")
    return Format(kind, int(figures), len(length) - len(figures))


def standard() -> dict[int, Format]:
    """The fields of the standard, by number."""
    found = {number: format_of(_PRIVATE) for number in range(105, 128)}
    for each in _STANDARD.replace("\n", " ").split(","):
        number, _, words = each.strip().partition(" ")
        found[int(number)] = format_of(words)
    return found
