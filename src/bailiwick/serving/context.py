"""What a node offers to the routes of its resources."""

from typing import Protocol

from bailiwick.admission.load import Load
from bailiwick.delivery.webhooks import Endpoints
from bailiwick.geo.atlas import Atlas
from bailiwick.interlink.permissions import Permissions
from bailiwick.interlink.refusals import Refusals
from bailiwick.jurisdiction.home_history import HomeHistories
from bailiwick.orders.machine import Machine
from bailiwick.records.configurations import Configurations
from bailiwick.screening.screener import Screener
from bailiwick.serving.expansion import Expansion
from bailiwick.store.database import Store
from bailiwick.topology.snapshot import World
from bailiwick.wire.event_streams import Streams


class NodeContext(Protocol):
    """A node, as its routes see it.

    Attributes:
        machine: carries out all that asks a provider.
        private_addresses: webhook endpoints may have private addresses: for trying things out.
    """

    number: int
    name: str
    private_addresses: bool
    atlas: Atlas
    store: Store
    machine: Machine
    endpoints: Endpoints
    configurations: Configurations
    load: Load
    refusals: Refusals
    screener: Screener
    home_histories: HomeHistories
    expansion: Expansion
    streams: Streams
    permissions: Permissions

    @property
    def world(self) -> World:
        """The World in force."""
