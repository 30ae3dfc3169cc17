"""What a resource declares to be searched (``search.py`` in its folder). Pure."""

import hashlib

import msgspec

from bailiwick.interlink.resource import Resource
from bailiwick.search.language import Kind


class Searchable(msgspec.Struct, frozen=True):
    """Objects of one resource that can be searched.

    Attributes:
        path: where.
        fields: what can be asked of them, and of which kind it is: ``amount`` and ``created`` are
            numbers, and all have both.
        always: those of them that every object has: that there is a value needs no term.
        fill: the statement that writes entries, given the ids of payments and records of all kinds.
    """

    resource: Resource
    path: str
    fields: dict[str, Kind]
    fill: str
    always: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """As errors name what is searched: ``payment_intents``."""
        return self.resource.path.rpartition("/")[2]


def form(statements: list[str]) -> str:
    """Names what entries are made by: when that changes, all of them are made again."""
    return hashlib.sha256("\0".join(statements).encode()).hexdigest()[:32]
