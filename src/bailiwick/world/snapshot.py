"""The world of one epoch: topology and merchants, loaded whole or not at all."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from bailiwick.world import merchants as merchants_file
from bailiwick.world import topology as topology_file
from bailiwick.world.merchants import Merchants
from bailiwick.world.reading import WorldError
from bailiwick.world.topology import Topology

__all__ = ["FILES", "World", "WorldError", "build", "load"]

FILES = {
    "topology.toml": topology_file.MOST_BYTES,
    "merchants.toml": merchants_file.MOST_BYTES,
}


class World(msgspec.Struct, frozen=True):
    """What access and nodes know without asking a database.

    Attributes:
        epoch: the topology's epoch.
        digest: "sha256:..." over the files, equal wherever the same world is loaded.
    """

    epoch: int
    topology: Topology
    merchants: Merchants
    digest: str


def build(files: Mapping[str, bytes]) -> World:
    """Make a world of the files' bytes (pure). Raises WorldError with the problems of all."""
    problems = [f"{name}: is missing; add it" for name in FILES if name not in files]
    topology = merchants = None
    if "topology.toml" in files:
        try:
            topology = topology_file.parse(files["topology.toml"])
        except WorldError as error:
            problems += error.problems
    if "merchants.toml" in files:
        try:
            merchants = merchants_file.parse(files["merchants.toml"])
        except WorldError as error:
            problems += error.problems
    if problems or topology is None or merchants is None:
        raise WorldError(problems)
    digest = hashlib.sha256()
    for name in sorted(FILES):
        digest.update(f"{name} {len(files[name])}\n".encode())
        digest.update(files[name])
    return World(topology.epoch, topology, merchants, f"sha256:{digest.hexdigest()}")


def load(directory: Path) -> World:
    """Read a world directory. Raises WorldError naming file, field and remedy."""
    files: dict[str, bytes] = {}
    problems = []
    for name, most in FILES.items():
        try:
            with (directory / name).open("rb") as file:
                files[name] = file.read(most + 1)  # one more: the parser refuses it by size
        except OSError as error:
            problems.append(f"{name}: cannot be read in {directory}: {error.strerror}")
    if problems:
        raise WorldError(problems)
    return build(files)
