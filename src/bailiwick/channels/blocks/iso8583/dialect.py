"""How one bank speaks ISO 8583: declared, so that codec and transport do the same for all. Pure.

The standard (ISO 8583:1987) fixes the numbers and formats of fields. Each bank has its own way to
write them, and its own choice of messages; that is its dialect.
"""

from typing import Literal

import msgspec

from bailiwick.channels.contract import Operation


class Framing(msgspec.Struct, frozen=True):
    """Where a message ends in the stream.

    Attributes:
        size: bytes of the length that stands before each message.
        coding: how it is written: a binary number (the first byte counts most), decimal digits in
            ASCII, or two of them in a byte.
        inclusive: it counts itself.
        tpdu: ten hexadecimal digits that stand between length and message (a transport address);
            in answers, five bytes of the bank's.
        bytes_max: no message is longer.
    """

    size: int = 2
    coding: Literal["binary", "ascii", "bcd"] = "binary"
    inclusive: bool = False
    tpdu: str = ""
    bytes_max: int = 4_096


class Mac(msgspec.Struct, frozen=True):
    """How messages are authenticated: in field 64, or 128 where there are fields above 64.

    Attributes:
        algorithm: ``x9.19``: the retail MAC (ANSI X9.19, ISO/IEC 9797-1 algorithm 3 with padding
            method 1), by a key of 16 bytes; ``aes-cmac``: NIST SP 800-38B, its first 8 bytes.
        secret: the name of the account's secret that is the key, in hexadecimal digits.
        required: the bank wants it of everybody. Else messages have one if there is a key.
        network: sign-on and echo have one too.
    """

    algorithm: Literal["x9.19", "aes-cmac"]
    secret: str = "mac_key"
    required: bool = True
    network: bool = False


class Kind(msgspec.Struct, frozen=True):
    """A kind of message that asks for something.

    Attributes:
        type: of the message the first time. A repeat has a 1 at its end.
        processing: the processing code, field 3.
    """

    type: str
    processing: str = "000000"


class Dialect(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """How a bank writes messages, and which.

    Attributes:
        digits: how numbers and the message's type are written: two digits a byte (``bcd``), or
            one character each, in the encoding of that name.
        text: the encoding of texts: ``ascii``, ``cp037``, ``cp500``.
        lengths: how the length of a field is written: ``bcd``, ``binary``, or an encoding.
        bitmap, binary: ``raw`` bytes, or hexadecimal digits in the encoding of texts.
        fields: formats that differ from the standard's, by number; see ``tables``.
        purchase, authorization, completion, refund, reversal: the messages of the operations. The
            last three are repeated until they are answered.
        token: the private field that names the card or account: a token that the bank has given
            out for it. No field that holds card data is ever sent.
        reference, original: private fields for our reference of the operation, and of the charge
            that it acts upon; None where the bank has no room for one.
        match: fields that an answer has as its request had them, and by which it is recognised.
        constant: fields that are the same in each message that asks for something.
        options: fields that are an option of the gateway, by the option's name.
        sign_on, echo, sign_off: field 70 of network messages; no ``sign_off``: none is sent.
        network: fields, beside those, that network messages have, by the option's name.
        approved, absent: codes in field 39: done; and to a reversal, that there is nothing of that
            kind.
        connections: how many are kept open.
    """

    framing: Framing = Framing()
    digits: str = "ascii"
    text: str = "ascii"
    lengths: str = "ascii"
    bitmap: Literal["raw", "hex"] = "raw"
    binary: Literal["raw", "hex"] = "raw"
    fields: dict[int, str] = {}
    purchase: Kind = Kind("0200")
    authorization: Kind = Kind("0100")
    completion: Kind = Kind("0220")
    refund: Kind = Kind("0220", "200000")
    reversal: str = "0420"
    token: int = 48
    reference: int | None = None
    original: int | None = None
    match: tuple[int, ...] = (7, 11, 37)
    constant: dict[int, str] = {}
    options: dict[str, int] = {}
    sign_on: str = "001"
    echo: str = "301"
    sign_off: str = "002"
    network: dict[str, int] = {}
    approved: frozenset[str] = frozenset({"00"})
    absent: frozenset[str] = frozenset({"25"})
    mac: Mac | None = None
    connections: int = 2

    def kind(self, operation: Operation, *, hold: bool) -> Kind:
        """The message that asks for an operation; ``hold``: a charge is only to be authorized."""
        if operation is Operation.CHARGE:
            return self.authorization if hold else self.purchase
        return self.completion if operation is Operation.CAPTURE else self.refund
