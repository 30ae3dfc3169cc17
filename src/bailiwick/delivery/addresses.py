"""Where a merchant's URL may lead: never into our own network.

What a URL names is checked when it is given and again at each try; every address that a name
resolves to is checked, and the connection goes to the checked one (``lookups``).
``ipaddress.is_global`` is not asked: its tables change with the version of Python, it takes 6to4,
NAT64 and multicast addresses for global, and it knows nothing of clouds. ``special_purpose`` has
the tables.
"""

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import yarl

from bailiwick.delivery.special_purpose import (
    GLOBAL_UNICAST,
    ISATAP,
    LOCAL_NAMES,
    MAPPED,
    NAT64,
    SIX_TO_FOUR,
    SPECIAL_IPV4,
    SPECIAL_IPV6,
)

# ASCII only: IDNA turns other digits and dots into an address after our check, and for what
# looks like an address the connector asks no resolver. International names come as xn--.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_NAME_CHARS_MAX = 253
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A last label of a host that makes readers of URLs take the whole for an IPv4 address in decimal,
octal or hexadecimal: https://url.spec.whatwg.org/#ends-in-a-number-checker"""
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
"""Readers of URLs drop these, or read them differently."""


def public_address(text: str) -> bool:
    """Whether an address is on the public Internet, whatever it is wrapped in.

    One spelling only: four decimal numbers, or IPv6 without a zone.
    """
    if "%" in text:
        return False
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return _public_ipv4(address)
    if any(address in network for network in SPECIAL_IPV6):
        return False
    within = (GLOBAL_UNICAST, MAPPED, NAT64)
    return any(address in network for network in within) and all(
        _public_ipv4(inner) for inner in _embedded(address)
    )


def _public_ipv4(address: ipaddress.IPv4Address) -> bool:
    return not any(address in network for network in SPECIAL_IPV4)


def _embedded(address: ipaddress.IPv6Address) -> Iterator[ipaddress.IPv4Address]:
    """The IPv4 addresses to which something on the way may unwrap an IPv6 address."""
    value = int(address)
    if address in SIX_TO_FOUR:
        yield ipaddress.IPv4Address(value >> 80 & 0xFFFFFFFF)
    if address in MAPPED or address in NAT64 or value >> 32 & 0xFFFFFFFF in ISATAP:
        yield ipaddress.IPv4Address(value & 0xFFFFFFFF)


def allowed_url(url: str, *, private: bool) -> str | None:
    """None when a webhook may go to this URL, else why not. ``private`` is for tests only."""
    if _UNSAFE.search(url) is not None:
        return "it holds a space, a control character or a backslash"
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
        connected = yarl.URL(url).raw_host
    except ValueError:
        return "it is not a URL"
    if parts.scheme not in ("https", "http") or (parts.scheme == "http" and not private):
        return "it must begin with https://"
    if "[" in parts.netloc and ":" not in host:
        return "its address is of no known kind"
    if not host or "@" in parts.netloc:
        return "it needs a host name and no user name"
    if port == 0:
        return "port 0 cannot be reached"
    return None if private else _host_problem(host, connected)


def _host_problem(host: str, connected: str | None) -> str | None:
    """Why a host may not be connected to. ``connected``: the host as the connector reads it."""
    if ":" in host or _NUMBER.fullmatch(host.rpartition(".")[2]) is not None:
        if not public_address(host) or not public_address(connected or ""):
            return "its address is not on the public Internet"
        return None
    if _NAME.fullmatch(host) is None or len(host) > _NAME_CHARS_MAX:
        return "it needs a fully qualified host name (an international one as xn--...)"
    if any(host.endswith(f".{name}") for name in LOCAL_NAMES):
        return "its name is not one of the public Internet"
    return None if connected == host else "its host can be read in two ways"
