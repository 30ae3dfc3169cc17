"""What travels over the broker and what may go wrong; nothing here imports the NATS client."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import msgspec


class BusError(Exception):
    """The broker did not do what was asked; the message names the remedy where there is one."""


class BusUnavailable(BusError):
    """The broker does not answer. What was asked may or may not have happened."""


class BusRefused(BusError):
    """This very message is refused, whoever asks and how often; others may pass."""


class BusConflict(BusError):
    """Compare-and-swap: another message was stored first; nothing was stored for us."""


class Receipt(msgspec.Struct, frozen=True):
    """What the broker says of a stored message."""

    sequence: int
    duplicate: bool


class StreamState(msgspec.Struct, frozen=True):
    """A stream's size; ``created`` tells a stream from its successor of the same name."""

    messages: int
    bytes: int
    first: int
    last: int
    created: str


class Message(msgspec.Struct, frozen=True):
    """A message with what the stream knows of it.

    Attributes:
        sequence: in the stream; 0 when it came through none.
        deliveries: how often a consumer has been given it; 0 without a consumer.
        pending: messages that the consumer has yet to be given after this one.
    """

    subject: str
    data: bytes
    sequence: int = 0
    headers: Mapping[str, str] = {}
    deliveries: int = 0
    pending: int = 0
    handle: Any = None

    async def ack(self) -> None:
        """Done with: never deliver it again. Lost with the connection: be ready for repeats."""
        await self._answer("ack")

    async def nak(self, delay_s: float = 0.0) -> None:
        """Not done: deliver it again after a delay."""
        await self._answer("nak", delay_s or None)

    async def term(self) -> None:
        """Give it up: never deliver it again, and say so."""
        await self._answer("term")

    async def _answer(self, verb: str, *arguments: object) -> None:
        # A connection lost now means a repeat later, which the receiver is ready for.
        if self.handle is not None:
            with contextlib.suppress(Exception):
                await getattr(self.handle, verb)(*arguments)
