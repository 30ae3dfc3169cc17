"""Keys as they are stored, claimed and refused."""

import msgspec


class StoredKey(msgspec.Struct, frozen=True):
    """A claimed idempotency key as stored."""

    request_hash: str
    operation: str
    object: str | None
    expand: str | None
    refused: str | None
    writer: int
    answer_status: int | None
    answer_body: str | None


class Claim(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key to claim together with a move."""

    identity: str
    key: str
    request_hash: str
    operation: str
    object: str | None = None
    expand: str | None = None


class Refuse(msgspec.Struct, frozen=True):
    """One row of ``key_refuse.sql``, tombstones for keys of one merchant: the fields are those
    of ``refuse_row``, in order. The first one's writer token is ``writer``, the next one's higher
    by one, and so on. ``key``: known where the node was shown the request, and then of one."""

    merchant: str
    livemode: bool
    key: str | None
    refused: str
    writer: int
    now_ms: int
    identities: list[str]
    request_hashes: list[str]

    @property
    def id(self) -> str:
        """Any number of rows may be in a batch."""
        return str(self.writer)
