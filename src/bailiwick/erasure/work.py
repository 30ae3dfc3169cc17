"""One transaction of an erasure."""

from typing import Any

import asyncpg

from bailiwick.delivery.webhooks import Endpoints
from bailiwick.store.statements import statement


class Work:
    """What is written of one thing that is erased, all of it or nothing.

    Attributes:
        node: its number.
    """

    def __init__(
        self,
        connection: asyncpg.Connection,
        node: int,
        endpoints: Endpoints,
        run: str,
        by_whom: str,
    ) -> None:
        self.connection = connection
        self.node = node
        self.endpoints = endpoints
        self._run = run
        self._by_whom = by_whom

    async def rows(self, name: str, *args: object) -> list[Any]:
        """Run a named statement."""
        found: list[Any] = await self.connection.fetch(statement(name), *args)
        return found

    def wanting(self, merchant: str, livemode: bool, event: str) -> list[str]:
        """To whom an event is owed."""
        return self.endpoints.wanting(merchant, livemode, event) or []

    async def note(self, identifier: str, seq: int) -> None:
        """Note who has had something erased, of which the event ``seq`` tells. From now on this
        transaction may replace what events before that tell."""
        await self.rows("erase_begin")
        await self.rows("erase_note", identifier, seq, self._run, self._by_whom)

    async def noted(self, identifier: str) -> int | None:
        """The event that tells of its latest erasure."""
        seq: int | None = (await self.rows("erase_noted", identifier))[0][0]
        return seq

    async def forget_said(self, identifier: str) -> bool:
        """Forget what others have said of it: people in reviews, endpoints in answers; and by what
        it is found. Whether somebody had said something."""
        reviews = await self.rows("erase_reviews", identifier)
        tries = await self.rows("delivery_tries_blank", identifier)
        await self.rows("erase_terms", identifier)
        return bool(reviews or tries)
