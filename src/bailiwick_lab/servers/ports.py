"""TCP ports on the loopback address."""

from __future__ import annotations

import random
import socket
from collections.abc import Collection

_RANGE = (15_000, 32_000)
_claims: dict[int, socket.socket] = {}


def free_port(taken: Collection[int] = ()) -> int:
    """A TCP port on 127.0.0.1 that is free now and not in `taken`.

    From below the range that the kernel gives to outgoing connections, so that it is still
    free at a restart. Raises OSError when none is found.
    """
    for _ in range(200):
        port = random.randrange(*_RANGE)
        if port not in taken and port_is_free(port):
            return port
    raise OSError(f"no free TCP port found between {_RANGE[0]} and {_RANGE[1]}")


def port_is_free(port: int) -> bool:
    """True when a server could listen on 127.0.0.1:`port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def claim(port: int) -> bool:
    """Whether no other process has claimed a port; it is this one's then, until it ends.

    For a port that several of ours would like at the same moment: until one listens, all find it
    free, and each would take the other's answers for its own. Nothing is bound by it.
    """
    if port in _claims:
        return True
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0bailiwick-port-{port}")  # an abstract name: no file, gone with the process
    except OSError:
        name.close()
        return False
    _claims[port] = name
    return True
