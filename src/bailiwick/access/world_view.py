"""/v1/topology: what a client may know of the world, by the kind of its key."""

from typing import Any

import msgspec

from bailiwick.topology.topology import Topology

_encode = msgspec.json.Encoder().encode


def for_servers(topology: Topology, verdicts: dict[str, str]) -> dict[str, Any]:
    """For a secret key: all of it, with addresses and usage states (by node name) of the nodes."""
    nodes = [
        {
            "number": node.number,
            "name": node.name,
            "title": node.title,
            "url": node.url,
            "usage": verdicts[node.name],
        }
        for node in topology.nodes
    ]
    return _document(topology, nodes)


class ForBrowsers:
    """For a publishable key: which places there are and whose they are, without addresses and
    states. It changes with the epoch only, so it is written once: any payer may ask for it."""

    def __init__(self) -> None:
        self._topology: Topology | None = None
        self._written = b""

    def written(self, topology: Topology) -> bytes:
        """The JSON document."""
        if topology is not self._topology:
            nodes = [
                {"number": node.number, "name": node.name, "title": node.title}
                for node in topology.nodes
            ]
            self._written = _encode(_document(topology, nodes))
            self._topology = topology
        return self._written


def _document(topology: Topology, nodes: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "object": "topology",
        "epoch": topology.epoch,
        "nodes": nodes,
        "jurisdictions": [
            {
                "places": rule.places,
                "nodes": [node.name for node in rule.nodes],
                "residency": rule.residency,
                "evidence": rule.evidence,
            }
            for rule in topology.rules
        ],
        "groups": {name: sorted(places) for name, places in topology.groups.items()},
    }
