"""The routes that belong to no resource: what is ours, and what load balancers ask. Pure."""

from typing import Any, Literal

from msgspec import UNSET, UnsetType

from bailiwick.openapi.answers import OPEN, REF, WITH_BODY, Schema, errors
from bailiwick.serving.shapes import Count, Open, Place, Shape


class Explanation(Shape):
    """Where a payment would go, and why."""

    object: Literal["explanation"]
    location: Place
    assignment: Open
    routing: Open | None
    node: str | UnsetType = UNSET
    node_usage: Open | UnsetType = UNSET
    routing_unavailable: str | UnsetType = UNSET
    usage: dict[str, str] | UnsetType = UNSET


class TopologyNode(Shape):
    """A node; its address and usage state are for secret keys."""

    number: Count
    name: str
    title: str
    url: str | UnsetType = UNSET
    usage: str | UnsetType = UNSET


class Jurisdiction(Shape):
    """Which nodes places belong to."""

    places: list[str]
    nodes: list[str]
    residency: str
    evidence: str


class Topology(Shape):
    """Which nodes there are, and what belongs to them."""

    object: Literal["topology"]
    epoch: Count
    nodes: list[TopologyNode]
    jurisdictions: list[Jurisdiction]
    groups: dict[str, list[str]]


class Alive(Shape):
    """Whether a process lives, or is ready."""

    status: str


TYPES = (Explanation, Topology, Alive)


def _answered(said: str, schema: Schema) -> Schema:
    return {"description": said, "content": {"application/json": {"schema": schema}}}


_ALIVE: Schema = {"$ref": f"{REF}Alive"}
_KEYED = (*OPEN, "401", "403", "404", "429")

OTHERS: dict[str, dict[str, Any]] = {
    "/v1/explain": {
        "post": {
            "operationId": "post_explain",
            "tags": ["ours"],
            "description": "Where a payment would go and why; nothing is done.",
            "responses": errors([*_KEYED, *WITH_BODY, "421"])
            | {"200": _answered("The explanation.", {"$ref": f"{REF}Explanation"})},
        }
    },
    "/v1/topology": {
        "get": {
            "operationId": "get_topology",
            "tags": ["ours"],
            "responses": errors(_KEYED)
            | {"200": _answered("Nodes and rules.", {"$ref": f"{REF}Topology"})},
        }
    },
    "/openapi.json": {
        "get": {
            "operationId": "get_openapi",
            "tags": ["ours"],
            "security": [],
            "responses": errors(OPEN) | {"200": _answered("This.", {"type": "object"})},
        }
    },
    "/healthz": {
        "get": {
            "operationId": "get_healthz",
            "tags": ["load balancers"],
            "security": [],
            "responses": errors(("408", "414", "431", "500"))
            | {"200": _answered("It lives.", _ALIVE)},
        }
    },
    "/readyz": {
        "get": {
            "operationId": "get_readyz",
            "tags": ["load balancers"],
            "security": [],
            "responses": errors(("408", "414", "431", "500"))
            | {"200": _answered("Some node answers.", _ALIVE)}
            | {"503": _answered("None does.", _ALIVE)},
        }
    },
}
