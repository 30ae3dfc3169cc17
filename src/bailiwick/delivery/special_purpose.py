"""Addresses that no merchant's server can have: special-purpose networks, and where clouds put
their metadata. Data only.

Sources:

* https://www.iana.org/assignments/iana-ipv4-special-registry (RFC 6890)
* https://www.iana.org/assignments/iana-ipv6-special-registry (RFC 6890)
* https://www.iana.org/assignments/ipv6-address-space: only 2000::/3 is global unicast; what is
  outside it and named here is named for its reason.
* the providers' manuals, for what is theirs.

Some entries are globally reachable by the registries (AS112, AMT, 192.0.0.9): they are anycast
services of the network itself, never a shop.
"""

from ipaddress import IPv4Network, IPv6Network

IPV4: dict[str, str] = {
    "0.0.0.0/8": "this network, RFC 791",
    "10.0.0.0/8": "private use, RFC 1918",
    "100.64.0.0/10": "shared address space, RFC 6598; metadata at Alibaba, 100.100.100.200",
    "127.0.0.0/8": "loopback, RFC 1122",
    "168.63.129.16/32": "Azure's platform: DHCP, DNS, health probes, the agent's wire server",
    "169.254.0.0/16": "link local, RFC 3927; metadata at most clouds, 169.254.169.254",
    "172.16.0.0/12": "private use, RFC 1918",
    "192.0.0.0/24": "protocol assignments, RFC 6890; metadata at Oracle, 192.0.0.192",
    "192.0.2.0/24": "documentation, RFC 5737",
    "192.31.196.0/24": "AS112, RFC 7535",
    "192.52.193.0/24": "AMT, RFC 7450",
    "192.88.99.0/24": "relays of 6to4, RFC 7526",
    "192.168.0.0/16": "private use, RFC 1918",
    "192.175.48.0/24": "AS112, RFC 7534",
    "198.18.0.0/15": "benchmarking, RFC 2544",
    "198.51.100.0/24": "documentation, RFC 5737",
    "203.0.113.0/24": "documentation, RFC 5737",
    "224.0.0.0/4": "multicast, RFC 5771",
    "240.0.0.0/4": "reserved, RFC 1112; 255.255.255.255 is limited broadcast, RFC 919",
}
IPV6: dict[str, str] = {
    "::/96": "unspecified, loopback, and IPv4-compatible, RFC 4291",
    "::ffff:0:0:0/96": "IPv4-translated, RFC 2765",
    "64:ff9b:1::/48": "IPv4 by local translation, RFC 8215",
    "100::/64": "discard only, RFC 6666",
    "100:0:0:1::/64": "dummy prefix, RFC 9780",
    "2001::/23": "protocol assignments, RFC 2928: Teredo, benchmarking, ORCHID, DRIP and others",
    "2001:db8::/32": "documentation, RFC 3849",
    "2620:4f:8000::/48": "AS112, RFC 7534",
    "3fff::/20": "documentation, RFC 9637",
    "5f00::/16": "segment routing, RFC 9602",
    "fc00::/7": "unique local, RFC 4193; metadata at AWS, fd00:ec2::254",
    "fe80::/10": "link local, RFC 4291",
    "fec0::/10": "site local, RFC 3879",
    "ff00::/8": "multicast, RFC 4291",
}
SPECIAL_IPV4 = tuple(IPv4Network(each) for each in IPV4)
SPECIAL_IPV6 = tuple(IPv6Network(each) for each in IPV6)

GLOBAL_UNICAST = IPv6Network("2000::/3")
MAPPED = IPv6Network("::ffff:0:0/96")
"""RFC 4291: the last 32 bits are the IPv4 address that is really connected to."""
NAT64 = IPv6Network("64:ff9b::/96")
"""RFC 6052: the last 32 bits are the IPv4 address that a translator connects to."""
SIX_TO_FOUR = IPv6Network("2002::/16")
"""RFC 3056: bits 16 to 47 are the IPv4 address of the router behind which it lies."""
ISATAP = frozenset({0x00005EFE, 0x02005EFE})
"""RFC 5214: an interface identifier that begins so ends in an IPv4 address, whatever the prefix."""

LOCAL_NAMES = frozenset({"localhost", "local", "internal", "home.arpa", "onion", "invalid"})
"""Names that lead to nobody outside: RFC 6761, RFC 6762, RFC 8375, RFC 7686, and ICANN's
reservation of ``internal``. ``test`` and ``example`` resolve to nothing, which harms
nobody."""
