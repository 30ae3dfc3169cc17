"""What one HTTP server accepts."""

from collections.abc import Mapping

import msgspec

BODY_BYTES_MAX = 256 * 1024


class Limits(msgspec.Struct, frozen=True):
    """What one HTTP server accepts; sizes in bytes, times in seconds.

    The keep-alive time is longer than that of the client in ``access.nodes.forward``, so that it is
    normally the client that lets an idle connection go, never both at once.

    Attributes:
        larger: targets whose bodies may be larger than others', and how large; such a body has
            ``larger_seconds`` to arrive.
        write_seconds: a client that takes nothing of its answer for so long is cut.
        pipelined: requests of one connection that may wait for an earlier one's answer; their
            bodies together may be as large as one.
        connections_per_address: connections from one IPv4 address or one IPv6 /64; 0: no bound.
            Half of all by default, so that no address by itself can take every connection.
    """

    header_bytes: int = 16 * 1024
    header_count: int = 100
    url_bytes: int = 8 * 1024
    body_bytes: int = BODY_BYTES_MAX
    larger: Mapping[bytes, int] = {}
    header_seconds: float = 10.0
    body_seconds: float = 20.0
    larger_seconds: float = 60.0
    write_seconds: float = 20.0
    keep_alive_seconds: float = 75.0
    pipelined: int = 16
    connections: int = 4096
    connections_per_address: int = 2048


def too_large(limit: int) -> str:
    """What a client is told whose body has more than ``limit`` bytes."""
    return f"The request's body is too large: at most {limit} bytes."
