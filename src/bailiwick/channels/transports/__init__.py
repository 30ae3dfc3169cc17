"""How a channel's requests travel: a port, and a module for each kind of transport.

A channel's profile names its transport; ``open_transport`` finds the module of that name, so that
a new kind is a new module and nothing else. Whatever it is, it says how far each exchange got
(``unsent``, ``sent``, ``answered``), and checks the permit in the same breath as it writes.
"""

from importlib import import_module
from typing import Protocol

from bailiwick.channels.contract import Exchange, Permit, Profile, Request


class Transport(Protocol):
    """Connections to one provider."""

    async def connect(self, request: Request, profile: Profile, connections: int = 2) -> Exchange:
        """Open connections beforehand, with a harmless request on each: the worst exchange."""
        ...

    async def exchange(self, request: Request, profile: Profile, permit: Permit | None) -> Exchange:
        """Send a request once and read its answer. Never raises for what the network does."""
        ...

    async def close(self) -> None:
        """Close all connections; exchanges under way end as ``sent``."""
        ...


def open_transport(kind: str, *, limit: int, secrets: tuple[str, ...]) -> Transport:
    """A transport, not connected yet.

    Args:
        kind: the name of a module here.
        limit: connections at once.
        secrets: literal texts that no record of an exchange may hold.

    Raises:
        ValueError: there is no such transport.
    """
    try:
        module = import_module(f"{__name__}.{kind}")
    except ModuleNotFoundError:
        raise ValueError(f"there is no transport '{kind}'") from None
    made: Transport = module.make(limit=limit, secrets=secrets)
    return made
