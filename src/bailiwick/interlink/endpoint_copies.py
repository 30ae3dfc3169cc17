"""Webhook endpoints as nodes have them, and access brings them from one to another. Pure.

No node calls another, and each has all endpoints. A change is made at one node, which gives the row
a higher version; access takes the row from there to the others. Of two rows with one id the higher
version is right, wherever and whenever they meet: a node that was away catches up. A deleted
endpoint leaves a row that says so, for ``TOMBSTONE_MS``.
"""

from collections.abc import Iterable, Mapping

import msgspec

from bailiwick.base.sealing import Stamp

PATH = "/internal/webhook_endpoints"
KIND = "endpoints"
"""Of the seals; see ``base.sealing``."""
FRESH_MS = 300_000
"""How far the time of a question may be from the node's."""
ASKERS_MAX = 4_096
ROWS_MAX = 50
VERSIONS_MAX = 1_000
QUESTION_BYTES_MAX = 4 * 1024 * 1024
TOMBSTONE_MS = 90 * 86_400_000
_RANDOM_BITS = 20


class EndpointRow(msgspec.Struct, frozen=True):
    """A webhook endpoint as it is stored; ``events``, ``details`` and ``old_secrets`` are JSON.

    Attributes:
        deleted_ms: when it was deleted, in milliseconds; all else that it had is gone then.
    """

    id: str
    merchant: str
    livemode: bool
    url: str
    secret: str
    events: str
    status: str
    created_ms: int
    details: str
    old_secrets: str
    version: int
    deleted_ms: int | None


class CopiesQuestion(Stamp, frozen=True, kw_only=True):
    """What access asks of a node: one of these, or a digest of all versions.

    Attributes:
        after: the versions of endpoints with higher ids than this.
        ids: the rows of these.
        rows: to be taken over, where the version here is lower.
    """

    after: str | None = None
    ids: list[str] | None = None
    rows: list[EndpointRow] | None = None


class CopiesAnswer(msgspec.Struct, frozen=True):
    """What a node tells."""

    digest: str = ""
    versions: dict[str, int] = {}
    rows: list[EndpointRow] = []


def version_at(now_ms: int, chance: int) -> int:
    """The version of a change: later ones are higher, and no two are equal but by an accident of
    one in a million within a millisecond. ``chance``: random bits."""
    return now_ms << _RANDOM_BITS | chance & (1 << _RANDOM_BITS) - 1


def newest(found: Mapping[int, Mapping[str, int]], ids: Iterable[str]) -> dict[str, int]:
    """Of each id, the number of a node that has its highest version; ids that none has are left
    out. ``found``: by node, the versions that it has."""
    holders: dict[str, int] = {}
    for each in ids:
        having = [(versions[each], -node) for node, versions in found.items() if each in versions]
        if having:
            holders[each] = -max(having)[1]
    return holders


def behind(
    found: Mapping[int, Mapping[str, int]], holders: Mapping[str, int]
) -> dict[int, set[str]]:
    """What each node lacks, or has in a lower version than the holder; nodes that lack nothing
    are left out."""
    lacking: dict[int, set[str]] = {}
    for each, holder in holders.items():
        best = found[holder][each]
        for node, versions in found.items():
            if versions.get(each, -1) < best:
                lacking.setdefault(node, set()).add(each)
    return lacking
