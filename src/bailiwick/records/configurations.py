"""What a merchant configures for its payments everywhere: few rows, the same at every node.

The table is the truth; this is what a node has of it in memory, so that a payment need not read it.
"""

import asyncio
from typing import Any

import msgspec

from bailiwick.base.errors import ApiError
from bailiwick.base.objects import text
from bailiwick.store.changes import change
from bailiwick.store.database import Store


class Configuration(msgspec.Struct, frozen=True):
    """One row.

    Attributes:
        version: higher with each change; 0: it was never written.
    """

    id: str
    merchant: str
    livemode: bool
    created_ms: int
    details: dict[str, Any]
    version: int = 0


class Configurations:
    """All configurations of this node.

    Attributes:
        changing: held while rows are counted and made, or read and changed.
    """

    def __init__(self) -> None:
        self.changing = asyncio.Lock()
        self._by_id: dict[str, Configuration] = {}
        self._by_owner: dict[tuple[str, bool], list[Configuration]] = {}

    def get(self, identifier: str) -> Configuration | None:
        """One by id."""
        return self._by_id.get(identifier)

    def of(self, merchant: str, livemode: bool, prefix: str) -> list[Configuration]:
        """A merchant's of one kind, by the prefix of its ids, the newest first."""
        owned = self._by_owner.get((merchant, livemode), [])
        return [each for each in owned if each.id.startswith(f"{prefix}_")]

    async def load(self, store: Store) -> None:
        """Read the table again."""
        by_id: dict[str, Configuration] = {}
        by_owner: dict[tuple[str, bool], list[Configuration]] = {}
        for row in await store.rows("configuration_list"):
            values = list(row)
            values[4] = msgspec.json.decode(values[4])
            found = Configuration(*values)
            by_id[found.id] = found
            by_owner.setdefault((found.merchant, found.livemode), []).append(found)
        self._by_id, self._by_owner = by_id, by_owner

    async def put(self, store: Store, row: Configuration) -> None:
        """Write a row as it is to be; ``version``: as it was read.

        Raises:
            ApiError: 409, it was changed meanwhile.
        """
        written = await store.row(
            "configuration_put",
            row.id,
            row.merchant,
            row.livemode,
            row.created_ms,
            text(row.details),
            change(),
            row.version,
        )
        await self.load(store)
        if written is None:
            raise ApiError.conflict("This configuration is being changed. Retry.")
