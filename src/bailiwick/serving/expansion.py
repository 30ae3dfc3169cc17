"""Objects in place of their ids: ``expand``, over several levels and in lists too.

https://docs.stripe.com/expand. What refers to what is declared by the resources (``REFERENCES``),
and so is how objects are read (``LOADS``). What is read so is what is stored when the answer is
sent, also where a stored answer is sent again: what is personal stands in no answer that is kept.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from typing import Any

import msgspec

from bailiwick.base.errors import ApiError
from bailiwick.base.objects import Object, encode
from bailiwick.base.tenancy import Owner
from bailiwick.store.database import Store

LEVELS_MAX = 4
"""How deep, as the format has it; ``data`` of a list is one of them."""

OBJECTS_MAX = 12
"""Put into one object: with so many of the largest it is still what access takes from a node."""
LOADED_BYTES_MAX = 16 * 2**20
"""Of stored texts for one reference of one page; what is beyond stays an id."""
Load = Callable[[Store, Owner, int, Set[str]], Awaitable[Mapping[str, Object]]]
"""Read objects of one kind by their ids, for whom, and for which region (a node's number; 0: none
was told). What is not there, not theirs, or must stay in another region is left out."""
Tree = dict[str, Any]
"""What is to be expanded: a reference's name to the same of the object in its place."""


class Expansion:
    """The references of all kinds of objects.

    Args:
        references: an object's kind to the names of its references (``a.b`` where one stands
            deeper), each with the kind of what it names.
        loads: how objects of a kind are read.
    """

    def __init__(
        self, references: Mapping[str, Mapping[str, str]], loads: Mapping[str, Load]
    ) -> None:
        self._references = references
        self._loads = loads

    def wished(self, expand: Sequence[str], kind: str, *, listed: bool = False) -> "Wishes":
        """What of an object, or of a list's entries, is to be expanded.

        Raises:
            ApiError: 400, it is no reference, too deep, or too much.
        """
        tree: Tree = {}
        if not expand:
            return Wishes(self, kind, tree)
        for wish in expand:
            if wish.count(".") >= LEVELS_MAX:
                raise ApiError.invalid(
                    f"You cannot expand more than {LEVELS_MAX} levels of a property. "
                    f"Property: {wish}",
                    param="expand",
                )
            self._add(tree, wish, kind, "data." if listed and wish.startswith("data.") else "")
        if (count := _count(tree)) > OBJECTS_MAX:
            raise ApiError.invalid(
                f"At most {OBJECTS_MAX} objects are expanded in one; these would be {count}.",
                param="expand",
            )
        return Wishes(self, kind, tree)

    def _add(self, tree: Tree, wish: str, kind: str, done: str) -> None:
        at, of, rest = tree, kind, wish[len(done) :]
        while True:
            names = self._references.get(of, {})
            name = next((n for n in names if rest == n or rest.startswith(f"{n}.")), None)
            if name is None:
                able = ", ".join(done + each for each in sorted(names)) or "nothing here"
                raise ApiError.invalid(
                    f"This property cannot be expanded ({wish}). You can expand: {able}.",
                    param="expand",
                )
            at, of = at.setdefault(name, {}), names[name]
            if rest == name:
                return
            rest = rest[len(name) + 1 :]
            done += f"{name}."

    async def fill(
        self,
        store: Store,
        who: Owner,
        region: int,
        kind: str,
        objects: Sequence[Object],
        tree: Tree,
    ) -> None:
        """Put objects in place of ids; an id of which nothing can be shown stays."""
        for name, below in tree.items():
            of = self._references[kind][name]
            places = [each for each in map(_Place.of(name), objects) if each is not None]
            ids = {each.value for each in places if isinstance(each.value, str)}
            found = await self._loads[of](store, who, region, ids) if ids else {}
            inside = []
            for place in places:
                it = place.value
                if isinstance(it, str) and it in found:
                    it = place.put(dict(found[it]))
                if isinstance(it, dict):
                    inside.append(it)
            if below and inside:
                await self.fill(store, who, region, of, inside, below)


def _count(tree: Tree) -> int:
    return len(tree) + sum(map(_count, tree.values()))


class _Place:
    """Where a reference stands in an object; what is on the way is made the object's own."""

    def __init__(self, held: Object, name: str) -> None:
        self._held = held
        self._name = name
        self.value = held[name]

    @staticmethod
    def of(name: str) -> "Callable[[Object], _Place | None]":
        """How the place of a reference is found in an object; none: it has no such field."""
        *way, last = name.split(".")

        def find(held: Object) -> "_Place | None":
            for step in way:
                if not isinstance(held.get(step), dict):
                    return None
                held[step] = dict(held[step])
                held = held[step]
            return _Place(held, last) if last in held else None

        return find

    def put(self, it: Object) -> Object:
        self._held[self._name] = it
        return it


class Wishes(msgspec.Struct, frozen=True):
    """What a request wishes to be expanded of objects of one kind; falsy: nothing."""

    of: Expansion
    kind: str
    tree: Tree

    def __bool__(self) -> bool:
        return bool(self.tree)

    async def fill(self, store: Store, who: Owner, region: int, objects: Sequence[Object]) -> None:
        """Expand in these objects."""
        if self.tree:
            await self.of.fill(store, who, region, self.kind, objects, self.tree)

    async def filled(self, store: Store, who: Owner, region: int, body: bytes) -> bytes:
        """An answer with what is expanded in it."""
        it = msgspec.json.decode(body)
        await self.fill(store, who, region, [it])
        return bytes(encode(it))
