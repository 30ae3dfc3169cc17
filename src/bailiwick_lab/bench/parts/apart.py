"""A load from a process of its own that gives way to everything else on the machine.

What it sends must cost the measured load as little as a client elsewhere would: it has no part in
the event loop of the measured load, and the kernel runs it only when nobody else wants the core.
What is done for its requests has the usual priority, as it would have for any client's.

The process reads one `Order` from its standard input, says that it has begun, and goes on until
that input ends, so it also ends when we do. Then it waits for the answers that are still out and
prints a `Told`.

    python -m bailiwick_lab.bench.parts.apart
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal

import msgspec
import uvloop

from bailiwick_lab.bench.load import LIST, PAY, Endpoint, Load, LoadError, Outcome, Plan
from bailiwick_lab.servers.children import describe, life_tie

NICENESS: Final = 10
_LONG_S: Final = 36_000.0
"""The end comes from outside, long before."""
_BEGUN: Final = b"begun\n"
_ASKS: Final = {"payments": PAY, "lists": LIST}


class Order(msgspec.Struct, frozen=True):
    """What to send. ``rate``: so many a second, open; None: closed, as fast as answers come."""

    ask: Literal["payments", "lists"]
    endpoints: list[Endpoint]
    key: str
    clients: int
    rate: float | None = None


class Told(msgspec.Struct, frozen=True):
    """What came of it, from the first request to the last answer. ``references``: of payments that
    succeeded."""

    seconds: float
    sent: int
    succeeded: int
    dropped: int
    errors: dict[str, int]
    references: list[str]


class Apart:
    """Such a process that has begun."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    async def end(self) -> Told:
        """Send nothing more; return when the last answer is in. Raises LoadError."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        said = await self._process.stdout.read()
        status = await self._process.wait()
        try:
            return msgspec.json.decode(said, type=Told)
        except msgspec.DecodeError:
            raise LoadError(f"the load beside ended with {describe(status)}") from None


@asynccontextmanager
async def apart(order: Order) -> AsyncIterator[Apart]:
    """Begin. What has not been ended when the block is left is killed. Raises LoadError."""
    process = await asyncio.create_subprocess_exec(
        *life_tie(signal.SIGKILL), sys.executable, "-P", "-m", __spec__.name,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # an interrupt at the terminal is ours to pass on
    )  # fmt: skip
    try:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(msgspec.json.encode(order) + b"\n")
        if await process.stdout.readline() != _BEGUN:
            raise LoadError(f"the load beside ended with {describe(await process.wait())}")
        yield Apart(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _obey(order: Order) -> Told:
    load = Load(order.endpoints, order.key, _ASKS[order.ask])
    try:
        await load.connect(order.clients)
        outcome = await _sent(load, Plan(order.clients, _LONG_S, rate=order.rate))
    finally:
        load.close()
    return told(order, outcome)


async def _sent(load: Load, plan: Plan) -> Outcome:
    """Send until standard input ends. ``run`` begins before that can be noticed."""
    loop, source = asyncio.get_running_loop(), sys.stdin.fileno()

    def ended() -> None:
        loop.remove_reader(source)
        load.stop()

    loop.add_reader(source, ended)
    sys.stdout.buffer.write(_BEGUN)
    sys.stdout.buffer.flush()
    return await load.run(plan)


def told(order: Order, outcome: Outcome) -> Told:
    """What an outcome comes to (pure)."""
    return Told(
        seconds=round(outcome.seconds, 3),
        sent=outcome.sent,
        succeeded=len(outcome.references),
        dropped=outcome.dropped,
        errors=dict(outcome.errors),
        references=outcome.references if order.ask == "payments" else [],
    )


def main() -> None:
    """Read the order, obey, tell."""
    os.nice(NICENESS)
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    try:
        found = uvloop.run(_obey(order))
    except LoadError as error:
        sys.exit(str(error))
    sys.stdout.buffer.write(msgspec.json.encode(found))


if __name__ == "__main__":
    main()
