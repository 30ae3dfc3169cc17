"""Banks' dialects and instructions for tests of ISO 8583."""

from typing import Any

from msgspec.structs import replace

from bailiwick.channels.bank_ascii import DIALECT as ASCII
from bailiwick.channels.bank_packed import DIALECT as PACKED
from bailiwick.channels.blocks.iso8583.bank import Bank
from bailiwick.channels.blocks.iso8583.codec import Message, pack, unpack
from bailiwick.channels.blocks.iso8583.dialect import Dialect
from bailiwick.channels.contract import Account, Context, Instruction, Operation, Profile, Reply
from bailiwick.channels.registry import channel

MAC_KEY = "0123456789ABCDEFFEDCBA9876543210"
OPTIONS = {"acquirer": "123456", "terminal": "TERM0001", "merchant": "MERCHANT0000001"}
NAMES = ("bank_ascii", "bank_packed")
AT = Context(1_790_000_000_123, 1_790_000_000_456)
LATER = Context(1_790_000_002_000, 1_790_000_002_000)
CHARGE = Instruction(Operation.CHARGE, "ch_a1", 1099, "EUR", payment_method="tok_9f", context=AT)


def account(base_url: str = "tcp://bank.test:7000", mac_key: str | None = MAC_KEY) -> Account:
    """An account at a bank; without ``mac_key`` messages have no code."""
    secrets = {} if mac_key is None else {"mac_key": mac_key}
    return Account("bank-1", base_url, secrets, options=OPTIONS)


def bank(name: str, **changes: Any) -> Bank:
    """A channel of this name, with some of its profile changed."""
    profile: Profile = replace(channel(name).profile, **changes)
    return Bank(profile)


def about(operation: Operation, **values: Any) -> Instruction:
    """An instruction about the charge above, as it is known: approved."""
    given: dict[str, Any] = {
        "provider_ref": "790000000456-A12345",
        "charge_reference": CHARGE.reference,
        "context": LATER,
        "original": AT,
        **values,
    }
    return Instruction(operation, "at_a1_2", 1099, "EUR", **given)


def reversal(**values: Any) -> Instruction:
    """A void of the charge above, which was never answered."""
    return about(Operation.VOID, provider_ref=None, **values)


def answered(dialect: Dialect, asked: bytes, code: str | None, **changes: str | None) -> Reply:
    """How a bank answers a message: what is in it, with the code; fields are ``f38="..."``, and
    None takes one away."""
    request = unpack(dialect, asked)
    fields = {number: value for number, value in request.fields.items() if number < 64}
    if code is not None:
        fields[39] = code
    for name, value in changes.items():
        fields.pop(int(name[1:]), None)
        if value is not None:
            fields[int(name[1:])] = value
    kind = f"{request.type[:2]}{int(request.type[2]) + 1}0"
    return Reply(0, {}, pack(dialect, Message(kind, fields)))


__all__ = [
    "ASCII", "AT", "CHARGE", "LATER", "MAC_KEY", "NAMES", "OPTIONS", "PACKED", "about", "account",
    "answered", "bank", "reversal",
]  # fmt: skip
