"""The next epoch of a chain, made from new files. Pure.

An epoch carries the topologies that were superseded within the retention of keys, so that a
process with only the newest envelope knows the earlier homes of every place.
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from bailiwick.topology import chain, snapshot
from bailiwick.topology import topology as topology_file
from bailiwick.topology.chain import EarlierTopology, Link, Signed
from bailiwick.topology.snapshot import World
from bailiwick.topology.topology import Topology

_HOUR_MS: Final = 3_600_000
_EPOCH_LINE = re.compile(rb"(?m)^[ \t]*epoch[ \t]*=[^\n]*\n?")
_TABLE = re.compile(rb"(?m)^[ \t]*\[")


def next_epoch(
    parent: Link | None, files: Mapping[str, bytes], *, now_ms: int, note: str = "", first: int = 1
) -> tuple[Signed, World]:
    """The next epoch, not yet signed, and its world.

    Raises:
        WorldError: the files are no usable world.
        ChainError: they do not fit an envelope.
    """
    number = first if parent is None else parent.epoch + 1
    world = snapshot.build(files, epoch=number)
    earlier: tuple[EarlierTopology, ...] = ()
    if parent is not None:
        at_ms = max(now_ms, parent.signed.issued_ms)
        earlier = _earlier(parent, world, at_ms)
    signed = chain.successor(parent, files, now_ms=now_ms, note=note, earlier=earlier, first=first)
    return signed, world


def _earlier(parent: Link, world: World, now_ms: int) -> tuple[EarlierTopology, ...]:
    """The parent's topology and its own earlier ones, as seen from the new world: distinct,
    within retention, with the defaults of merchants that have changed since."""
    old = snapshot.of_link(parent)
    was = {merchant.id: merchant.default_country for merchant in old.merchants.all}
    now = {merchant.id: merchant.default_country for merchant in world.merchants.all}
    hours = max(old.topology.key_retention_hours, world.topology.key_retention_hours)
    oldest_ms = now_ms - hours * _HOUR_MS
    kept: list[EarlierTopology] = []
    seen: list[tuple[Topology, dict[str, str]]] = [(_bare(world.topology), {})]
    candidates = [
        EarlierTopology(parent.epoch, now_ms, parent.signed.files["topology.toml"]),
        *parent.signed.earlier,
    ]
    for each in candidates:
        if each.superseded_ms < oldest_ms:
            continue
        then = {**was, **each.defaults}
        defaults = {name: place for name, place in then.items() if now.get(name) != place}
        topology = topology_file.parse(each.topology.encode(), epoch=each.epoch)
        if (_bare(topology), defaults) in seen:
            continue
        seen.append((_bare(topology), defaults))
        kept.append(msgspec.structs.replace(each, defaults=defaults))
    return tuple(kept)


def _bare(topology: Topology) -> Topology:
    """A topology without its number: two epochs may have the same one."""
    return msgspec.structs.replace(topology, epoch=0)


def without_epoch(raw: bytes) -> bytes:
    """A topology.toml without its ``epoch`` line, for use under another number."""
    table = _TABLE.search(raw)
    end = table.start() if table else len(raw)
    return _EPOCH_LINE.sub(b"", raw[:end], count=1) + raw[end:]
