"""The operator's hands: the world, its broker, nodes over HTTP and their databases."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeVar

import asyncpg
import msgspec

from bailiwick.access.nodes.forward import HopError, HopLimits, NodeClient
from bailiwick.bus.client import Bus
from bailiwick.control import publishing
from bailiwick.control.fleet import Fleet, FleetNode
from bailiwick.control.plans import ControlError, Say
from bailiwick.control.publishing import PublishError
from bailiwick.control.toml_edit import EditError
from bailiwick.runtime import tls
from bailiwick.runtime.database_errors import DATABASE_ERRORS
from bailiwick.runtime.settings import SettingsError
from bailiwick.topology import snapshot
from bailiwick.topology.chain import Link
from bailiwick.topology.epochs import Epochs
from bailiwick.topology.parts import Node, State
from bailiwick.topology.snapshot import World, WorldError
from bailiwick.topology.succession import without_epoch
from bailiwick.wire.client import Answer

CONNECT_S: Final = 5.0
HTTP_S: Final = 3.0
POLL_S: Final = 0.1
_LOOKED_BACK: Final = 2_000  # epochs
_LIMITS: Final = HopLimits(connections=2, waiting=16)
T = TypeVar("T")


class Ready(msgspec.Struct, frozen=True):
    """What a node's `/readyz` says."""

    class _World(msgspec.Struct, frozen=True):
        epoch: int = 0

    status: str = ""
    problems: list[str] = []
    world: _World = _World()


