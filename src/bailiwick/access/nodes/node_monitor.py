"""All nodes' usage states at this access process, and the loop that asks for them."""

import asyncio
import contextlib
import time
from collections.abc import Mapping

import msgspec
import structlog

from bailiwick.access.nodes.forward import HopError, HopLimits, NodeClient
from bailiwick.base.clock import now_ms
from bailiwick.interlink.usage_report import Report, Thresholds, Usage, UsageTracker
from bailiwick.runtime.tls import Outgoing
from bailiwick.topology.parts import Thresholds as Defaults

POLL_SECONDS = 1.0
_SOON_SECONDS = 0.2
_POLL_TIMEOUT_S = 1.0
SHEDDING_MS = 2_000
"""How long a node that sheds is asked about keys first: asking one that has room costs a hop."""

log = structlog.get_logger()
_decoder = msgspec.json.Decoder(Usage)


def monotonic_ms() -> int:
    """The clock of reports."""
    return time.monotonic_ns() // 1_000_000


class NodeMonitor:
    """All nodes' reports, and what they amount to.

    Requests for usage state have a connection of their own: with every other one busy, a
    loaded node would otherwise look like a dead one.
    """

    def __init__(self, urls: Mapping[int, str], tls: Outgoing | None = None) -> None:
        self._tls = tls
        self._thresholds: Thresholds = Defaults()
        self._reports: dict[int, Report] = {}
        self._watches: dict[int, UsageTracker] = {}
        self._raw: dict[int, bytes] = {}
        self._sent: dict[int, int] = {}
        self._out: dict[int, int] = {}
        self._shed_ms: dict[int, int] = {}
        self._ahead_ms: dict[int, int] = {}
        self._clients: dict[int, NodeClient] = {}
        self.set_nodes(urls)

    def set_nodes(self, urls: Mapping[int, str], thresholds: Thresholds | None = None) -> None:
        """Ask these nodes (number -> url) from now on, and judge them so."""
        self._thresholds = thresholds or self._thresholds
        for number in [n for n in self._clients if n not in urls]:
            self._clients.pop(number).close()
            self._reports.pop(number, None)
            self._watches.pop(number, None)
            self._raw.pop(number, None)
            self._sent.pop(number, None)
            self._shed_ms.pop(number, None)
            self._ahead_ms.pop(number, None)
        for number, url in urls.items():
            known = self._clients.get(number)
            fresh = NodeClient(url, HopLimits(connections=1, waiting=0), tls=self._tls)
            if known is None or (known.host, known.port) != (fresh.host, fresh.port):
                if known is not None:
                    known.close()
                self._clients[number] = fresh
            self._watches.setdefault(number, UsageTracker(now_ms()))

    def observe(self, number: int, raw: bytes | None) -> None:
        """Take in the ``Bailiwick-Usage`` header of an answer; nonsense is ignored."""
        if raw is None or number not in self._watches:
            return
        known = self._reports.get(number)
        if known is not None and known.failure is None and raw == self._raw.get(number):
            # Under load the same report comes with many answers: it is only seen to be fresh.
            self._take(number, Report(known.usage, monotonic_ms()))
            return
        try:
            usage = _decoder.decode(raw)
        except msgspec.DecodeError:
            return
        if usage.node == number:
            self._raw[number] = raw
            self._sent[number] = 0
            if usage.shedding:
                self._shed_ms[number] = monotonic_ms()
            self._take(number, Report(usage, monotonic_ms()))

    def failed(self, number: int, reason: str) -> None:
        """Note that a node could not be reached."""
        if number not in self._watches:
            return
        known = self._reports.get(number)
        usage, at_ms = (known.usage, known.at_ms) if known else (None, 0)
        self._take(number, Report(usage, at_ms, reason))

    def _take(self, number: int, report: Report) -> None:
        self._reports[number] = report
        self._see(number, fresh=True)

    def _see(self, number: int, *, fresh: bool = False) -> str:
        watch = self._watches.get(number)
        if watch is None:
            return "stale: not in the topology"
        state = watch.history.state
        report = self._reports.get(number)
        verdict = watch.see(report, self._thresholds, monotonic_ms(), now_ms(), fresh=fresh)
        if watch.history.state != state:
            log.info("node_usage", node=number, state=watch.history.state, reason=verdict)
        return verdict

    def report(self, number: int) -> Report | None:
        """The last report of a node."""
        return self._reports.get(number)

    def verdict(self, number: int) -> str:
        """``open``, or why a node's usage state does not meet the first condition now."""
        return self._see(number)

    def verdicts(self) -> dict[int, str]:
        """Verdict per node number."""
        return {number: self._see(number) for number in self._clients}

    def watches(self) -> dict[int, UsageTracker]:
        """Each node's state with its history, as it is now."""
        for number in self._watches:
            self._see(number)
        return dict(self._watches)

    def shedding(self, number: int) -> bool:
        """Whether the node said lately that it refuses new payments because of its load. It says so
        between two refusals too: else a crowd would come in one by one each time, and be refused
        one by one, which is what overloads it most."""
        said = self._shed_ms.get(number)
        return said is not None and monotonic_ms() - said < SHEDDING_MS

    def silent(self, number: int) -> bool:
        """Whether a node did not answer lately; cheap."""
        report = self._reports.get(number)
        if report is None or report.failure is not None:
            return True
        return monotonic_ms() - report.at_ms > self._thresholds.stale_after_ms

    def has_room(self, number: int) -> bool:
        """Whether a node that sheds has room for one more, as far as this process can tell.

        The node decides. But for what it takes it should not have to wait until it has answered
        about what it does not take; and what it has to refuse by itself costs it ten times as much.
        So what was sent and not read there yet counts as taken.
        """
        report = self._reports.get(number)
        if report is None or report.usage is None:
            return False
        usage = report.usage
        taken = max(self._out.get(number, 0), usage.under_way + self._sent.get(number, 0))
        return usage.room + usage.under_way > taken

    def sent(self, number: int) -> None:
        """A payment was sent to a node; ``answered`` follows."""
        self._out[number] = self._out.get(number, 0) + 1
        self._sent[number] = self._sent.get(number, 0) + 1

    def answered(self, number: int) -> None:
        """It was answered, or will not be."""
        self._out[number] -= 1

    def answering(self) -> list[int]:
        """Nodes that reported lately, whatever they said."""
        now = monotonic_ms()
        return [
            number
            for number, report in self._reports.items()
            if report.usage is not None
            and report.failure is None
            and now - report.at_ms <= self._thresholds.stale_after_ms
        ]

    async def ask(self, number: int) -> None:
        """Ask one node for its usage state."""
        client = self._clients[number]
        asked_ms = now_ms()
        try:
            answer = await client.request("GET", b"/usage", timeout=_POLL_TIMEOUT_S)
        except HopError as error:
            if not error.busy:
                self.failed(number, error.reason)
            return
        if answer.status == 200:
            self.observe(number, answer.body)
            self._compare_clocks(number, answer.headers.get(b"bailiwick-clock"), asked_ms)
        else:
            self.failed(number, f"its usage state answered {answer.status}")

    def _compare_clocks(self, number: int, told: bytes | None, asked_ms: int) -> None:
        """Its time against the middle of ours: right to half of what the way takes."""
        if told is not None and told.isdigit() and len(told) < 16:
            self._ahead_ms[number] = int(told) - (asked_ms + now_ms()) // 2

    def clocks_ahead_ms(self) -> dict[int, int]:
        """How far each node's clock is ahead of this process's; negative: behind."""
        return dict(self._ahead_ms)

    def node_clock_ms(self, number: int) -> int:
        """A node's wall clock, as far as it is known; ours until it has told its own."""
        return now_ms() + self._ahead_ms.get(number, 0)

    async def ask_all(self) -> None:
        """Ask every node once, at the same time."""
        await self._ask(list(self._clients))

    async def _ask(self, numbers: list[int]) -> None:
        with contextlib.suppress(KeyError):  # a new world has just dropped one
            await asyncio.gather(*(self.ask(number) for number in numbers))

    def _unheard(self) -> list[int]:
        """Nodes that have never reported: they are just starting, perhaps."""
        return [number for number in self._clients if not self._heard(number)]

    def _heard(self, number: int) -> bool:
        report = self._reports.get(number)
        return report is not None and report.usage is not None

    async def run(self, seconds: float = POLL_SECONDS) -> None:
        """Ask for ever; those that were never heard of more often. Who is slow to answer delays
        the next round by the time limit of an answer at most."""
        due = time.monotonic()
        while True:
            now = time.monotonic()
            if now >= due:
                due = now + seconds
                await self.ask_all()
            else:
                await self._ask(self._unheard())
            left = max(0.05, due - time.monotonic())
            await asyncio.sleep(min(left, _SOON_SECONDS) if self._unheard() else left)

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()


def shown(node_monitor: NodeMonitor, names: Mapping[int, str]) -> list[dict[str, object]]:
    """Every node's usage state for operators: since when, why, its last report and changes."""
    found: list[dict[str, object]] = []
    now = monotonic_ms()
    ahead = node_monitor.clocks_ahead_ms()
    for number, watch in sorted(node_monitor.watches().items()):
        report = node_monitor.report(number)
        history = watch.history
        found.append(
            {
                "number": number,
                "name": names.get(number, str(number)),
                "state": history.state,
                "usage": watch.verdict,
                "since_ms": history.since_ms,
                "report": None if report is None else report.usage,
                "report_age_ms": None if report is None else max(0, now - report.at_ms),
                "clock_ahead_ms": ahead.get(number),
                "changes": history.changes,
            }
        )
    return found
