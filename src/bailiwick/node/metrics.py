"""The node's metrics, in the units and names that Prometheus users expect."""

from bailiwick.node.service import Node
from bailiwick.runtime import tls
from bailiwick.runtime.telemetry import CONTENT_TYPE
from bailiwick.serving.route import METRICS

__all__ = ["CALLBACKS", "CONTENT_TYPE", "METRICS", "render"]

CALLBACKS = METRICS.counter(
    "node_callbacks_total", "Callbacks of providers, by what was done with them.", ["outcome"]
)
_INFLIGHT = METRICS.gauge("node_inflight", "Requests under way.")
_CAPACITY = METRICS.gauge("node_capacity", "Requests under way at which new ones are refused.")
_AT_WORK = METRICS.gauge("node_at_work", "Requests under way that do not wait for a provider.")
_LIMIT = METRICS.gauge("node_limit", "Requests at work at which new ones are refused; it adapts.")
_OWN = METRICS.gauge("node_own_seconds", "Time of recent new payments, their providers' left out.")
_SHED = METRICS.gauge("node_shed", "Requests answered 503 without a tombstone so far.")
_OPEN = METRICS.gauge("node_gateway_open", "1 while a gateway takes payments.", ["gateway"])
_TURNS = METRICS.gauge(
    "node_gateway_changes", "Changes of a gateway's usage state so far.", ["gateway", "state"]
)
_FAILURES = METRICS.gauge(
    "node_gateway_failure_ratio", "Share of failures among a gateway's last calls.", ["gateway"]
)
_CALLS = METRICS.gauge("node_gateway_calls", "Calls to a gateway so far.", ["gateway"])
_PREPARED = METRICS.gauge(
    "node_gateway_prepared_seconds",
    "How long what a gateway needs before payments is good; 0: it is lacking.",
    ["gateway", "preparation"],
)
_PREPARING = METRICS.gauge(
    "node_gateway_preparations",
    "How often it was obtained, or could not be, so far.",
    ["gateway", "preparation", "outcome"],
)
_BATCHES = METRICS.gauge("node_commits", "Group commits of a lane so far.", ["lane"])
_ROWS = METRICS.gauge("node_rows", "Rows written by a lane so far.", ["lane"])
_WAITING = METRICS.gauge("node_rows_waiting", "Rows that wait for the next commit.", ["lane"])
_LAG = METRICS.gauge("node_commit_seconds", "How long the last commit of a lane took.", ["lane"])
_RESOLVED = METRICS.gauge("node_resolved", "Attempts ended by the resolver so far.")
_DELIVERED = METRICS.gauge("node_webhooks_delivered", "Webhooks delivered so far.")
_UNDELIVERED = METRICS.gauge("node_webhooks_failed", "Tries of webhooks that failed so far.")
_DELIVERING = METRICS.gauge("node_webhooks_under_way", "Deliveries of webhooks under way.")
_SCREENED = METRICS.gauge(
    "node_screened", "Charges screened so far, by what decided.", ["reason", "outcome"]
)
_EPOCH = METRICS.gauge("node_epoch", "Epoch of the world in use.")
_WORLD_AGE = METRICS.gauge(
    "node_world_age_seconds", "Time since the world in use was known to be the newest."
)
_WORLD_UP = METRICS.gauge("node_world_connected", "1 while a broker pushes new epochs.")
_WORLD_NO = METRICS.gauge("node_world_refused", "Epochs that were refused so far.", ["reason"])
_TLS_REFUSED = METRICS.gauge("node_tls_refused", "TLS handshakes that failed.", ["reason"])
_TLS_EXPIRES = METRICS.gauge(
    "node_tls_expires_seconds", "When the first certificate ends, Unix time; 0 without TLS."
)
_RELAY_LAG = METRICS.gauge(
    "relay_lag_seconds", "Age of the oldest event that the broker does not have yet."
)
_RELAY_BACKLOG = METRICS.gauge("relay_backlog", "Events that the broker does not have yet.")
_RELAYED = METRICS.gauge("relay_published", "Events that the broker has taken so far.")
_PARKED = METRICS.gauge("relay_parked", "Events passed over because the broker refuses them.")


def render(node: Node) -> bytes:
    """The text of /metrics at this moment."""
    _INFLIGHT.set(node.load.inflight)
    _CAPACITY.set(node.load.capacity)
    _AT_WORK.set(node.load.at_work)
    _LIMIT.set(node.load.limit.now)
    _OWN.set(node.load.limit.own_ms / 1000)
    _SHED.set(node.load.shed)
    for gateway in node.gateways.all():
        _OPEN.labels(gateway=gateway.name).set(gateway.usage == "open")
        for state, count in gateway.noted().counts.items():
            _TURNS.labels(gateway=gateway.name, state=state).set(count)
        _FAILURES.labels(gateway=gateway.name).set(gateway.failures)
        _CALLS.labels(gateway=gateway.name).set(gateway.calls)
        for each in gateway.preparations.shown():
            of = {"gateway": gateway.name, "preparation": each["name"]}
            _PREPARED.labels(**of).set(each["lasts_s"])
            for outcome in ("obtained", "failed"):
                _PREPARING.labels(**of, outcome=outcome).set(each[outcome])
    for lane in node.store.lanes.values():
        _BATCHES.labels(lane=lane.name).set(lane.batches)
        _ROWS.labels(lane=lane.name).set(lane.rows)
        _WAITING.labels(lane=lane.name).set(lane.waiting)
        _LAG.labels(lane=lane.name).set(lane.lag_ms / 1000)
    _RESOLVED.set(node.resolver.resolved)
    _DELIVERED.set(node.deliverer.delivered)
    _UNDELIVERED.set(node.deliverer.failed)
    _DELIVERING.set(node.deliverer.slots.running)
    world = node.current.freshness()
    for (by, blocked), count in node.screener.counts.items():
        _SCREENED.labels(by, "blocked" if blocked else "passed").set(count)
    _EPOCH.set(world.epoch)
    _WORLD_AGE.set(world.stale_s)
    _WORLD_UP.set(bool(world.connected))
    for reason, count in world.refused.items():
        _WORLD_NO.labels(reason=reason).set(count)
    for reason, count in list(tls.REFUSED.items()):
        _TLS_REFUSED.labels(reason=reason).set(count)
    _TLS_EXPIRES.set(tls.expires())
    if node.relay is not None:
        _RELAY_LAG.set(node.relay.lag_s)
        _RELAY_BACKLOG.set(node.relay.backlog.waiting)
        _RELAYED.set(node.relay.published)
        _PARKED.set(node.relay.backlog.parked)
    return METRICS.render()
