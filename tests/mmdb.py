"""A writer of small MaxMind DB files, as an operator would supply one for the IP data."""

import ipaddress
from pathlib import Path


def string(value: str) -> bytes:
    """A string, encoded; at most 28 bytes."""
    return bytes([2 << 5 | len(value)]) + value.encode()


def mapping(pairs: dict[str, bytes]) -> bytes:
    """A map of encoded values."""
    return bytes([7 << 5 | len(pairs)]) + b"".join(string(k) + v for k, v in pairs.items())


def _number(kind: int, value: int) -> bytes:
    raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
    if kind <= 7:
        return bytes([kind << 5 | len(raw)]) + raw
    return bytes([len(raw), kind - 7]) + raw


def write_mmdb(path: Path, networks: dict[str, dict[str, bytes]]) -> None:
    """A minimal IPv6 MaxMind DB: https://maxmind.github.io/MaxMind-DB/ (24-bit records)."""
    nodes: list[list[int | bytes | None]] = [[None, None]]
    for network, record in networks.items():
        parsed = ipaddress.ip_network(network)
        bits, length = int(parsed.network_address), parsed.prefixlen
        if parsed.version == 4:
            length += 96
        at = 0
        for depth in range(length):
            bit = bits >> (127 - depth) & 1
            if depth == length - 1:
                nodes[at][bit] = mapping(record)
            else:
                nxt = nodes[at][bit]
                if not isinstance(nxt, int):
                    nodes.append([None, None])
                    nxt = nodes[at][bit] = len(nodes) - 1
                at = nxt
    data, tree = b"", b""
    for node in nodes:
        for side in node:
            if isinstance(side, bytes):
                value = len(nodes) + 16 + len(data)
                data += side
            else:
                value = side if side is not None else len(nodes)
            tree += value.to_bytes(3, "big")
    metadata = mapping(
        {
            "node_count": _number(6, len(nodes)),
            "record_size": _number(5, 24),
            "ip_version": _number(5, 6),
            "database_type": string("Test"),
            "languages": bytes([0, 4]),
            "binary_format_major_version": _number(5, 2),
            "binary_format_minor_version": bytes([5 << 5]),
            "build_epoch": _number(9, 1_700_000_000),
            "description": mapping({"en": string("Test")}),
        }
    )
    path.write_bytes(tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + metadata)
