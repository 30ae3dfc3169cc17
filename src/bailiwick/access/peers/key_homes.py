"""To which home the evidence of each recent idempotency key has led. Pure: the clock is an
argument.

A node refuses a key that comes again with other evidence, but only if the evidence leads to it.
Where it leads to another home, nobody but an access process that has seen the key can know.
"""

from hashlib import blake2b

from bailiwick.base.errors import ApiError
from bailiwick.jurisdiction.locate import Evidence

REMEMBERED_S = 600.0
"""For so long a key is known at the least, unless more came than are kept."""
GENERATION_MOST = 1 << 18
"""Keys of one generation; there are two, of some 170 bytes a key."""

Told = tuple[bytes, int]
"""A key's digest, with its evidence's and the number of its home in one number: see ``packed``."""


def key_digest(secret: bytes, merchant: str, livemode: bool, key: str) -> bytes:
    """128 bits of a merchant's key; keyed, as peers are told of it over the broker."""
    said = f"{merchant}\n{livemode:d}\n{key}".encode()
    return blake2b(said, digest_size=16, key=secret[:64]).digest()


def packed(secret: bytes, evidence: Evidence, home: int) -> int:
    """Home and a keyed digest of the evidence, which tells nobody where the payer is."""
    it = evidence
    said = f"{it.country}\n{it.subdivision}\n{it.coordinates}\n{it.ip_address}".encode()
    digest = blake2b(said, digest_size=6, key=secret[:64]).digest()
    return int.from_bytes(digest, "big") << 16 | home


class KeyHomes:
    """The keys of the last minutes, in two generations: when the newer one is full, or old enough,
    the older one is forgotten at once, so that nothing is ever searched or swept.

    Attributes:
        fresh: what peers are to be told, the oldest first. gone: what they are to forget.
    """

    def __init__(self, most: int = GENERATION_MOST, remembered_s: float = REMEMBERED_S) -> None:
        self._most = most
        self._remembered_s = remembered_s
        self._new: dict[bytes, int] = {}
        self._old: dict[bytes, int] = {}
        self._since: float | None = None
        self.fresh: list[Told] = []
        self.gone: list[Told] = []

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def claim(self, key: bytes, home: int, value: int, now: float) -> bool:
        """Note that a request with this key goes to its home; ``value``: as ``packed``.

        True if nobody here knew the key: then it is to be ``forgotten`` if it turns out not to
        have been used up.

        Raises:
            ApiError: 400, the key came with other evidence, which led to another home.
        """
        known = self._known(key, now)
        if known is None:
            self._put(key, value, now)
            self.fresh.append((key, value))
            return True
        if known & 0xFFFF != home and known >> 16 != value >> 16:
            raise ApiError.mismatch()
        return False

    def knows(self, key: bytes) -> bool:
        """Whether a key is remembered."""
        return key in self._new or key in self._old

    def forgotten(self, key: bytes, value: int) -> None:
        """The request was refused and its key is free: as if it had not come."""
        self._drop(key, value)
        self.gone.append((key, value))

    def learn(self, fresh: list[Told], gone: list[Told], now: float) -> None:
        """What a peer tells. What is known here already stays: two peers may have been first."""
        for key, value in fresh:
            if self._known(key, now) is None:
                self._put(key, value, now)
        for key, value in gone:
            self._drop(key, value)

    def _known(self, key: bytes, now: float) -> int | None:
        found = self._new.get(key)
        if found is None:
            found = self._old.get(key)
            if found is not None:  # used again, so it counts from now on
                self._put(key, found, now)
        return found

    def _put(self, key: bytes, value: int, now: float) -> None:
        if self._since is None:
            self._since = now
        elif now - self._since >= self._remembered_s or len(self._new) >= self._most:
            self._old, self._new, self._since = self._new, {}, now
        self._new[key] = value

    def _drop(self, key: bytes, value: int) -> None:
        for each in (self._new, self._old):
            if each.get(key) == value:
                del each[key]
