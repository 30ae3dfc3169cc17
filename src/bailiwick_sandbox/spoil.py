"""Answers that leave the peer in the dark about what was done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from bailiwick_sandbox.faults import Fault
from bailiwick_sandbox.web.exchange import Answer, Exchange, error

Spoil = Callable[[Exchange, Answer, Fault], Awaitable[None]]

INTERNAL: Final = error(500, "internal_error", "Something went wrong at the bank.")
_GARBAGE: Final = b'{"object":"charge","status":\x00\xff\xfe<html>not an answer'


async def _hang(exchange: Exchange, _good: Answer, fault: Fault) -> None:
    await exchange.hang(fault.params.hang_ms)


async def _internal(exchange: Exchange, _good: Answer, _fault: Fault) -> None:
    await exchange.answer(INTERNAL)


async def _reset(exchange: Exchange, _good: Answer, _fault: Fault) -> None:
    await exchange.reset()


async def _garbage(exchange: Exchange, good: Answer, _fault: Fault) -> None:
    await exchange.answer(good._replace(status=200, body=_GARBAGE))


async def _truncated(exchange: Exchange, good: Answer, _fault: Fault) -> None:
    await exchange.truncated(good)


async def _huge(exchange: Exchange, _good: Answer, fault: Fault) -> None:
    await exchange.huge(fault.params.bytes)


# Faults after which the peer cannot know what was done.
UNREADABLE: Final[dict[str, Spoil]] = {
    "charge_then_hang": _hang,
    "charge_then_500": _internal,
    "reset_after": _reset,
    "garbage": _garbage,
    "truncated": _truncated,
    "huge": _huge,
}
