"""A fleet without processes: a signed folder, databases in memory, nodes that say what they are."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from bailiwick.control import publishing
from bailiwick.control.fleet import Fleet, FleetNode
from bailiwick.control.plans import ControlError
from bailiwick.control.site import Ready, Site
from bailiwick.store.statements import names, statement
from bailiwick.topology.parts import Node

TOPOLOGY = """# by hand
[groups]
near = ["DE", "FR"]

[[nodes]]
number = 1
name = "apac"
url = "http://127.0.0.1:1"

[[nodes]]
number = 2
name = "europe"
url = "http://127.0.0.1:2"

[[rules]]
places = ["IN"]
nodes = ["apac"]
residency = "strict"

[[rules]]
places = ["group:near"]
nodes = ["europe", "apac"]
residency = "prefer"

[[rules]]
places = ["default"]
nodes = ["apac"]
residency = "free"
"""
MERCHANTS = """
[[merchants]]
id = "acct_a"
name = "A"
[[merchants]]
id = "acct_b"
name = "B"
after_fence = "accept"
"""
_NAMES = {statement(name): name for name in names()}


class Books:
    """A node's database: its fence row, and what is said to be open in it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.epoch = 1
        self.fenced = False
        self.draining = False
        self.follows = False
        self.answers = True
        self.open: list[tuple[str, str, int]] = []
        self.remaining = (0, 0, 0, 0, 0, 0)
        self.kept = False
        self.endpoints: list[tuple[Any, ...]] = []
        self.told: list[str] = []

    @property
    def row(self) -> tuple[int, int, bool, bool]:
        return (self.number, self.epoch, self.fenced, self.draining)

    async def fetchrow(self, sql: str, *args: Any, timeout: float | None = None) -> Any:
        name = _NAMES[sql]
        self.told.append(name)
        if name == "fence_close":
            self.fenced, self.epoch = True, max(self.epoch, args[0])
        elif name == "fence_open":
            self.fenced, self.epoch = False, max(self.epoch, args[0])
        elif name == "fence_drain":
            self.draining = args[0]
        elif name == "remaining":
            return self.remaining
        elif name == "standby_view":
            return (self.follows, 0, None, None)
        return self.row

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        name = _NAMES[sql]
        self.told.append(name)
        return {
            "attempts_open": self.open,
            "standbys": [],
            "webhook_endpoint_every": self.endpoints,
            "configuration_every": [],
        }[name]

    async def fetchval(self, sql: str, *args: Any, **_: Any) -> Any:
        if "pg_promote" in sql:
            self.follows = False
            return True
        if "SELECT pg_" in sql:
            return self.follows
        name = _NAMES[sql]
        if name == "webhook_endpoint_copy":
            fresh = all(args[0] != each[0] for each in self.endpoints)
            self.endpoints += [(args[0], 1, args[1])] * fresh
            return args[0] if fresh else None
        return self.kept

    async def execute(self, sql: str, *_: Any) -> None:
        self.told.append(sql)


class Desk(Site):
    """A site over these books. ``at``: the epoch of a node's process; None: it does not answer."""

    def __init__(self, fleet: Fleet, books: dict[str, Books]) -> None:
        super().__init__(fleet, None, None)
        self.books = books
        self.at: dict[str, int | None] = {}
        self.problems: list[str] = []

    @contextlib.asynccontextmanager
    async def database(self, name: str, dsn: str) -> AsyncIterator[Any]:
        books = self.books.get(dsn)
        if books is None or not books.answers:
            raise ControlError(f"the database of '{name}' does not answer: refused")
        yield books

    async def ready(self, url: str) -> Ready | None:
        name = next(node.name for node in self.world().topology.nodes if node.url == url)
        epoch = self.at.get(name, self.head().epoch)
        return None if epoch is None else Ready("", self.problems, Ready._World(epoch))

    async def read(self, url: str, path: str) -> dict[str, Any] | None:
        if path == "/usage/gateways":
            return {"gateways": [{"name": "bank", "usage": "open"}]}
        return {"inflight": 0, "capacity": 10}

    def seen(self, name: str) -> Node:
        """The node in the topology in force."""
        return self.node(name)


def desk(folder: Path, topology: str = TOPOLOGY) -> Desk:
    """A new fleet of two nodes, europe with a standby."""
    world = folder / "world"
    world.mkdir()
    (world / "topology.toml").write_text(topology)
    (world / "merchants.toml").write_text(MERCHANTS)
    key = folder / "secrets" / "world.key"
    publishing.initialise(world, publishing.make_key(key), note="first", key_name="test")
    (folder / "node.toml").write_text(
        'number = 2\nname = "europe"\nlisten = "127.0.0.1:2"\ndsn = "b2"\n'
        'url = "http://127.0.0.1:2"\npublic_url = "http://127.0.0.1:2"\n[[gateways]]\n'
    )
    nodes = {
        "apac": FleetNode(name="apac", dsn="b1"),
        "europe": FleetNode(
            name="europe", dsn="b2", standby_dsn="b2s", config=str(folder / "node.toml")
        ),
    }
    books = {"b1": Books(1), "b2": Books(2), "b2s": Books(2), "b3": Books(3)}
    books["b2s"].follows = True
    return Desk(Fleet(world, key, b"secret", nodes), books)
