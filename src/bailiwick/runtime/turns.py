"""Turns: so many at a time for each key, in this process; others wait in order."""

import asyncio


class _Place:
    """Of one key: who holds it or waits for it, and where they wait once there are several."""

    __slots__ = ("count", "turn")

    def __init__(self) -> None:
        self.count = 0
        self.turn: asyncio.Semaphore | None = None


class _Hold:
    """One turn, from the wait for it to its end; used once."""

    __slots__ = ("_key", "_place", "_turns")

    def __init__(self, turns: "Turns", key: str) -> None:
        self._turns = turns
        self._key = key

    async def __aenter__(self) -> None:
        turns, key = self._turns, self._key
        place = turns.held.get(key)
        if place is None:
            place = turns.held[key] = _Place()
        self._place = place
        place.count += 1
        if place.turn is None:
            if place.count == 1:
                return  # alone: most are, and a semaphore would be made for nothing
            place.turn = asyncio.Semaphore(turns.most - 1)
        try:
            await place.turn.acquire()
        except BaseException:
            self._gone()
            raise

    async def __aexit__(self, *_: object) -> None:
        if self._place.turn is not None:
            self._place.turn.release()
        self._gone()

    def _gone(self) -> None:
        self._place.count -= 1
        if not self._place.count:
            del self._turns.held[self._key]


class Turns:
    """At most ``most`` holders of each key at once; what nobody holds or wants is forgotten."""

    def __init__(self, most: int = 1) -> None:
        self.most = most
        self.held: dict[str, _Place] = {}

    def hold(self, key: str) -> _Hold:
        """Wait for a turn: ``async with turns.hold(key)``."""
        return _Hold(self, key)
