"""The world of one epoch: topology, merchants and routing rules, loaded whole or not at all."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from bailiwick.topology import merchants as merchants_file
from bailiwick.topology import topology as topology_file
from bailiwick.topology.chain import Link
from bailiwick.topology.merchants import Merchants
from bailiwick.topology.reading import WorldError
from bailiwick.topology.routes import reading as routing_file
from bailiwick.topology.routes.table import EMPTY, RoutingTable
from bailiwick.topology.topology import Topology

__all__ = [
    "FILES",
    "OPTIONAL",
    "Earlier",
    "World",
    "WorldError",
    "build",
    "load",
    "of_link",
    "read_files",
]

FILES = {
    "topology.toml": topology_file.MOST_BYTES,
    "merchants.toml": merchants_file.MOST_BYTES,
    routing_file.FILE: routing_file.MOST_BYTES,
}
OPTIONAL = {routing_file.FILE}
"""Without it, each merchant's strategy decides."""


class Earlier(msgspec.Struct, frozen=True):
    """A topology that was in force until lately: keys claimed under it may still be repeated.

    Attributes:
        superseded_ms: when the next epoch was issued (wall clock, milliseconds).
        defaults: default country of each merchant whose default has changed since.
    """

    epoch: int
    superseded_ms: int
    topology: Topology
    defaults: Mapping[str, str] = {}


class World(msgspec.Struct, frozen=True):
    """What access and nodes know without asking a database.

    Attributes:
        epoch: the topology's epoch.
        digest: "sha256:..." over the files or, in a signed chain, the epoch's hash; equal
            wherever the same world is loaded.
        earlier: topologies superseded within the retention of keys, the latest first.
    """

    epoch: int
    topology: Topology
    merchants: Merchants
    digest: str
    earlier: tuple[Earlier, ...] = ()
    routing: RoutingTable = EMPTY


def build(files: Mapping[str, bytes], *, epoch: int | None = None) -> World:
    """Make a world of the files' bytes (pure); ``epoch`` is its number in a signed chain.

    Raises WorldError with the problems of all files.
    """
    lacking = (name for name in FILES if name not in files and name not in OPTIONAL)
    problems = [f"{name}: is missing; add it" for name in lacking]
    topology = merchants = None
    if "topology.toml" in files:
        try:
            topology = topology_file.parse(files["topology.toml"], epoch=epoch)
        except WorldError as error:
            problems += error.problems
    if "merchants.toml" in files:
        try:
            merchants = merchants_file.parse(files["merchants.toml"])
        except WorldError as error:
            problems += error.problems
    if problems or topology is None or merchants is None:
        raise WorldError(problems)
    routing = EMPTY
    if routing_file.FILE in files:
        routing = routing_file.parse(
            files[routing_file.FILE], merchants=merchants.by_id, groups=topology.groups
        )
    digest = hashlib.sha256()
    for name in sorted(files.keys() & FILES):
        digest.update(f"{name} {len(files[name])}\n".encode())
        digest.update(files[name])
    return World(
        topology.epoch, topology, merchants, f"sha256:{digest.hexdigest()}", routing=routing
    )


def of_link(link: Link) -> World:
    """The world of a signed epoch (pure). Raises WorldError."""
    world = build(link.files, epoch=link.epoch)
    earlier = []
    for each in link.signed.earlier:
        file = f"topology.toml of epoch {each.epoch}"
        topology = topology_file.parse(each.topology.encode(), file=file, epoch=each.epoch)
        earlier.append(Earlier(each.epoch, each.superseded_ms, topology, each.defaults))
    return msgspec.structs.replace(world, digest=f"sha256:{link.hash}", earlier=tuple(earlier))


def read_files(directory: Path) -> dict[str, bytes]:
    """The bytes of a directory's working copies. Raises WorldError naming what is missing."""
    files: dict[str, bytes] = {}
    problems = []
    for name, most in FILES.items():
        try:
            with (directory / name).open("rb") as file:
                files[name] = file.read(most + 1)  # one more: the parser refuses it by size
        except OSError as error:
            if name in OPTIONAL and isinstance(error, FileNotFoundError):
                continue
            problems.append(f"{name}: cannot be read in {directory}: {error.strerror}")
    if problems:
        raise WorldError(problems)
    return files


def load(directory: Path, *, epoch: int | None = None) -> World:
    """Read a directory's working copies. Raises WorldError naming file, field and remedy."""
    return build(read_files(directory), epoch=epoch)
