"""Accounts over HTTP: of the World that the node goes by."""

from collections.abc import Iterable

from bailiwick.interlink.resource import OfWorld
from bailiwick.resources.accounts import RESOURCE
from bailiwick.serving.context import NodeContext
from bailiwick.serving.route import FromWorld, Mounted


def routes(node: NodeContext) -> Iterable[Mounted]:
    """Where accounts are served."""
    for path in RESOURCE.paths:
        if isinstance(path.methods.get("GET"), OfWorld):
            yield path.template, FromWorld(node, path), ""
