"""Open connections, counted by where they come from."""

from collections import Counter
from ipaddress import IPv4Address, IPv6Address, ip_address


def network(address: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 of an IPv6 address, since one
    subscriber commonly has all of it (RFC 6177). IPv4 mapped into IPv6 is IPv4. Empty for what is
    no address, such as a local socket."""
    try:
        full = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(full, IPv4Address):
        return str(full)
    if full.ipv4_mapped is not None:
        return str(full.ipv4_mapped)
    return str(IPv6Address(int(full) >> 64 << 64)) + "/64"


class Peers:
    """How many connections each network has open at one server.

    Attributes:
        turned_away: connections, open still, that were refused for their network's number.
    """

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self.turned_away = 0

    def enter(self, peer: str) -> int:
        """Count one more; how many it is now."""
        self._open[peer] += 1
        return self._open[peer]

    def leave(self, peer: str) -> None:
        """One is closed."""
        self._open[peer] -= 1
        if not self._open[peer]:
            del self._open[peer]

    def __len__(self) -> int:
        return len(self._open)
