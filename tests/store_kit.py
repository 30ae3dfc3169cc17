"""A node's store with short words for what tests read and write."""

import asyncio
from collections.abc import Callable
from typing import Any

from bailiwick.idempotency import keys
from bailiwick.idempotency.rows import StoredKey
from bailiwick.node import assembly
from bailiwick.orders import attempt_store
from bailiwick.orders.attempts import Attempt
from bailiwick.resources.payments import stored as payments
from bailiwick.resources.payments.rows import Payment
from bailiwick.resources.refunds import stored as refunds
from bailiwick.resources.refunds.rows import Refund
from bailiwick.store.database import Store
from bailiwick.store.lanes import Lane, Written


class NodeStore(Store):
    """The store of a node with all its resources."""

    def __init__(self, dsn: str, epoch: Callable[[], int], pool_max: int = 12) -> None:
        super().__init__(dsn, epoch, assembly.lanes(), pool_max)

    @property
    def creates(self) -> Lane[Any]:
        return self.lanes["create"]

    @property
    def moves(self) -> Lane[Any]:
        return self.lanes["move"]

    @property
    def refusals(self) -> Lane[Any]:
        return self.lanes["refuse"]

    def create(self, row: Any) -> "asyncio.Future[Written]":
        return self.write("create", row)

    def move(self, row: Any) -> "asyncio.Future[Written]":
        return self.write("move", row)

    def refuse(self, row: Any) -> "asyncio.Future[Written]":
        return self.write("refuse", row)

    async def key(self, identity: str) -> StoredKey | None:
        return await keys.find(self, identity)

    async def payment(self, identifier: str) -> Payment | None:
        return await payments.find(self, identifier)

    async def refund(self, identifier: str) -> Refund | None:
        return await refunds.find(self, identifier)

    async def attempt(self, identifier: str) -> Attempt | None:
        return await attempt_store.find(self, identifier)

    async def attempts(self, payment: str) -> list[Attempt]:
        return await attempt_store.of(self, payment)

    async def due(self, limit: int, lease_ms: int) -> list[Attempt]:
        return await attempt_store.due(self, limit, lease_ms)

    async def sweep(self, expired_ms: int) -> list[str]:
        return await attempt_store.sweep(self, expired_ms)
