"""Counts of one access process, kept as plain numbers and rendered only when asked for.

Labels are routes, statuses and node names: nothing of a request's content.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest

from bailiwick.runtime import tls
from bailiwick.topology.current import Freshness

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Counters that the hot path touches with one dictionary step each."""

    def __init__(
        self,
        verdicts: Callable[[], Mapping[str, str]],
        world: Callable[[], Freshness],
        changes: Callable[[], Mapping[tuple[str, str], int]],
        clocks: Callable[[], Mapping[str, int]],
    ) -> None:
        self.requests: defaultdict[tuple[str, str, int], int] = defaultdict(int)
        self.assigned: defaultdict[str, int] = defaultdict(int)
        self.refusals: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.failures: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._hops: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(_BUCKETS) + 1))
        self._hop_sums: defaultdict[str, float] = defaultdict(float)
        self._verdicts = verdicts
        self._changes = changes
        self._clocks = clocks
        self._world = world
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def hop(self, node: str, seconds: float) -> None:
        """Note how long a node took to answer."""
        self._hops[node][bisect_left(_BUCKETS, seconds)] += 1
        self._hop_sums[node] += seconds

    def collect(self) -> Iterable[Metric]:
        """What Prometheus reads."""
        requests = CounterMetricFamily(
            "bailiwick_access_requests",
            "Requests by route and status",
            labels=["method", "route", "status"],
        )
        for (method, route, status), count in list(self.requests.items()):
            requests.add_metric([method, route, str(status)], count)
        yield requests
        assigned = CounterMetricFamily(
            "bailiwick_access_assigned", "New payments by the node they went to", labels=["node"]
        )
        for node, count in list(self.assigned.items()):
            assigned.add_metric([node], count)
        yield assigned
        for name, text, label, counts in (
            ("refusals", "Refusals of new payments by a node", "reason", self.refusals),
            ("hop_failures", "Requests to a node without an answer", "phase", self.failures),
        ):
            family = CounterMetricFamily(f"bailiwick_access_{name}", text, labels=["node", label])
            for (node, value), count in list(counts.items()):
                family.add_metric([node, value], count)
            yield family
        yield self._hop_family()
        usage = GaugeMetricFamily(
            "bailiwick_access_node_open", "1 when a node's usage state is open", labels=["node"]
        )
        for node, verdict in self._verdicts().items():
            usage.add_metric([node], 1.0 if verdict == "open" else 0.0)
        yield usage
        changes = CounterMetricFamily(
            "bailiwick_access_node_changes",
            "Changes of a node's usage state",
            labels=["node", "state"],
        )
        for (node, state), count in self._changes().items():
            changes.add_metric([node, state], count)
        yield changes
        clocks = GaugeMetricFamily(
            "bailiwick_access_node_clock_ahead_seconds",
            "How far a node's clock is ahead of this process's",
            labels=["node"],
        )
        for node, ahead_ms in self._clocks().items():
            clocks.add_metric([node], ahead_ms / 1000)
        yield clocks
        yield from self._world_families()
        refused = CounterMetricFamily(
            "bailiwick_access_tls_refused", "TLS handshakes that failed", labels=["reason"]
        )
        for reason, count in list(tls.REFUSED.items()):
            refused.add_metric([reason], count)
        yield refused
        until = GaugeMetricFamily(
            "bailiwick_access_tls_expires_seconds",
            "When the first certificate ends, Unix time; 0 without TLS",
        )
        until.add_metric([], tls.expires())
        yield until

    def _world_families(self) -> Iterable[Metric]:
        world = self._world()
        for name, text, value in (
            ("epoch", "Epoch of the world in use", world.epoch),
            (
                "world_age_seconds",
                "Time since the world in use was known to be the newest",
                world.stale_s,
            ),
            ("world_connected", "1 while a broker pushes new epochs", bool(world.connected)),
        ):
            gauge = GaugeMetricFamily(f"bailiwick_access_{name}", text)
            gauge.add_metric([], value)
            yield gauge
        refused = CounterMetricFamily(
            "bailiwick_access_world_refused", "Epochs that were refused", labels=["reason"]
        )
        for reason, count in world.refused.items():
            refused.add_metric([reason], count)
        yield refused

    def _hop_family(self) -> Metric:
        hops = HistogramMetricFamily(
            "bailiwick_access_hop_seconds", "Time a node took to answer", labels=["node"]
        )
        for node, counts in list(self._hops.items()):
            total, buckets = 0, []
            for bound, count in zip((*map(str, _BUCKETS), "+Inf"), counts, strict=True):
                total += count
                buckets.append((bound, float(total)))
            hops.add_metric([node], buckets, self._hop_sums[node])
        return hops

    def render(self) -> bytes:
        """The text exposition format."""
        return generate_latest(self._registry)
