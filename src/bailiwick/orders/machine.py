"""The machine of orders, put together: what carries out all that asks a provider."""

from collections.abc import Callable

from bailiwick.delivery.webhooks import Endpoints
from bailiwick.idempotency.requests import Answer, Idempotency, IdempotentRequest
from bailiwick.idempotency.rows import StoredKey
from bailiwick.idempotency.tombstones import Tombstones
from bailiwick.orders.executor import AttemptExecutor
from bailiwick.orders.idempotent_command import IdempotentCommand
from bailiwick.orders.kinds import Kinds
from bailiwick.orders.row_builder import RowBuilder
from bailiwick.routing.gateways import Gateways
from bailiwick.store.database import Store
from bailiwick.topology.snapshot import World


class Machine:
    """A node's orders: who makes, changes and ends them uses this.

    Attributes:
        node: the number of the node whose orders they are.
        keys: what was claimed, and what is under way.
        command: carries out what a verb decides.
    """

    def __init__(
        self,
        node: int,
        store: Store,
        gateways: Gateways,
        endpoints: Endpoints,
        world: Callable[[], World],
        kinds: Kinds,
        deadline_s: float,
    ) -> None:
        self.node = node
        self.store = store
        self.gateways = gateways
        self.endpoints = endpoints
        self.kinds = kinds
        self._world = world
        self.rows = RowBuilder(node, gateways, endpoints, world, kinds)
        self.executor = AttemptExecutor(self)
        self.keys = Idempotency(store, deadline_s, self._in_progress)
        self.tombstones = Tombstones(store, self.keys)
        self.command = IdempotentCommand(store, self.executor, self.rows, self.keys)

    @property
    def world(self) -> World:
        """The World in force."""
        return self._world()

    async def _in_progress(self, asked: IdempotentRequest, stored: StoredKey) -> Answer:
        """The object of a key without an answer, as it is now; not stored."""
        body = await self.kinds.as_it_is(self.store, stored.object or "")
        return Answer(200, body, replayed=True)
