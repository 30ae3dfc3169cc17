"""Where a merchant's URL may lead: never into our own network.

Every address that a name resolves to is checked, and the connection goes to the checked one.
``ipaddress.is_global`` alone is not enough: it takes 6to4, NAT64 and multicast addresses for
global, so what is embedded in them is checked too.
"""

import asyncio
import ipaddress
import re
import socket
from typing import Any
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.ip_network("64:ff9b:1::/48")
# ASCII only: IDNA turns other digits and dots into an address after our check, and for what
# looks like an address the connector asks no resolver. International names come as xn--.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")


def public_address(text: str) -> bool:
    """Whether an address is on the public Internet, whatever it is wrapped in."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if address.teredo is not None or address in _NAT64_LOCAL:
            return False
        if inner is not None:
            return public_address(str(inner))
    return address.is_global and not address.is_multicast and not address.is_reserved


def allowed_url(url: str, *, private: bool) -> str | None:
    """None when a webhook may go to this URL, else why not. ``private`` is for tests only."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "it is not a URL"
    if parts.scheme not in ("https", "http") or (parts.scheme == "http" and not private):
        return "it must begin with https://"
    if not parts.hostname or parts.username or parts.password:
        return "it needs a host name and no user name"
    if port == 0:
        return "port 0 cannot be reached"
    if private:
        return None
    host = parts.hostname
    numeric = ":" in host or host.replace(".", "").isdigit()
    if numeric and not public_address(host):
        return "its address is not on the public Internet"
    if not numeric and _NAME.fullmatch(host) is None:
        return "it needs a fully qualified host name (an international one as xn--...)"
    return None


class GuardedResolver(AbstractResolver):
    """Resolves names and passes on only addresses that webhooks may go to."""

    def __init__(self, private: bool) -> None:
        self._private = private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses of a host. Raises OSError when any of them is not public."""
        loop = asyncio.get_running_loop()
        found: list[Any] = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        hosts: list[ResolveResult] = []
        for kind, _, proto, _, address in found:
            if not self._private and not public_address(address[0]):
                raise OSError(f"{host} leads to an address that is not public")
            hosts.append(
                ResolveResult(
                    hostname=host,
                    host=address[0],
                    port=port,
                    family=kind,
                    proto=proto,
                    flags=socket.AI_NUMERICHOST,
                )
            )
        return hosts

    async def close(self) -> None:
        """Nothing is kept."""
