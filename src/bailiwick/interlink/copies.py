"""Rows of which each node has all, as access brings them from one node to another. Pure.

What a merchant configures (webhook endpoints, payment method configurations) is needed wherever
its payments are, and no node calls another. A change is made at one node, which gives the row a
higher version; access takes the row from there to the others. Of two rows with one id the higher
version is right, wherever and whenever they meet: a node that was away catches up. What is deleted
leaves a row that says so, for ``TOMBSTONE_MS``.
"""

from collections.abc import Iterable, Mapping

import msgspec

from bailiwick.base.sealing import Stamp

PATH = "/internal/copies"
KIND = "copies"
"""Of the seals; see ``base.sealing``."""
FRESH_MS = 300_000
"""How far the time of a question may be from the node's."""
ASKERS_MAX = 4_096
ROWS_MAX = 50
VERSIONS_MAX = 1_000
QUESTION_BYTES_MAX = 4 * 1024 * 1024
TOMBSTONE_MS = 90 * 86_400_000
_RANDOM_BITS = 20


class Row(msgspec.Struct, frozen=True):
    """A row as nodes tell it.

    Attributes:
        row: all of it, as a JSON object of the table's columns.
    """

    id: str
    version: int
    row: str


class CopiesQuestion(Stamp, frozen=True, kw_only=True):
    """What access asks of a node: one of these about one table, or the digests of all tables.

    Attributes:
        of: the table's name; its statements are called ``<table>_digest``, ``_versions``,
            ``_rows`` and ``_copy``.
        after: the versions of rows with higher ids than this.
        ids: the rows of these.
        rows: to be taken over, where the version here is lower.
    """

    of: str = ""
    after: str | None = None
    ids: list[str] | None = None
    rows: list[Row] | None = None


class CopiesAnswer(msgspec.Struct, frozen=True):
    """What a node tells.

    Attributes:
        digests: by table, what is equal where two nodes have the same.
    """

    digests: dict[str, str] = {}
    versions: dict[str, int] = {}
    rows: list[Row] = []


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
