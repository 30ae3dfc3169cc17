"""The node's metrics, in the units and names that Prometheus users expect."""

from bailiwick.node.service import Node
from bailiwick.shell.telemetry import CONTENT_TYPE, Metrics

__all__ = ["CALLBACKS", "CONTENT_TYPE", "METRICS", "REFUSED", "render"]

METRICS = Metrics()
REFUSED = METRICS.counter(
    "node_refused_total", "New payments refused by tombstone, by reason.", ["reason"]
)
CALLBACKS = METRICS.counter(
    "node_callbacks_total", "Callbacks of providers, by what was done with them.", ["outcome"]
)
_INFLIGHT = METRICS.gauge("node_inflight", "Requests under way.")
_CAPACITY = METRICS.gauge("node_capacity", "Requests under way at which new ones are refused.")
_OPEN = METRICS.gauge("node_gateway_open", "1 while a gateway takes payments.", ["gateway"])
_FAILURES = METRICS.gauge(
    "node_gateway_failure_ratio", "Share of failures among a gateway's last calls.", ["gateway"]
)
_CALLS = METRICS.gauge("node_gateway_calls", "Calls to a gateway so far.", ["gateway"])
_BATCHES = METRICS.gauge("node_commits", "Group commits of a lane so far.", ["lane"])
_ROWS = METRICS.gauge("node_rows", "Rows written by a lane so far.", ["lane"])
_WAITING = METRICS.gauge("node_rows_waiting", "Rows that wait for the next commit.", ["lane"])
_LAG = METRICS.gauge("node_commit_seconds", "How long the last commit of a lane took.", ["lane"])
_RESOLVED = METRICS.gauge("node_resolved", "Attempts ended by the resolver so far.")
_DELIVERED = METRICS.gauge("node_webhooks_delivered", "Webhooks delivered so far.")
_UNDELIVERED = METRICS.gauge("node_webhooks_failed", "Tries of webhooks that failed so far.")


def render(node: Node) -> bytes:
    """The text of /metrics at this moment."""
    _INFLIGHT.set(node.load.inflight)
    _CAPACITY.set(node.load.capacity)
    for gateway in node.gateways.all():
        _OPEN.labels(gateway=gateway.name).set(gateway.usage == "open")
        _FAILURES.labels(gateway=gateway.name).set(gateway.failures)
        _CALLS.labels(gateway=gateway.name).set(gateway.calls)
    for lane in (node.store.creates, node.store.moves):
        _BATCHES.labels(lane=lane.name).set(lane.batches)
        _ROWS.labels(lane=lane.name).set(lane.rows)
        _WAITING.labels(lane=lane.name).set(lane.waiting)
        _LAG.labels(lane=lane.name).set(lane.lag_ms / 1000)
    _RESOLVED.set(node.resolver.resolved)
    _DELIVERED.set(node.deliverer.delivered)
    _UNDELIVERED.set(node.deliverer.failed)
    return METRICS.render()