class Site:
    """One operator's view of a fleet. Made with `opened`."""

    def __init__(self, fleet: Fleet, bus: Bus | None, outgoing: tls.Outgoing | None) -> None:
        self.fleet = fleet
        self._bus = bus
        self._tls = outgoing

    # --- the world --------------------------------------------------------------------------

    def head(self) -> Link:
        """The epoch in force. Raises ControlError."""
        try:
            return publishing.head_of(self.fleet.world)
        except PublishError as error:
            raise ControlError(str(error)) from None

    def world(self) -> World:
        """The world in force. Raises ControlError."""
        return snapshot.of_link(self.head())

    def node(self, name: str) -> Node:
        """A node of the topology in force. Raises ControlError."""
        topology = self.world().topology
        found = topology.node_named(name)
        if found is None:
            known = ", ".join(node.name for node in topology.nodes)
            raise ControlError(f"epoch {topology.epoch} has no node '{name}'; known: {known}")
        return found

    def meant(self, change: Callable[[str], str]) -> World:
        """The world that a change of the topology's text would make. Raises ControlError."""
        head = self.head()
        files = {**head.files, "topology.toml": self._changed(head, change)}
        try:
            return snapshot.build(files, epoch=head.epoch + 1)
        except WorldError as error:
            raise ControlError("\n".join(error.problems)) from None

    @staticmethod
    def _changed(head: Link, change: Callable[[str], str]) -> bytes:
        try:
            before = without_epoch(head.files["topology.toml"]).decode()
            return without_epoch(change(before).encode())
        except EditError as error:
            raise ControlError(f"topology.toml: {error}") from None

    async def publish(self, change: Callable[[str], str], note: str) -> int:
        """Publish a change of the topology in force; the epoch from which on it is so.

        A change that is in force already publishes nothing. Raises ControlError.
        """
        head = self.head()
        files = {**head.files, "topology.toml": self._changed(head, change)}
        try:
            key = publishing.signing_key(self.fleet.world_key)
            done = await publishing.publish_over(
                self.fleet.world, key, self._bus, head, files, note=note
            )
        except PublishError as error:
            raise ControlError(str(error)) from None
        except WorldError as error:
            raise ControlError("\n".join(error.problems)) from None
        return done.link.epoch

    def noted(self, words: str) -> int:
        """The latest epoch in the folder whose note begins so; 0 if none does."""
        epochs = Epochs(self.fleet.world)
        trust = epochs.trust()
        for number in reversed(epochs.numbers()[-_LOOKED_BACK:]):
            with contextlib.suppress(Exception):  # torn or foreign: never in force
                if epochs.read(number, trust).signed.note.startswith(words):
                    return number
        return 0

    # --- nodes over HTTP ----------------------------------------------------------------------

    def url(self, node: Node) -> str:
        """Where this host reaches a node."""
        known = self.fleet.nodes.get(node.name)
        return known.url if known is not None and known.url else node.url

    async def ask(
        self, url: str, method: str, path: str, lines: list[bytes] | None = None, body: bytes = b"",
        *, timeout: float = HTTP_S,
    ) -> Answer:  # fmt: skip
        """One request to a node. Raises HopError."""
        client = NodeClient(url, _LIMITS, tls=self._tls)
        try:
            return await client.request(method, path.encode(), lines or [], body, timeout=timeout)
        finally:
            client.close()

    async def read(self, url: str, path: str) -> dict[str, Any] | None:
        """A JSON document of a node; None when it does not answer."""
        try:
            answer = await self.ask(url, "GET", path)
            found: dict[str, Any] = msgspec.json.decode(answer.body)
        except (HopError, msgspec.DecodeError):
            return None
        return found

    async def ready(self, url: str) -> Ready | None:
        """What a node says of itself; None when it does not answer."""
        found = await self.read(url, "/readyz")
        return None if found is None else msgspec.convert(found, Ready)

    async def at_epoch(
        self, node: Node, epoch: int, wait_s: float, say: Say, *, ready: bool = True
    ) -> Ready:
        """Wait until a node's process has an epoch and, if asked for, takes payments.

        Raises ControlError.
        """
        url = self.url(node)
        seen: Ready | None = None

        async def look() -> Ready | None:
            nonlocal seen
            seen = await self.ready(url)
            if seen is None or seen.world.epoch < epoch or (ready and seen.problems):
                return None
            return seen

        def how() -> str:
            if seen is None:
                return f"Nothing answers at {url}."
            return f"It is at epoch {seen.world.epoch}: {'; '.join(seen.problems) or 'ready'}."

        what = f"{node.name} is to be {'ready ' * ready}at epoch {epoch}"
        return await until(look, what, wait_s, say, how)

    # --- databases ----------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def database(self, name: str, dsn: str) -> AsyncIterator[asyncpg.Connection]:
        """A connection to a node's database, used for one step. Raises ControlError."""
        if not dsn:
            raise ControlError(f"the fleet names no database of '{name}' that runs now")
        try:
            connection = await asyncpg.connect(
                dsn, timeout=CONNECT_S, command_timeout=30,
                server_settings={"application_name": "bailiwick-control"},
            )  # fmt: skip
        except (*DATABASE_ERRORS, ValueError) as error:
            raise ControlError(
                f"the database of '{name}' does not answer: {str(error) or type(error).__name__}"
            ) from None
        try:
            yield connection
        except DATABASE_ERRORS as error:
            raise ControlError(
                f"the database of '{name}': {str(error) or type(error).__name__}"
            ) from None
        finally:
            with contextlib.suppress(Exception):
                await connection.close(timeout=2)

    def entry(self, name: str) -> FleetNode:
        """A node's entry in the fleet. Raises ControlError."""
        return self.fleet.node(name)


@contextlib.asynccontextmanager
async def opened(fleet: Fleet) -> AsyncIterator[Site]:
    """A site with its broker connected, if the fleet has one. Raises ControlError."""
    try:
        outgoing = tls.outgoing(*fleet.node_tls, fields=("node_ca", "node_certificate", "node_key"))
        async with publishing.connection(fleet.nats, fleet.security) as bus:
            yield Site(fleet, bus, outgoing)
    except (PublishError, SettingsError) as error:
        raise ControlError(str(error)) from None


async def until(
    look: Callable[[], Awaitable[T | None]],
    what: str,
    timeout_s: float,
    say: Say,
    progress: Callable[[], str] = lambda: "",
) -> T:
    """Look until there is something; says now and then how it stands.

    Raises ControlError when there never is in time.
    """
    begun = time.monotonic()
    told = begun
    while True:
        found = await look()
        if found is not None:
            return found
        now = time.monotonic()
        if now - begun > timeout_s:
            raise ControlError(f"not within {timeout_s:.0f} s: {what}. {progress()}".rstrip())
        if now - told > 2.0:
            told = now
            say(f"  {now - begun:.0f} s: {what}. {progress()}".rstrip())
        await asyncio.sleep(POLL_S)


def stated(node: str, state: State) -> Callable[[str], str]:
    """The change that gives a node a state."""
    from bailiwick.control.toml_edit import node_set

    return lambda text: node_set(text, node, state=state)
