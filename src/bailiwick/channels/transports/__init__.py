"""How a channel's requests travel: a port, and a module for each kind of transport.

A channel's profile names its transport; ``open_transport`` finds the module of that name, so that
a new kind is a new module and nothing else. Whatever it is, it says how far each exchange got
(``unsent``, ``sent``, ``answered``), and checks the permit in the same breath as it writes.
"""

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Protocol

from bailiwick.channels.contract import Exchange, Permit, Profile, Reply, Request
from bailiwick.channels.transports.secured import USUAL, Secured

Late = Callable[[Request, Reply], None]
"""Takes an answer that came after its exchange had ended as ``sent``."""


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


def open_transport(
    kind: str,
    *,
    limit: int,
    secrets: tuple[str, ...],
    late: Late | None = None,
    secured: Secured = USUAL,
) -> Transport:
    """A transport, not connected yet.

    Args:
        kind: the name of a module here.
        limit: connections at once.
        secrets: literal texts that no record of an exchange may hold.
        late: for transports on which an answer can come so.
        secured: how its connections are, beyond what the address says.

    Raises:
        ValueError: there is no such transport.
    """
    made: Transport = _module(kind).make(limit=limit, secrets=secrets, late=late, secured=secured)
    return made


def schemes(kind: str) -> tuple[str, str]:
    """What stands before ``://`` in the addresses of a transport: plain, and encrypted.

    Raises:
        ValueError: there is no such transport.
    """
    found: tuple[str, str] = _module(kind).SCHEMES
    return found


def _module(kind: str) -> ModuleType:
    try:
        return import_module(f"{__name__}.{kind}")
    except ModuleNotFoundError:
        raise ValueError(f"there is no transport '{kind}'") from None
