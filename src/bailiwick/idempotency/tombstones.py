"""Tombstones: a node's committed refusals of keys, for ever: others may serve them."""

from collections.abc import Sequence
from typing import Literal

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import new_token
from bailiwick.base.keys import Named
from bailiwick.idempotency import keys
from bailiwick.idempotency.keys import REFUSE
from bailiwick.idempotency.requests import (
    Answer,
    Idempotency,
    IdempotentRequest,
    Refused,
    first_write,
)
from bailiwick.idempotency.rows import Refuse
from bailiwick.store.database import Store

Fate = Refused | Literal["known", "mismatch", "unwritten"]
"""What became of a key that was to be refused: it is; it was used before, by the same request or
another; or nothing was written."""


class Tombstones:
    """Writes them."""

    def __init__(self, store: Store, keys: Idempotency) -> None:
        self._store = store
        self._keys = keys

    async def refuse(self, asked: IdempotentRequest, reason: str) -> Answer:
        """Commit a tombstone for a key, so that it may be served elsewhere, and say so.

        A key that was claimed before gets what it was told then: its payment is here.

        Raises:
            Refused: the tombstone is there.
            ApiError: 503, nothing could be written; 400, the key was used for another request.
        """
        (fate,) = await self.refuse_all([asked.named], reason, asked.key)
        if isinstance(fate, Refused):
            raise fate
        if fate != "unwritten" and (replayed := await self._keys.replay(asked)) is not None:
            return replayed
        raise ApiError.unavailable(
            "This node takes no new payments at the moment. Retry with the same Idempotency-Key."
        )

    async def refuse_all(
        self, named: Sequence[Named], reason: str, key: str | None = None
    ) -> list[Fate]:
        """The same for many keys, in one commit: each one's fate, in their order. ``key``: where
        it is known, of a single one."""
        rows, places = _grouped(named, reason, key)
        refused = Refused(reason)
        fates: list[Fate] = ["unwritten"] * len(named)
        queued = [self._store.write(REFUSE, row) for row in rows]
        for row, at, writing in zip(rows, places, queued, strict=True):
            try:
                written = await first_write(writing)
            except ApiError:
                continue
            for number, place in enumerate(at):
                if row.writer + number in written.tokens:
                    fates[place] = refused
                else:
                    fates[place] = await self._known(named[place])
        return fates

    async def _known(self, named: Named) -> Fate:
        """What is stored of a key that was not refused just now."""
        stored = await keys.find(self._store, named.identity)
        if stored is None:
            return "unwritten"
        if stored.request_hash != named.request_hash:
            return "mismatch"
        return "known" if stored.refused is None else Refused(stored.refused)


def _identity(placed: tuple[int, Named]) -> str:
    return placed[1].identity


def _grouped(
    named: Sequence[Named], reason: str, key: str | None
) -> tuple[list[Refuse], list[list[int]]]:
    """Rows for the keys of each merchant, and at which places of the list their keys stand."""
    places: dict[tuple[str, bool], list[int]] = {}
    # In the order of the index that they go into.
    for place, each in sorted(enumerate(named), key=_identity):
        places.setdefault((each.merchant, each.livemode), []).append(place)
    now = now_ms()
    rows = [
        Refuse(
            merchant,
            livemode,
            key,
            reason,
            new_token() >> 1,  # the next ones' tokens follow
            now,
            [named[place].identity for place in at],
            [named[place].request_hash for place in at],
        )
        for (merchant, livemode), at in places.items()
    ]
    return rows, list(places.values())
