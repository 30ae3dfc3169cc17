"""The usage state of nodes, as one access process knows it.

It rides on every answer of a node (``Bailiwick-Usage``) and is asked for each second. It is a
belief of this process only: it decides where a payment goes only while nothing can move yet,
never for a request that may move money.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Protocol

import msgspec

from bailiwick.access.forward import HopError, HopLimits, NodeClient

OPEN = "open"
POLL_SECONDS = 1.0
_POLL_TIMEOUT_S = 1.0


class Thresholds(Protocol):
    """The first condition, as the topology sets it."""

    @property
    def inflight_max_ratio(self) -> float: ...
    @property
    def error_rate_max(self) -> float: ...
    @property
    def database_lag_max_ms(self) -> int: ...
    @property
    def stale_after_ms(self) -> int: ...


class Usage(msgspec.Struct, frozen=True):
    """What a node reports of itself.

    Attributes:
        inflight, capacity: requests under way, and how many it takes at once.
        error_rate: share (0 to 1) of its recent requests that failed by its own fault.
        database_lag_ms: how long its latest commit batch took to come through.
        draining: it takes no new payments.
    """

    node: int
    inflight: int = 0
    capacity: int = 1
    error_rate: float = 0.0
    database_lag_ms: int = 0
    draining: bool = False
    epoch: int = 0


class Report(msgspec.Struct, frozen=True):
    """The last report of a node and when (monotonic milliseconds) it came.

    Attributes:
        failure: why the node could not be asked since then, else None.
    """

    usage: Usage | None
    at_ms: int
    failure: str | None = None


def verdict(report: Report | None, thresholds: Thresholds, now_ms: int) -> str:
    """``open``, or why a node's usage state does not meet the first condition."""
    if report is None or report.usage is None:
        because = f": {report.failure}" if report is not None and report.failure else ""
        return f"stale: no report yet{because}"
    if report.failure is not None:
        return f"unreachable: {report.failure}"
    age_ms = now_ms - report.at_ms
    if age_ms > thresholds.stale_after_ms:
        return f"stale: last report {age_ms / 1000:.1f} s ago"
    usage = report.usage
    if usage.draining:
        return "draining"
    if usage.inflight >= thresholds.inflight_max_ratio * usage.capacity:
        return f"overloaded: {usage.inflight} of {usage.capacity} requests under way"
    if usage.error_rate > thresholds.error_rate_max:
        return f"failing: {usage.error_rate:.0%} of recent requests"
    if usage.database_lag_ms > thresholds.database_lag_max_ms:
        return f"database lag {usage.database_lag_ms} ms"
    return OPEN


def monotonic_ms() -> int:
    """The clock of reports."""
    return time.monotonic_ns() // 1_000_000


_decoder = msgspec.json.Decoder(Usage)


class Board:
    """All nodes' reports, and the loop that asks for them.

    Requests for usage state have a connection of their own: with every other one busy, a
    loaded node would otherwise look like a dead one.
    """

    def __init__(self, urls: Mapping[int, str]) -> None:
        self._reports: dict[int, Report] = {}
        self._clients: dict[int, NodeClient] = {}
        self.set_nodes(urls)

    def set_nodes(self, urls: Mapping[int, str]) -> None:
        """Ask these nodes (number -> url) from now on."""
        for number in [n for n in self._clients if n not in urls]:
            self._clients.pop(number).close()
            self._reports.pop(number, None)
        for number, url in urls.items():
            known = self._clients.get(number)
            fresh = NodeClient(url, HopLimits(connections=1, waiting=0))
            if known is None or (known.host, known.port) != (fresh.host, fresh.port):
                if known is not None:
                    known.close()
                self._clients[number] = fresh

    def observe(self, number: int, raw: bytes | None) -> None:
        """Take in the ``Bailiwick-Usage`` header of an answer; nonsense is ignored."""
        if raw is None:
            return
        try:
            usage = _decoder.decode(raw)
        except msgspec.DecodeError:
            return
        if usage.node == number:
            self._reports[number] = Report(usage, monotonic_ms())

    def failed(self, number: int, reason: str) -> None:
        """Note that a node could not be reached."""
        known = self._reports.get(number)
        usage, at_ms = (known.usage, known.at_ms) if known else (None, 0)
        self._reports[number] = Report(usage, at_ms, reason)

    def report(self, number: int) -> Report | None:
        """The last report of a node."""
        return self._reports.get(number)

    def verdict(self, number: int, thresholds: Thresholds) -> str:
        """The verdict on one node now."""
        return verdict(self._reports.get(number), thresholds, monotonic_ms())

    def verdicts(self, thresholds: Thresholds, now_ms: int | None = None) -> dict[int, str]:
        """Verdict per node number."""
        now = monotonic_ms() if now_ms is None else now_ms
        return {n: verdict(self._reports.get(n), thresholds, now) for n in self._clients}

    def answering(self, thresholds: Thresholds) -> list[int]:
        """Nodes that reported lately, whatever they said."""
        now = monotonic_ms()
        return [
            number
            for number, report in self._reports.items()
            if report.usage is not None
            and report.failure is None
            and now - report.at_ms <= thresholds.stale_after_ms
        ]

    async def ask(self, number: int) -> None:
        """Ask one node for its usage state."""
        client = self._clients[number]
        try:
            answer = await client.request("GET", b"/usage", timeout=_POLL_TIMEOUT_S)
        except HopError as error:
            if not error.busy:
                self.failed(number, error.reason)
            return
        if answer.status == 200:
            self.observe(number, answer.body)
        else:
            self.failed(number, f"its usage state answered {answer.status}")

    async def ask_all(self) -> None:
        """Ask every node once, at the same time."""
        await asyncio.gather(*(self.ask(number) for number in list(self._clients)))

    async def run(self, seconds: float = POLL_SECONDS) -> None:
        """Ask for ever. A node that is slow to answer delays no other."""
        while True:
            started = time.monotonic()
            with contextlib.suppress(KeyError):
                await self.ask_all()
            await asyncio.sleep(max(0.05, seconds - (time.monotonic() - started)))

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()
